"""Helpers shared by the endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def template_name_or_default(dot_name: str, our_name: str) -> str:
    """Return the name of DOT's template if the site overrides it, else the name of ours."""
    found = select_template([dot_name]).template.origin.name
    return our_name if found.startswith(_DOT_FOLDER) else dot_name


_DOT_FOLDER = str(Path(oauth2_provider.__file__).parent)
