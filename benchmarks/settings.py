"""Django settings for the benchmarks: in-memory SQLite, and django-oauth-toolkit with its defaults."""

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
    # Only authentication is measured.
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
OAUTH2_PROVIDER = {
    # For the authentication class. The variants of the token endpoint have their own settings.
    "OIDC_ISS_ENDPOINT": ISSUER,
    "SCOPES": {"read": "Read", "write": "Write"},
}
AT_JWT = {"DEFAULT_RESOURCE": AUDIENCE, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
# The mappers' benchmark uses the password grant, and DOT logs a warning for each such request.
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"oauth2_provider": {"level": "ERROR"}}}
