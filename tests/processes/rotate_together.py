"""``python -m tests.processes.rotate_together N``: rotations by N processes at once; writes their statuses as JSON."""

from __future__ import annotations

import io
import json
import multiprocessing
import sys

import django

from tests.patience import PATIENCE_SECONDS


def main(count: int) -> None:
    django.setup()
    from django_at_jwt.authorization_server import row_cache
    from django_at_jwt.management.commands.rotate_signing_keys import Command

    # However long the others hold SQLite's lock, the database does not count as slow.
    row_cache.READ_PATIENCE = PATIENCE_SECONDS
    fork = multiprocessing.get_context("fork")
    ready = fork.Barrier(count)

    def rotate() -> None:
        sys.stdout = io.StringIO()
        command = Command()
        # All is ready but for the first query.
        ready.wait(PATIENCE_SECONDS)
        command.run_from_argv(["manage.py", "rotate_signing_keys", "--json"])

    processes = [fork.Process(target=rotate) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_SECONDS)
    sys.stdout.write(json.dumps([process.exitcode for process in processes]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
