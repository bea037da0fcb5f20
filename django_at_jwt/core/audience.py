"""Which audience a token gets: RFC 8707 §2 and RFC 9068 §3, on plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import InvalidTarget

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def is_resource_identifier(value: object) -> bool:
    """Tell whether ``value`` may identify a resource server: absolute, with a host, no fragment (RFC 8707 §2)."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or "#" in value:
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.scheme and parts.hostname and parts.username is None and (parts.port is None or parts.port))
    except ValueError:
        return False


def resolve_audience(
    *,
    requested: Sequence[object],
    granted: Sequence[str] | None,
    known: Collection[str],
    default: str,
) -> tuple[str, ...]:
    """Work out the audience of a token.

    Args:
        requested: the values of the request's ``resource`` parameters, in order, unchecked.
        granted: what the resource owner agreed to before (code exchange and refresh narrow it and never widen it), or
            ``None`` where this request is itself the first.
        known: identifiers of the registered resource servers.
        default: the audience where nobody asked for one.

    Returns:
        One identifier at the least, each once, in the order of the request.

    Raises:
        InvalidTarget: a requested resource is malformed, not registered, or was not granted.
    """
    wanted: Sequence[object] = requested or granted or (default,)
    audience: list[str] = []
    for resource in wanted:
        # The text of the request is not repeated in the answer: it may end up in a page or a log.
        if not isinstance(resource, str) or not is_resource_identifier(resource):
            raise InvalidTarget("A requested resource is not an absolute URI without a fragment.")
        if resource in audience:
            continue
        if resource not in known:
            raise InvalidTarget("A requested resource is not registered with this authorization server.")
        if granted and resource not in granted:
            # This one is registered, so it is no text of the client's own.
            raise InvalidTarget(
                f"The requested resource {resource} was not granted. A token request cannot escalate resource "
                "permissions beyond the original authorization grant."
            )
        audience.append(resource)
    return tuple(audience)
