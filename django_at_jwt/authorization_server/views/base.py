"""What the endpoints have in common: a core of their own, a request's values, and refusals as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import oauth2_provider
from django.http import JsonResponse
from django.template.loader import select_template

if TYPE_CHECKING:
    from django.http import QueryDict


class OwnCoreMixin:
    """Keeps what the toolkit caches on a view's class from being taken over from the class that it inherits from."""

    @classmethod
    def get_oauthlib_core(cls: Any) -> Any:
        """Give this very class's oauthlib core; the toolkit would find its parent's, with the parent's validator."""
        if "_oauthlib_core" not in vars(cls):
            cls._oauthlib_core = cls.get_oauthlib_backend_class()(cls.get_server())
        return super().get_oauthlib_core()  # type: ignore[misc]


def values_of(query: QueryDict, name: str) -> list[object]:
    """Give all values of a parameter that are not empty."""
    return [value for value in query.getlist(name) if value]


def refusal(code: str, description: str, status: int) -> JsonResponse:
    """Give an error as JSON (RFC 6749 §5.2)."""
    response = JsonResponse({"error": code, "error_description": description}, status=status)
    response["Cache-Control"] = "no-store"
    return response


def template_name_or_default(toolkit_name: str, our_name: str) -> str:
    """Give the name of a template: the toolkit's if the site has one of its own under it, else ours."""
    found = select_template([toolkit_name]).template.origin.name
    return our_name if found.startswith(_TOOLKIT_FOLDER) else toolkit_name


_TOOLKIT_FOLDER = str(Path(oauth2_provider.__file__).parent)
