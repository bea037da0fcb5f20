"""The example's settings on a site that has more of everything: scopes of other APIs, grants that RFC 9700 advises
against, and a second way to log in."""

from .quick_settings import *  # noqa: F403
from .quick_settings import AT_JWT as _AT_JWT
from .quick_settings import OAUTH2_PROVIDER as _OAUTH2_PROVIDER

OAUTH2_PROVIDER = {
    **_OAUTH2_PROVIDER,
    "SCOPES": {
        **_OAUTH2_PROVIDER["SCOPES"],
        "archive:read": "Read the archive",
        "neighbour:read": "Read what is the neighbour's",
        "vault:open": "Open the vault",
        "retired:read": "Read what nobody keeps any more",
        "legacy:read": "Read from the old API",
    },
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": False,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": False,
}
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "tests.example.one_time_password.OneTimePasswordBackend",
]
AT_JWT = {
    **_AT_JWT,
    "AUTHENTICATION_METHODS": {"tests.example.one_time_password.OneTimePasswordBackend": ["pwd", "otp", "mfa"]},
    "AUTHENTICATION_CONTEXTS": {"urn:example:two-factors": ["mfa"], "urn:example:password": ["pwd"]},
}
