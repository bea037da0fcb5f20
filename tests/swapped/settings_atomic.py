"""The same site where each request is a transaction, in both databases."""

from tests.swapped.settings import *  # noqa: F403
from tests.swapped.settings import DATABASES as _DATABASES

DATABASES = {name: {**database, "ATOMIC_REQUESTS": True} for name, database in _DATABASES.items()}
