"""Checks of the order of authentication classes in views, and of the class that handles a bearer token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name
from django.http import HttpRequest
from django.urls import URLResolver, get_resolver

from .ids import CheckId, has_root_urlconf, system_check, views_take_access_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@system_check(has_root_urlconf, views_take_access_tokens)
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
        for place, before in dict.fromkeys(
            (place, _name(listed[0]))
            for place, listed in _lists_of_classes()
            if any(map(_is_ours, listed)) and not _is_ours(listed[0])
        )
    ]


@system_check(has_root_urlconf, views_take_access_tokens)
def check_other_bearer_tokens(**_kwargs: Any) -> list[CheckMessage]:
    """Check that authentication classes after ``AccessTokenAuthentication`` receive their tokens."""
    messages: list[CheckMessage] = []
    for place, listed in _lists_of_classes():
        ours = [each for each in listed if _is_ours(each)]
        exclusive = next((number for number, each in enumerate(listed) if _is_ours(each) and each.exclusive), None)
        unreached = (
            [] if exclusive is None else [each for each in listed[exclusive + 1 :] if _takes_bearer_tokens(each)]
        )
        if unreached:
            messages.append(
                Warning(
                    f"{place} lists {_name(unreached[0])} after AccessTokenAuthentication, which rejects all bearer "
                    f"tokens that are not for it, so {_name(unreached[0])} never gets one.",
                    hint="Use AccessTokenAuthentication.for_audience(None, exclusive=False) for all but the last class "
                    "that takes bearer tokens, or remove the other class.",
                    id=CheckId.UNREACHABLE_BEARER_AUTHENTICATION,
                )
            )
        if ours and exclusive is None and not any(map(_takes_bearer_tokens, listed[listed.index(ours[-1]) + 1 :])):
            messages.append(
                Warning(
                    f"{place} has an AccessTokenAuthentication with exclusive=False as the last class that takes "
                    "bearer tokens, so a request with an invalid token counts as one without a token.",
                    hint="Leave the last class exclusive. Otherwise, a view that allows anonymous requests does not "
                    "tell the client that its token is invalid.",
                    id=CheckId.NO_EXCLUSIVE_BEARER_AUTHENTICATION,
                )
            )
    return messages


def _lists_of_classes() -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield each list of authentication classes once, with the place where it is written."""
    from rest_framework.views import APIView  # noqa: PLC0415 - not installed in every project

    default = APIView.authentication_classes
    found = {('REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"]', tuple(default)): None}
    for callback in _callbacks(get_resolver()):
        view = getattr(callback, "cls", None)
        if not (isinstance(view, type) and issubclass(view, APIView)):
            continue
        # as_view() and the actions of a view set may override the view's own classes.
        listed = getattr(callback, "initkwargs", {}).get("authentication_classes", view.authentication_classes)
        if listed is not default:
            found[f"{view.__module__}.{view.__name__}", tuple(listed)] = None
    yield from found


def _is_ours(each: Any) -> bool:
    from django_at_jwt.resource_server.rest_framework.authentication import (  # noqa: PLC0415 - as above
        AccessTokenAuthentication,
    )

    return isinstance(each, type) and issubclass(each, AccessTokenAuthentication)


def _takes_bearer_tokens(each: Any) -> bool:
    """Return whether the challenge of an authentication class is for the scheme ``Bearer``."""
    from rest_framework.request import Request  # noqa: PLC0415 - as above

    request = HttpRequest()
    request.META = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    try:
        challenge = each().authenticate_header(Request(request))
    except Exception:  # noqa: BLE001 - a class of the site that needs more of a request
        return False
    return isinstance(challenge, str) and challenge.partition(" ")[0].lower() == "bearer"


def _name(each: Any) -> str:
    return str(getattr(each, "__name__", repr(each)))


def _callbacks(resolver: URLResolver) -> Iterator[Any]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _callbacks(pattern)
        else:
            yield pattern.callback
