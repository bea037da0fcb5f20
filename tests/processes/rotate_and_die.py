"""Rotations that are killed with SIGKILL, one at each step; writes the keys' states after each as JSON."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import sys
from collections import Counter

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


def states() -> dict[str, int]:
    """Return how many keys are in each state, if they are as the policy wants them."""
    from django.core.management import call_command
    from django.db import connection

    output = io.StringIO()
    call_command("rotate_signing_keys", "--json", "--dry-run", stdout=output)
    # A forked process needs its own connection.
    connection.close()
    document = json.loads(output.getvalue())
    assert document["changed"] is False
    return Counter(key["state"] for key in document["keys"])


def main() -> None:
    django.setup()
    from django.core.management import call_command

    from django_at_jwt.authorization_server.keys.store import key_store

    call_command("rotate_signing_keys", stdout=io.StringIO())
    results = {"first": states()}
    for step in STEPS:
        process = multiprocessing.get_context("fork").Process(target=die_at, args=[step])
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, step
        key_store.forget()
        results[step] = states()
    call_command("rotate_signing_keys", "--now", stdout=io.StringIO())
    results["again"] = states()
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
