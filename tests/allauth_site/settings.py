"""The site of the tests, with django-allauth, its MFA and its headless API."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as OF_THE_SITE
from tests.settings import MIDDLEWARE as MIDDLEWARE_OF_THE_SITE

ROOT_URLCONF = "tests.allauth_site.urls"
INSTALLED_APPS = [*OF_THE_SITE, "allauth", "allauth.account", "allauth.mfa", "allauth.headless"]
MIDDLEWARE = [*MIDDLEWARE_OF_THE_SITE, "allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
# Django 6.1 has no default mailer any more.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# In periods of 30 seconds: without it, a code that is computed at the end of one is wrong when it arrives.
MFA_TOTP_TOLERANCE = 20
AT_JWT = {"DEFAULT_RESOURCE": "https://api.example.com/", "AUTHENTICATION_CONTEXTS": {"urn:example:two": ["mfa"]}}
