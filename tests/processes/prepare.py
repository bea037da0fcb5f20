"""``python -m tests.processes.prepare tables|keys``: create all tables and a client, or the first signing keys."""

from __future__ import annotations

import sys

import django

from .databases import CLIENT


def main(what: str) -> None:
    django.setup()
    from django.core.management import call_command

    if what == "keys":
        call_command("rotate_signing_keys", verbosity=0)
        return
    call_command("migrate", verbosity=0)
    call_command("createapplication", "confidential", "client-credentials", name="service", **CLIENT)


if __name__ == "__main__":
    main(sys.argv[1])
