"""The site of the tests with swapped models for users and for all that the toolkit stores, and two databases.

This app's tables are in one for themselves.
"""

import dj_database_url

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as _INSTALLED_APPS

INSTALLED_APPS = ["tests.swapped", *_INSTALLED_APPS]
AUTH_USER_MODEL = "swapped.User"
OAUTH2_PROVIDER_APPLICATION_MODEL = "swapped.Application"
OAUTH2_PROVIDER_GRANT_MODEL = "swapped.Grant"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "swapped.AccessToken"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "swapped.RefreshToken"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "swapped.IDToken"
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "swapped.DeviceGrant"

DATABASES = {name: dj_database_url.parse("sqlite://:memory:") for name in ("default", "away")}
DATABASE_ROUTERS = ["tests.swapped.router.AppsAwayRouter"]
APPS_AWAY = {"django_at_jwt"}
TOKEN_KEYS = "number"
