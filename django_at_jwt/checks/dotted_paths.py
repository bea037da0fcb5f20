"""Whether the dotted paths in the settings lead anywhere."""

from __future__ import annotations

from django.utils.module_loading import import_string


def problem_with_callable(path: str) -> str | None:
    """Say what is wrong with the dotted path of something to be called, after its name, or give ``None``."""
    try:
        return None if callable(import_string(path)) else "cannot be called"
    except ImportError as error:
        return f"cannot be imported ({error})"
