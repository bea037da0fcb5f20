"""The protected resources of this project, and their metadata documents, which name the issuers (RFC 9728).

An API's identifier is also the ``aud`` of its tokens. Everything published comes from the settings, the host in URLs
included: a request's ``Host`` header is controlled by the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from django.core.exceptions import DisallowedHost
from django.urls import NoReverseMatch, reverse

from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.metadata import is_http_url, place_of_metadata, protected_resource_metadata, with_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest

URL_NAMESPACE: Final = "django_at_jwt_resources"

# The audiences that views declare, in that order. Views are imported with the URLs, before any request.
_named_by_views: dict[str, None] = {}


def name_protected_resource(identifier: str) -> None:
    """Register the identifier of an API that a view of this project declares."""
    _named_by_views[identifier] = None


def named_by_views() -> Sequence[str]:
    """Return the identifiers that imported views declare."""
    return tuple(_named_by_views)


def identifier_of(audiences: Sequence[str], request: HttpRequest | None = None) -> str | None:
    """Return the identifier by which an API presents itself: one with the host of the request, else the first URL.

    Args:
        audiences: the identifiers of the API; if empty, those in the settings.
        request: its host only selects one of the identifiers.

    Returns:
        The first identifier if none is a URL; ``None`` without identifiers.
    """
    candidates = audiences or tuple(_audiences_of_settings())
    urls = [identifier for identifier in candidates if is_http_url(identifier)]
    if request is not None and len(urls) > 1:
        host = _host_of(request)
        urls.sort(key=lambda url: urlsplit(url).netloc.lower() != host)
    return next(iter((*urls, *candidates)), None)


def _host_of(request: HttpRequest) -> str | None:
    try:
        return request.get_host().lower()
    except DisallowedHost:
        return None


def identifiers() -> Sequence[str]:
    """Return the identifiers of all APIs of this project that are URLs; others have no metadata document."""
    described = app_settings().protected_resources or {}
    return tuple(filter(is_http_url, dict.fromkeys((*_audiences_of_settings(), *described, *_named_by_views))))


def issuers_for(identifier: str) -> Sequence[str]:
    """Return the issuers whose tokens an API accepts, the local one first.

    A remote issuer's tokens are accepted only for the audiences that the settings list for it. The local issuer's
    tokens are accepted by each view that declares its audience, and by an API that is only described in the settings.
    """
    accepting, local = _audiences_of_settings().get(identifier, ()), local_issuer()
    if local and local not in accepting and (identifier in _named_by_views or not accepting):
        return (local, *accepting)
    return accepting


def _audiences_of_settings() -> dict[str, tuple[str, ...]]:
    """Return the issuers that the settings accept, by audience."""
    settings = app_settings()
    found: dict[str, tuple[str, ...]] = {}
    if local := local_issuer():
        found |= dict.fromkeys(settings.local_audiences, (local,))
    for issuer in settings.issuers:
        for audience in issuer.audience:
            if issuer.issuer not in found.get(audience, ()):
                found[audience] = (*found.get(audience, ()), issuer.issuer)
    return found


def document_for(identifier: str) -> dict[str, Any]:
    """Return an API's metadata document (RFC 9728 section 2)."""
    description = (app_settings().protected_resources or {}).get(identifier, {})
    return protected_resource_metadata(
        identifier, authorization_servers=issuers_for(identifier), description=description
    )


def metadata_url(identifier: str | None) -> str | None:
    """Return the URL of an API's metadata document, on the identifier's host.

    Returns:
        ``None`` if there is no such document: the identifier is not a URL, or the project does not include
        ``django_at_jwt.resource_urls``.
    """
    if identifier is None or not is_http_url(identifier):
        return None
    path, query = place_of_metadata(identifier)
    try:
        well_known = reverse(f"{URL_NAMESPACE}:protected-resource", kwargs={"resource_path": unquote(path)})
    except NoReverseMatch:
        return None
    return with_path(identifier, f"{well_known}{f'?{query}' if query else ''}")


def identifier_at(path: str, query: str, *, host: str) -> str | None:
    """Return the identifier of the API whose metadata document has this path and query, or ``None``.

    ``host`` only decides between identifiers that differ in their hosts alone.
    """
    wanted = "" if path == "/" else path
    candidates = []
    for identifier in identifiers():
        its_path, its_query = place_of_metadata(identifier)
        if unquote(its_path) == wanted and its_query in {"", query}:
            candidates.append(identifier)
    same_host = [identifier for identifier in candidates if urlsplit(identifier).netloc.lower() == host.lower()]
    chosen = same_host or (candidates if len(candidates) == 1 else [])
    return max(chosen, key=lambda identifier: len(urlsplit(identifier).query), default=None)
