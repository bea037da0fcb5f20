"""Helpers shared by the endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import oauth2_provider
from django.http import JsonResponse
from django.template.loader import select_template


class OwnCoreMixin:
    """Gives each view class its own oauthlib core, which DOT caches on the class and subclasses would inherit."""

    @classmethod
    def get_oauthlib_core(cls: Any) -> Any:
        """Return the oauthlib core of this class; DOT would return its parent's, with the parent's validator."""
        if "_oauthlib_core" not in vars(cls):
            cls._oauthlib_core = cls.get_oauthlib_backend_class()(cls.get_server())
        return super().get_oauthlib_core()  # type: ignore[misc]


def refusal(code: str, description: str, status: int) -> JsonResponse:
    """Return an error response as JSON (RFC 6749 section 5.2)."""
    response = JsonResponse({"error": code, "error_description": description}, status=status)
    response["Cache-Control"] = "no-store"
    return response


_DOT_FOLDER: Final = str(Path(oauth2_provider.__file__).parent)


def with_own_template(names: list[str], *, dot_name: str, own_name: str) -> list[str]:
    """Return the template names of a view, with this app's in place of DOT's unless the site overrides that one."""
    if names != [dot_name] or not select_template(names).template.origin.name.startswith(_DOT_FOLDER):
        return names
    return [own_name]
