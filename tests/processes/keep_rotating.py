"""``python -m tests.processes.keep_rotating SECONDS``: what cron does, in fast time."""

from __future__ import annotations

import sys
import time

import django

from tests.processes import clock

if __name__ == "__main__":
    clock.set_it()
    django.setup()
    from django_at_jwt.authorization_server.rotation import rotate_signing_keys

    ends = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < ends:
        rotate_signing_keys()
        time.sleep(0.2)
