"""The test site as an OpenID provider whose processes read the deny list every ``TEST_BOUND`` seconds."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import AT_JWT, INSTALLED_APPS, OAUTH2_PROVIDER

INSTALLED_APPS = [each for each in INSTALLED_APPS if each != "drf_spectacular"]
ROOT_URLCONF = "tests.processes.revocation_urls"
# The views of the API are reached by another name than the issuer's.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
OAUTH2_PROVIDER = {
    **OAUTH2_PROVIDER,
    "ALWAYS_RELOAD_OAUTHLIB_CORE": False,
    "OIDC_ISS_ENDPOINT": os.environ["TEST_ISSUER"],
    "OIDC_ENABLED": True,
    "OIDC_RSA_PRIVATE_KEY": os.environ["TEST_OIDC_KEY"],
    "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
}
AT_JWT = {
    **AT_JWT,
    "SIGNING_ALGORITHMS": ["ES256"],
    "REVOCATION_MAX_AGE": int(os.environ["TEST_BOUND"]),
    "REVOCATION_MAX_STALE": int(os.environ.get("TEST_STALE", "300")),
    "PUBLISH_REVOCATIONS": True,
}
if "TEST_REDIS" in os.environ:
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["TEST_REDIS"]}
    }
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "ERROR"},
}
