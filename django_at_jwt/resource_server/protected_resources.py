"""The APIs that this project protects, and the documents by which clients find their issuers (RFC 9728).

An API is known by its identifier, which is also what its tokens have in ``aud``. Whatever is published of it comes from
the settings, and so does the host in its addresses: a request's ``Host`` is what the client wrote there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from django.urls import NoReverseMatch, reverse

from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.metadata import place_of_metadata, protected_resource_metadata, with_path

if TYPE_CHECKING:
    from collections.abc import Sequence

URL_NAMESPACE: Final = "django_at_jwt_resources"

# The audiences that views name, in the order in which they did. Views are imported with the URLs, before any request.
_named_by_views: dict[str, None] = {}


def name_protected_resource(identifier: str) -> None:
    """Note that some view of this project is an API with this identifier."""
    _named_by_views[identifier] = None


def named_by_views() -> Sequence[str]:
    """Give the identifiers that views name, as far as these were imported."""
    return tuple(_named_by_views)


def default_identifier() -> str | None:
    """Give the identifier of the API that the settings speak of: one that is a URL before a plain name."""
    return min(_audiences_of_settings(), key=lambda identifier: not _is_url(identifier), default=None)


def identifiers() -> Sequence[str]:
    """Give the identifiers of all APIs of this project, each once, if they are URLs: others have no document."""
    described = app_settings().protected_resources or {}
    return tuple(filter(_is_url, dict.fromkeys((*_audiences_of_settings(), *described, *_named_by_views))))


def issuers_for(identifier: str) -> Sequence[str]:
    """Give the issuers whose tokens an API accepts, the local one first.

    A remote issuer's are accepted for the audiences that the settings have for it, and for no other. The local
    issuer's are accepted by each view that names its audience, and by an API that is only described.
    """
    accepting, local = _audiences_of_settings().get(identifier, ()), local_issuer()
    if local and local not in accepting and (identifier in _named_by_views or not accepting):
        return (local, *accepting)
    return accepting


def _is_url(identifier: str) -> bool:
    parts = urlsplit(identifier)
    return parts.scheme in {"https", "http"} and bool(parts.netloc)


def _audiences_of_settings() -> dict[str, tuple[str, ...]]:
    """Give the issuers that the settings accept tokens of, by the audience that they accept them for."""
    settings = app_settings()
    found: dict[str, tuple[str, ...]] = {}
    if (local := local_issuer()) and (audience := settings.local_audience):
        found[audience] = (local,)
    for issuer in settings.issuers:
        for audience in issuer.audience:
            if issuer.issuer not in found.get(audience, ()):
                found[audience] = (*found.get(audience, ()), issuer.issuer)
    return found


def document_for(identifier: str) -> dict[str, Any]:
    """Give an API's metadata document (RFC 9728 §2)."""
    description = (app_settings().protected_resources or {}).get(identifier, {})
    return protected_resource_metadata(
        identifier, authorization_servers=issuers_for(identifier), description=description
    )


def metadata_url(identifier: str | None) -> str | None:
    """Give the address of an API's document, on the identifier's own host.

    Returns:
        ``None`` where there is no such document, as in a project that does not include ``django_at_jwt.resource_urls``,
        or for an API whose identifier is no URL.
    """
    if identifier is None or not _is_url(identifier):
        return None
    path, query = place_of_metadata(identifier)
    try:
        well_known = reverse(f"{URL_NAMESPACE}:protected-resource", kwargs={"resource_path": unquote(path)})
    except NoReverseMatch:
        return None
    return with_path(identifier, f"{well_known}{f'?{query}' if query else ''}")


def identifier_at(path: str, query: str, *, host: str) -> str | None:
    """Give the identifier whose document stands at an address, or ``None``.

    ``host`` only chooses between identifiers that differ in nothing but their hosts.
    """
    wanted = "" if path == "/" else path
    candidates = []
    for identifier in identifiers():
        its_path, its_query = place_of_metadata(identifier)
        if unquote(its_path) == wanted and its_query in {"", query}:
            candidates.append(identifier)
    of_host = [identifier for identifier in candidates if urlsplit(identifier).netloc == host]
    chosen = of_host or (candidates if len(candidates) == 1 else [])
    return max(chosen, key=lambda identifier: len(urlsplit(identifier).query), default=None)
