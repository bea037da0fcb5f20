"""The same site the other way round: users and the toolkit's tables are away, and the rest is in ``default``."""

from .settings import *  # noqa: F403

# Tables with a foreign key to users are where the users are.
APPS_AWAY = {"admin", "auth", "contenttypes", "oauth2_provider", "swapped"}
