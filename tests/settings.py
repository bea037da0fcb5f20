"""A site with django-oauth-toolkit and this app, as small as it can be. DATABASE_URL chooses the database."""

import os

import dj_database_url

from django_at_jwt import oauth2_provider_settings

ISSUER = "https://as.example.com/o"
API = "https://api.example.com/"
REPORTS = "https://reports.example.com/"

SECRET_KEY = "not-secret, but long enough for HMAC with SHA-256"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.site.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
LOGIN_URL = "/admin/login/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = {"default": dj_database_url.parse(os.environ.get("DATABASE_URL", "sqlite://:memory:"))}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "oauth2_provider",
    "rest_framework",
    "drf_spectacular",
    "django_at_jwt",
    "tests.people",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

OAUTH2_PROVIDER = {
    **oauth2_provider_settings(),
    "OIDC_ISS_ENDPOINT": ISSUER,
    "SCOPES": {
        "read": "Read",
        "write": "Write",
        "reports:read": "Read reports",
        "openid": "Log in",
        "introspection": "Ask about tokens",
    },
    # Views keep an oauthlib core on their class; tests change the settings underneath.
    "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
}
# The tests of introspection name the clients that may ask.
SILENCED_SYSTEM_CHECKS = ["django_at_jwt.W040"]
AT_JWT = {
    "DEFAULT_RESOURCE": API,
    # The default API never listed its scopes, so it has those that no other one names.
    # Longer than a test takes, so that none reads it in between.
    "REVOCATION_MAX_AGE": 300,
    "RESOURCE_SERVERS": {REPORTS: {"name": "Reports", "scopes": {"reports:read": "See all figures"}}},
}

# Django 6.1 warns where it sends mail and the setting is missing; older versions ignore it.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
