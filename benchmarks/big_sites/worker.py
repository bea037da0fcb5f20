"""A process with a site of one size: ``python -m benchmarks.big_sites.worker SIZE``.

It fills the database of ``DATABASE_URL``, prints the names of its operations, and then runs each that it reads from
standard input, and prints what it cost. All lines are JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import django

from .sizes import Size

if TYPE_CHECKING:
    from .operations import Operation

# Some calls also read a cache again, each at most once in a second.
_COUNTED_CALLS: Final = 3


def main(size: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.site_settings"
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - after the settings

    from .fill import fill  # noqa: PLC0415
    from .operations import operations  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    started = time.monotonic()
    fill(Size(**json.loads(size)))
    filled = time.monotonic() - started
    _forbid_parallel_workers()
    known = {operation.name: operation for operation in operations()}
    _say({"filled": filled, "operations": list(known)})
    for line in sys.stdin:
        _say(_cost_of(known[json.loads(line)]))


def _forbid_parallel_workers() -> None:
    """Run all work in the process of the connection, so that its CPU time is the cost."""
    from django.db import connection  # noqa: PLC0415 - after the settings

    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET max_parallel_workers_per_gather = 0")
    connection.close()


def _say(value: Any) -> None:
    print(json.dumps(value), flush=True)


def _cost_of(operation: Operation) -> dict[str, float]:
    """Return the CPU time of a call, here and in the database server, in milliseconds, and its SQL statements."""
    from django.db import connection  # noqa: PLC0415 - after the settings
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    numbers = []
    for _ in range(_COUNTED_CALLS):
        with CaptureQueriesContext(connection) as statements:
            operation.call()
        numbers.append(len(statements))
    backend = connection.connection.info.backend_pid
    python, database = time.process_time(), seconds_of(backend)
    for _ in range(operation.calls):
        operation.call()
    return {
        "python": (time.process_time() - python) / operation.calls * 1000,
        "database": (seconds_of(backend) - database) / operation.calls * 1000,
        "statements": min(numbers),
    }


def seconds_of(process: int) -> float:
    """Return the CPU time of a process; 0 if the server is on another machine or this is not Linux."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError):
        return 0.0


if __name__ == "__main__":
    main(sys.argv[1])
