"""Where views list the authentication class for access tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name
from django.urls import URLResolver, get_resolver

from .ids import CheckId, views_take_access_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def check_authentication_classes(**_kwargs: Any) -> list[CheckMessage]:
    """``AccessTokenAuthentication`` stands first, so that its challenge answers a request without credentials."""
    if not getattr(django_settings, "ROOT_URLCONF", None) or not views_take_access_tokens():
        return []
    return [
        Warning(
            f"{place} lists {before} before AccessTokenAuthentication, so a request without credentials gets no Bearer "
            "challenge with the scopes.",
            hint="Put AccessTokenAuthentication first: Django REST framework sends the challenge of the first class, "
            "and 403 if it has none.",
            id=CheckId.NOT_FIRST_AUTHENTICATION,
        )
        for place, before in dict.fromkeys(_misplaced())
    ]


def _misplaced() -> Iterator[tuple[str, str]]:
    # Imported here, since Django REST framework need not be installed; where views take access tokens it is.
    from rest_framework.views import APIView  # noqa: PLC0415

    default = APIView.authentication_classes
    if before := _before_ours(default):
        yield "REST_FRAMEWORK['DEFAULT_AUTHENTICATION_CLASSES']", before
    for callback in _callbacks(get_resolver()):
        view = getattr(callback, "cls", None)
        if not (isinstance(view, type) and issubclass(view, APIView)):
            continue
        # as_view() and the actions of a view set may be given other classes than the view's own.
        listed = getattr(callback, "initkwargs", {}).get("authentication_classes", view.authentication_classes)
        if listed is not default and (before := _before_ours(listed)):
            yield f"{view.__module__}.{view.__name__}", before


def _before_ours(listed: Sequence[Any]) -> str | None:
    """Return the name of the first class if ours stands behind it."""
    from django_at_jwt.resource_server.rest_framework.authentication import (  # noqa: PLC0415 - as above
        AccessTokenAuthentication,
    )

    ours = [isinstance(each, type) and issubclass(each, AccessTokenAuthentication) for each in listed]
    return getattr(listed[0], "__name__", repr(listed[0])) if any(ours) and not ours[0] else None


def _callbacks(resolver: URLResolver) -> Iterator[Any]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _callbacks(pattern)
        else:
            yield pattern.callback
