"""Run commands in tests."""

from __future__ import annotations

import io

from django.core.management import call_command


def run(*arguments) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()
