"""The site of the process tests, as the documentation asks for behind PgBouncer in transaction mode."""

from tests.processes.settings import *  # noqa: F403
from tests.settings import DATABASES

# A copy: this module is also imported by the test that compares it to the page.
DATABASES = {
    **DATABASES,
    "default": {
        **DATABASES["default"],
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {"connect_timeout": 3, "tcp_user_timeout": 5000},
        # Longer than a transaction, so that connections are kept while PgBouncer gives the server's to others.
        "CONN_MAX_AGE": 600,
    },
}
