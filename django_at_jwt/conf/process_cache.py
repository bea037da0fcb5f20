"""The registry of this process's caches, which :func:`clear_process_caches` empties."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from django.core.signals import setting_changed

if TYPE_CHECKING:
    from collections.abc import Callable

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

# The settings that cached values are derived from.
_SETTINGS: Final = frozenset(
    {
        "AT_JWT",
        "AUTH_USER_MODEL",
        "CACHES",
        "DEBUG",
        "INSTALLED_APPS",
        "OAUTH2_PROVIDER",
        "OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL",
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "USE_TZ",
    }
)
_clear_functions: Final[list[Callable[[], object]]] = []


def register_process_cache(clear: Callable[[], object]) -> None:
    """Register the function that empties one cache of this process."""
    _clear_functions.append(clear)


def process_cached(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Cache a function's results by its arguments until :func:`clear_process_caches`. Exceptions are not cached."""
    cached = lru_cache(maxsize=None)(function)
    register_process_cache(cached.cache_clear)
    return cached  # type: ignore[return-value] # lru_cache loses the parameters


def clear_process_caches() -> None:
    """Empty all caches of this process: settings, key rings, cached rows and verified tokens."""
    for clear in _clear_functions:
        clear()


def _on_setting_changed(*, setting: str, **_kwargs: Any) -> None:
    if setting in _SETTINGS:
        clear_process_caches()


# Connected on import, because a project that only verifies tokens need not install the app.
setting_changed.connect(_on_setting_changed, dispatch_uid="django_at_jwt.process_cache")
