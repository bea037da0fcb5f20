"""Rotates once for each line of standard input, as cron does each time, and writes a line when it is done."""

from __future__ import annotations

import sys

import django

from . import clock

if __name__ == "__main__":
    clock.set_it()
    django.setup()
    from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys

    for _ in sys.stdin:
        rotate_signing_keys()
        sys.stdout.write("done\n")
        sys.stdout.flush()
