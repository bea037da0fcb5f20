"""The settings of an API that only knows its issuer's URL.

It has no database and no django-oauth-toolkit, and shares nothing with the issuer.
"""

import os

# By default, the example as run by "make serve", and one of its two audiences.
ISSUER = os.environ.get("REMOTE_API_ISSUER", "http://127.0.0.1:8000/o")
AUDIENCE = os.environ.get("REMOTE_API_AUDIENCE", "http://127.0.0.1:8000/reports/")

AT_JWT = {"ISSUERS": {ISSUER: {"audience": AUDIENCE}}}

INSTALLED_APPS = ["rest_framework"]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["django_at_jwt.rest_framework.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,  # Django REST framework's default is a class of django.contrib.auth.
}
ROOT_URLCONF = "example_project.remote_api.urls"
USE_TZ = True

# For development only: plain http on 127.0.0.1 requires DEBUG.
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
SECRET_KEY = "insecure-for-development-only-" + "1" * 40
