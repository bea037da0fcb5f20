"""The settings of a site that issues access tokens and has two APIs that accept them.

Lines that a site with django-oauth-toolkit adds for django-at-jwt are marked. The rest is an ordinary Django project.
Environment variables configure a deployment; their defaults are for development.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from django.conf import global_settings

from django_at_jwt import oauth2_provider_settings
from example_project.id_token_key import id_token_key


def _flag(name: str, *, default: bool) -> bool:
    value = os.environ.get(name)
    return default if value is None else value.lower() in {"1", "true", "yes", "on"}


def _seconds(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)


PROJECT_DIR = Path(__file__).resolve().parent

# The only place that defines the site's URL. Tokens must not depend on a request's Host header.
BASE_URL = os.environ.get("EXAMPLE_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
_IS_HTTPS = BASE_URL.startswith("https://")

# The identifiers of the two resource servers: the "aud" of their tokens.
NOTES_API = f"{BASE_URL}/api/"
REPORTS_API = f"{BASE_URL}/reports/"
# The MCP server, which runs in another process. Its identifier is its URL, exactly.
MCP_SERVER = os.environ.get("EXAMPLE_MCP_URL", "http://127.0.0.1:8001/mcp")

# An attacker who knows the key can log in as any user and decrypt the private keys. Set your own in production.
SECRET_KEY = os.environ.get("EXAMPLE_SECRET_KEY", "insecure-for-development-only-" + "0" * 40)
DEBUG = _flag("EXAMPLE_DEBUG", default=True)
ALLOWED_HOSTS = sorted({urlsplit(BASE_URL).hostname or "localhost", "localhost", "127.0.0.1", "[::1]"})
CSRF_TRUSTED_ORIGINS = [BASE_URL] if _IS_HTTPS else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _IS_HTTPS

DATABASES = {
    "default": dj_database_url.config(default=f"sqlite:///{PROJECT_DIR / 'example.sqlite3'}", conn_max_age=60),
}
_database = DATABASES["default"]
_IS_SQLITE = _database["ENGINE"] == "django.db.backends.sqlite3"
if _IS_SQLITE:
    # The server and the command that rotates the keys are two processes, whose writes must wait for each other.
    _database["OPTIONS"] = {"timeout": 20, "transaction_mode": "IMMEDIATE", **_database.get("OPTIONS", {})}

INSTALLED_APPS = [
    "example_project",  # First, so that its templates override DOT's.
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "oauth2_provider",
    "rest_framework",
    "django_at_jwt",  # Added for django-at-jwt.
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
STATIC_URL = "/static/"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django": {"handlers": ["console"], "level": "INFO"},
        # At INFO, it logs why a token was rejected, which the client does not learn.
        "django_at_jwt": {"handlers": ["console"], "level": "INFO"},
    },
}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}

# DOT signs ID tokens with an RSA key, which is in a file next to the database.
_DATA_DIR = Path(_database["NAME"]).parent if _IS_SQLITE and Path(_database["NAME"]).is_absolute() else PROJECT_DIR
_ID_TOKEN_KEY_FILE = Path(os.environ.get("EXAMPLE_ID_TOKEN_KEY_FILE") or _DATA_DIR / "oidc_rsa.pem")

# How long a key is published before it signs. It must be longer than all caches and clock differences, so those
# settings are derived from it: the demonstration only sets this one.
_PROPAGATION_TIME = _seconds("EXAMPLE_PROPAGATION_SECONDS", 7 * 24 * 3600)
_PART = _PROPAGATION_TIME // 3

PASSWORD_HASHERS = [*global_settings.PASSWORD_HASHERS, "django_at_jwt.hashers.ClientSecretHasher"]

OAUTH2_PROVIDER = {
    # Added for django-at-jwt. MCP clients describe themselves in documents on the web; Cursor has its own URL scheme.
    **oauth2_provider_settings(profile="rfc9700", mcp=True, redirect_schemes=["cursor"]),
    "CLIENT_SECRET_HASHER": "at_jwt_hmac_sha256",  # Optional: generated client secrets are verified fast.
    # Optional: administrators can add scopes when they register an API.
    "SCOPES_BACKEND_CLASS": "django_at_jwt.scopes.ResourceServerScopes",
    "OIDC_ISS_ENDPOINT": f"{BASE_URL}/o",  # Required by django-at-jwt: the issuer, "iss" in each token.
    "ACCESS_TOKEN_EXPIRE_SECONDS": _seconds("EXAMPLE_ACCESS_TOKEN_SECONDS", 3600),
    "OIDC_JWKS_MAX_AGE_SECONDS": _seconds("EXAMPLE_JWK_SET_MAX_AGE", min(3600, _PART)),
    "SCOPES": {
        "openid": "Know who you are",
        "profile": "Know your name and your department",
        "email": "Know your e-mail address",
        "api:read": "Read your notes",
        "api:write": "Write notes for you",
        "reports:read": "Read reports about all notes",
        "introspection": "Ask about tokens",
    },
    "DEFAULT_SCOPES": ["api:read"],
    "OAUTH_DEVICE_VERIFICATION_URI": f"{BASE_URL}/o/device/",
    "OAUTH_DEVICE_VERIFICATION_URI_COMPLETE": f"{BASE_URL}/o/device/?user_code={{user_code}}",
    "OIDC_ENABLED": True,
    "OIDC_RSA_PRIVATE_KEY": id_token_key(_ID_TOKEN_KEY_FILE),
    "ID_TOKEN_EXPIRE_SECONDS": 3600,
    # The example's own redirect URIs begin with the base URL.
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": _IS_HTTPS,
}

# E001: DOT alone cannot repeat a refresh if it stores only hashes of tokens; with django-at-jwt it works.
# W008: "http" is allowed, which django-at-jwt limits to the user's own machine.
SILENCED_SYSTEM_CHECKS = ["oauth2_provider.E001", "oauth2_provider.W008"]

# Added for django-at-jwt. DEFAULT_RESOURCE is required; further settings of APIs are in the admin or in
# RESOURCE_SERVERS. The durations have good defaults, and are only set here to be shortened by the demonstration.
AT_JWT = {
    "DEFAULT_RESOURCE": NOTES_API,
    # MCP clients without such a document may register themselves. They only get tokens for APIs that say so.
    "CLIENT_REGISTRATION": "open",
    # The user fields that administrators may use in claim mappers.
    "MAPPABLE_USER_FIELDS": ["email", "first_name", "last_name", "profile.department.code"],
    # The metadata for clients that only know an API's URL, such as MCP clients.
    "PROTECTED_RESOURCES": {
        NOTES_API: {"resource_name": "Notes", "scopes_supported": ["api:read", "api:write"]},
        REPORTS_API: {"resource_name": "Reports", "scopes_supported": ["reports:read"]},
    },
    "PROPAGATION_TIME": _PROPAGATION_TIME,
    "ROTATION_INTERVAL": _seconds("EXAMPLE_ROTATION_SECONDS", 90 * 24 * 3600),
    "KEY_RING_MAX_AGE": _seconds("EXAMPLE_KEY_RING_MAX_AGE", min(30, _PART)),
    "LEEWAY": _seconds("EXAMPLE_LEEWAY_SECONDS", min(30, _PART)),
}
