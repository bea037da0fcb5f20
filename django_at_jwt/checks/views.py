"""Checks of the order of authentication classes in views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name
from django.urls import URLResolver, get_resolver

from .ids import CheckId, has_root_urlconf, views_take_access_tokens, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@when(has_root_urlconf, views_take_access_tokens)
def check_authentication_classes(**_kwargs: Any) -> list[CheckMessage]:
    """Check that ``AccessTokenAuthentication`` is first, so that requests without credentials get its challenge."""
    return [
        Warning(
            f"{place} lists {before} before AccessTokenAuthentication, so a request without credentials gets no Bearer "
            "challenge with the scopes.",
            hint="Put AccessTokenAuthentication first: Django REST framework sends the challenge of the first class, "
            "or status 403 if it has none.",
            id=CheckId.NOT_FIRST_AUTHENTICATION,
        )
        for place, before in dict.fromkeys(_misplaced())
    ]


def _misplaced() -> Iterator[tuple[str, str]]:
    from rest_framework.views import APIView  # noqa: PLC0415 - not installed in every project

    default = APIView.authentication_classes
    if before := _before_ours(default):
        yield 'REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"]', before
    for callback in _callbacks(get_resolver()):
        view = getattr(callback, "cls", None)
        if not (isinstance(view, type) and issubclass(view, APIView)):
            continue
        # as_view() and the actions of a view set may override the view's own classes.
        listed = getattr(callback, "initkwargs", {}).get("authentication_classes", view.authentication_classes)
        if listed is not default and (before := _before_ours(listed)):
            yield f"{view.__module__}.{view.__name__}", before


def _before_ours(listed: Sequence[Any]) -> str | None:
    """Return the name of the first class if ours is listed, but not first."""
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
