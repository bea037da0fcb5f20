"""The line about the last run of the rotation above the list of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import Error as AnyDatabaseError
from django.utils.translation import gettext

from django_at_jwt.admin.dates import format_instant
from django_at_jwt.authorization_server.keys.rotation_run import last_run
from django_at_jwt.conf import app_settings
from django_at_jwt.core.key_schedule import run_problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django_at_jwt.core.key_lifecycle import KeyTimes


def run_line(keys: Iterable[KeyTimes], now: datetime) -> dict[str, str] | None:
    """Return a sentence about the last run, and the problem with it, or ``None`` if the record cannot be read."""
    try:
        run = last_run()
    except AnyDatabaseError:
        return None
    problem = run_problem(run, keys, max_age=app_settings().rotation_run_max_age, now=now)
    if run is None:
        # The problem would say the same.
        text = "" if problem else gettext("No run of rotate_signing_keys is recorded yet. Schedule it daily.")
    elif run.problem:
        text = gettext("rotate_signing_keys failed at %(at)s: %(problem)s") % {
            "at": format_instant(run.at),
            "problem": run.problem,
        }
    else:
        text = gettext("rotate_signing_keys last ran at %(at)s.") % {"at": format_instant(run.at)}
    return {"text": text, "problem": gettext(problem.text) % problem.parameters if problem else ""}
