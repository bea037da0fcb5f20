"""The wider site with models of its own for users, whose keys are UUIDs, and for all that the toolkit stores.

It has two databases: this app's tables are in one for themselves.
"""

from pathlib import Path

from .wider_settings import *  # noqa: F403
from .wider_settings import DATABASES as _DATABASES
from .wider_settings import INSTALLED_APPS as _INSTALLED_APPS

INSTALLED_APPS = ["tests.swapped", *_INSTALLED_APPS]
DATABASES = {
    **_DATABASES,
    "away": {**_DATABASES["default"], "NAME": str(Path(_DATABASES["default"]["NAME"]).with_name("away.sqlite3"))},
}
