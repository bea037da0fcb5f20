"""Run commands in tests."""

from __future__ import annotations

import io

from django.core.management import call_command


def run(*arguments, **options) -> str:
    """Return what a command writes."""
    out = io.StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def run_to_exit(*arguments) -> tuple[int, str]:
    """Return the exit status of a command, and what it writes."""
    out, status = io.StringIO(), 0
    try:
        call_command(*arguments, stdout=out)
    except SystemExit as ended:
        status = ended.code
    return status, out.getvalue()
