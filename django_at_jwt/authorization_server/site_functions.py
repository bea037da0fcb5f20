"""Call functions that the site names in its settings."""

from __future__ import annotations

import traceback
from typing import Any

from django.utils.module_loading import import_string

from django_at_jwt.core.errors import IssuanceUnavailable


def call_site_function(setting: str, path: str, *arguments: Any) -> Any:
    """Call the site's own function, and turn any exception into :class:`IssuanceUnavailable`.

    Args:
        setting: the name of the setting that names the function, for the log.
        path: the function's dotted path.
        arguments: the function's positional arguments.
    """
    try:
        return import_string(path)(*arguments)
    except Exception as error:  # noqa: BLE001 - it is the site's own code
        # The error's text may contain the user's data; the place where it was raised does not.
        *_, last = traceback.extract_tb(error.__traceback__)
        where = f"in {last.name}, line {last.lineno}"
        raise IssuanceUnavailable(f'AT_JWT["{setting}"] ({path!r}) raised {type(error).__name__} {where}') from None
