"""Django's settings for the benchmarks: one in-memory SQLite, and django-oauth-toolkit as it comes."""

from __future__ import annotations

from .workload import AUDIENCE, ISSUER

SECRET_KEY = "not-secret"
USE_TZ = True
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "oauth2_provider",
    "rest_framework",
    "django_at_jwt",
    "tests.people",
]
REST_FRAMEWORK = {
    # A trivial view: authentication is what is measured, so nothing else is asked.
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
OAUTH2_PROVIDER = {
    # What this package's authentication class expects. The token endpoint's variants bring their own settings.
    "OIDC_ISS_ENDPOINT": ISSUER,
    "SCOPES": {"read": "Read", "write": "Write"},
}
AT_JWT = {"DEFAULT_RESOURCE": AUDIENCE, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
# The toolkit warns of the password grant with each request, which is the shortest way to a user's token.
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"oauth2_provider": {"level": "ERROR"}}}
