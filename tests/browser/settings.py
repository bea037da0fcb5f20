"""The example's settings for tests in a browser: with a strict policy, and an issuer whose subjects are users here."""

from tests.example.quick_settings import *  # noqa: F403
from tests.example.quick_settings import AT_JWT, MIDDLEWARE

ROOT_URLCONF = "tests.browser.urls"
MIDDLEWARE = ["tests.browser.content_security_policy.StrictPolicy", *MIDDLEWARE]
AT_JWT = {
    **AT_JWT,
    "ISSUERS": {"https://login.example.net": {"audience": "https://api.example.com/", "user_mode": "local"}},
}
