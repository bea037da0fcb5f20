"""RFC 9068 access tokens for Django: issued by django-oauth-toolkit, verified by Django REST framework."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .conf import oauth2_provider_settings

if TYPE_CHECKING:
    from .core.errors import KeysUnavailable, RejectionReason, RevocationUnavailable, TokenRejected
    from .resource_server.verified_token import VerifiedToken, averify, verify
    from .resource_server.verifier import Verifier

__all__ = [
    "KeysUnavailable",
    "RejectionReason",
    "RevocationUnavailable",
    "TokenRejected",
    "VerifiedToken",
    "Verifier",
    "__version__",
    "averify",
    "oauth2_provider_settings",
    "verify",
]

__version__ = "0.1.0"

# Imported on first access, since settings modules import this package before Django is set up.
_MODULES: Final = {
    "KeysUnavailable": ".core.errors",
    "RejectionReason": ".core.errors",
    "RevocationUnavailable": ".core.errors",
    "TokenRejected": ".core.errors",
    "VerifiedToken": ".resource_server.verified_token",
    "Verifier": ".resource_server.verifier",
    "averify": ".resource_server.verified_token",
    "verify": ".resource_server.verified_token",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
