"""An API in another project: no database, no django-oauth-toolkit, and this app not even installed."""

import json
import os

SECRET_KEY = "not the issuer's"
DEBUG = True  # The issuer of the tests is plain http on loopback.
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.processes.api_urls"
INSTALLED_APPS = ["rest_framework"]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["django_at_jwt.rest_framework.AccessTokenAuthentication"],
    "UNAUTHENTICATED_USER": None,
}
CACHES = {"default": json.loads(os.environ["TEST_CACHE"])}
AT_JWT = json.loads(os.environ["TEST_AT_JWT"])
