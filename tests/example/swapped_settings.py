"""The wider site with swapped models for users, whose keys are UUIDs, and for all that the toolkit stores.

It has two databases: this app's tables are in one for themselves.
"""

from pathlib import Path

from tests.swapped.settings import (  # noqa: F401 - these are the settings
    APPS_AWAY,
    AUTH_USER_MODEL,
    DATABASE_ROUTERS,
    OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL,
    OAUTH2_PROVIDER_APPLICATION_MODEL,
    OAUTH2_PROVIDER_DEVICE_GRANT_MODEL,
    OAUTH2_PROVIDER_GRANT_MODEL,
    OAUTH2_PROVIDER_ID_TOKEN_MODEL,
    OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL,
    TOKEN_KEYS,
)

from .wider_settings import *  # noqa: F403
from .wider_settings import DATABASES as _DATABASES
from .wider_settings import INSTALLED_APPS as _INSTALLED_APPS

INSTALLED_APPS = ["tests.swapped", *_INSTALLED_APPS]
DATABASES = {
    **_DATABASES,
    "away": {**_DATABASES["default"], "NAME": str(Path(_DATABASES["default"]["NAME"]).with_name("away.sqlite3"))},
}
