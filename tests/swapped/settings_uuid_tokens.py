"""The same site with UUIDs for the primary keys of access tokens."""

from .settings import *  # noqa: F403

TOKEN_KEYS = "uuid"
