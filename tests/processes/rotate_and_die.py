"""``python -m tests.processes.rotate_and_die STEP``: a rotation that is killed with SIGKILL at one of its steps."""

from __future__ import annotations

import os
import signal
import sys

import django

STEPS = ("before the lock", "with the lock", "after a change", "after the keys", "committed")


def die_at(step: str) -> None:
    from django_at_jwt.authorization_server.keys import rotation
    from django_at_jwt.models import SigningKey

    def die(*_args, **_kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    save, take_times = SigningKey.save, SigningKey.take_times

    def save_and_die(row, *args, **kwargs):
        save(row, *args, **kwargs)
        if step == "after the keys" and kwargs.get("force_insert"):
            die()

    def take_times_and_die(row, *args, **kwargs):
        take_times(row, *args, **kwargs)
        if step == "after a change":
            die()

    SigningKey.save, SigningKey.take_times = save_and_die, take_times_and_die
    if step == "before the lock":
        rotation.signing_key_lock = die
    if step == "with the lock":
        rotation.plan_rotation = die
    if step == "committed":
        rotation.key_store.forget = die
    rotation.rotate_signing_keys(early=["ES256"])


if __name__ == "__main__":
    django.setup()
    die_at(sys.argv[1])
