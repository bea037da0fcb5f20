"""The check of metadata documents that the site serves itself (RFC 8414)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name
from django.http import HttpRequest

from django_at_jwt.conf import local_issuer
from django_at_jwt.core.metadata import is_issuer

from .ids import CheckId, has_root_urlconf, issues_tokens, settings_valid, system_check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django_at_jwt.authorization_server.endpoint_urls import Match

_NAMES: Final = ("oauth-authorization-server", "openid-configuration")
# Members that must match this issuer's: clients and APIs use them to find the keys.
_MEMBERS: Final = ("issuer", "jwks_uri")


@system_check(issues_tokens, settings_valid, has_root_urlconf)
def check_site_metadata(**_kwargs: Any) -> list[CheckMessage]:
    """Check that a metadata document of the site names this issuer and its keys, and is not hidden by this app's."""
    issuer = local_issuer()
    if not is_issuer(issuer):
        return []
    issuer_path = urlsplit(issuer).path
    messages: list[CheckMessage] = []
    for path in dict.fromkeys(_paths(issuer_path)):
        is_of_this_issuer = path.startswith(issuer_path) or path.endswith(issuer_path)
        messages += _problems_at(path, is_of_this_issuer=is_of_this_issuer)
    return messages


def has_metadata(path: str) -> bool:
    """Return whether a view of this app, or of the site, answers at a path with a metadata document."""
    from django_at_jwt.authorization_server.endpoint_urls import matches  # noqa: PLC0415 - it needs django-oauth-toolkit
    from django_at_jwt.authorization_server.views.metadata import MetadataView  # noqa: PLC0415 - as above

    served = next(iter(matches(path)), None)
    if served is None:
        return False
    if served.view_class is not None and issubclass(served.view_class, MetadataView):
        return True
    return _is_of_the_site(served) and _document(served, path) is not None


def _paths(issuer_path: str) -> Iterator[str]:
    for name in _NAMES:
        yield f"{issuer_path}/.well-known/{name}"
        yield f"/.well-known/{name}{issuer_path}"
        yield f"/.well-known/{name}"


def _problems_at(path: str, *, is_of_this_issuer: bool) -> Iterator[CheckMessage]:
    from django_at_jwt.authorization_server.endpoint_urls import matches  # noqa: PLC0415 - as above

    found = matches(path)
    if not found:
        return
    served, hidden = found[0], found[1:]
    if not _is_of_the_site(served):
        for each in hidden:
            if _is_of_the_site(each) and _document(each, path) is not None:
                yield _never_served(each, path, served)
    elif is_of_this_issuer and (document := _document(served, path)) is not None and (wrong := _wrong_in(document)):
        yield Warning(
            f"The metadata document of {_name(served)} at {path} hides this app's, and {' and '.join(wrong)}, so "
            "clients and APIs cannot use this issuer.",
            hint="Build it on django_at_jwt.oauth2_views.issuer_metadata(), and add your members to that.",
            id=CheckId.FOREIGN_METADATA,
        )


def _never_served(match: Match, path: str, served: Match) -> CheckMessage:
    return Warning(
        f"The metadata document of {_name(match)} at {path} is never served: {served.route} comes first in the "
        "URLconf.",
        hint="Remove it, or put it first and build it on django_at_jwt.oauth2_views.issuer_metadata().",
        id=CheckId.FOREIGN_METADATA,
    )


def _wrong_in(document: Mapping[str, Any]) -> list[str]:
    """Return how a document's members differ from those of this app's."""
    from django_at_jwt.authorization_server.views.metadata import issuer_metadata  # noqa: PLC0415 - as above

    ours = issuer_metadata()
    return [
        f"its {member} is {document[member]!r}, not {ours[member]!r}" if member in document else f"it has no {member}"
        for member in _MEMBERS
        if member in ours and document.get(member) != ours[member]
    ]


def _is_of_the_site(match: Match) -> bool:
    """Return whether a view is neither this app's nor DOT's, and its route names a metadata document.

    Only such a view is called: a catch-all view may have side effects.
    """
    from django_at_jwt.authorization_server.endpoint_urls import TOOLKIT_VIEWS  # noqa: PLC0415 - as above
    from django_at_jwt.authorization_server.views.metadata import MetadataView  # noqa: PLC0415 - as above

    known = (MetadataView, *TOOLKIT_VIEWS.values())
    is_known = match.view_class is not None and issubclass(match.view_class, known)
    return not is_known and any(name in match.route for name in _NAMES)


def _document(match: Match, path: str) -> Mapping[str, Any] | None:
    """Return the metadata document of a view, called without middleware, or ``None`` if it returns none."""
    parts = urlsplit(local_issuer())
    request = HttpRequest()
    request.method, request.path, request.path_info = "GET", path, path
    request.META = {
        "REQUEST_METHOD": "GET",
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or (80 if parts.scheme == "http" else 443)),
        "HTTP_HOST": parts.netloc,
    }
    view = async_to_sync(match.callback) if iscoroutinefunction(match.callback) else match.callback
    try:
        response = view(request, *match.args, **match.kwargs)
        if hasattr(response, "render"):
            response = response.render()
        document = json.loads(response.content) if response.status_code == HTTPStatus.OK else None
    except Exception:  # noqa: BLE001 - a view of the site, which may need what only a real request has
        return None
    return document if isinstance(document, dict) and "issuer" in document else None


def _name(match: Match) -> str:
    found: Any = match.view_class or match.callback
    return f"{found.__module__}.{getattr(found, '__qualname__', type(found).__name__)}"
