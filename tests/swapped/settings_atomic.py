"""The same site where each request is a transaction, in both databases."""

from .settings import *  # noqa: F403
from .settings import DATABASES as _DATABASES

DATABASES = {name: {**database, "ATOMIC_REQUESTS": True} for name, database in _DATABASES.items()}
