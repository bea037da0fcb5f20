"""The site of the process tests, as the documentation asks for behind PgBouncer in transaction mode."""

from tests.processes.settings import *  # noqa: F403
from tests.settings import DATABASES

DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
DATABASES["default"]["OPTIONS"] = {"connect_timeout": 3, "tcp_user_timeout": 5000}
# Longer than a transaction, so that connections are kept while PgBouncer gives the server's to others.
DATABASES["default"]["CONN_MAX_AGE"] = 600
