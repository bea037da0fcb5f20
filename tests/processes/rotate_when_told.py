"""A rotation that is all ready but for its first query, and begins when standard input is closed."""

from __future__ import annotations

import sys

import django

if __name__ == "__main__":
    django.setup()
    from django_at_jwt.management.commands.rotate_signing_keys import Command

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    Command().run_from_argv(["manage.py", "rotate_signing_keys", "--json"])
