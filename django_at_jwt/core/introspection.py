"""Token introspection: the answers, plain and signed (RFC 7662, RFC 9701)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.jose.jws import encode_segment, sign_compact

from .errors import UnacceptableDocument
from .profile import encode_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_at_jwt.core.jose.keys import PrivateKey

INACTIVE: Final[Mapping[str, Any]] = {"active": False}
"""The one answer for every token that is not active, and for tokens that the caller may not ask about."""

SIGNED_TYPE: Final = "token-introspection+jwt"
SIGNED_MEDIA_TYPE: Final = f"application/{SIGNED_TYPE}"

# Members that the issuer sets. Clients rely on them, so no claim mapper may.
_PROTOCOL: Final = frozenset({"active", "token_type", "username"})


def active_response(claims: Mapping[str, Any], *, username: str | None) -> dict[str, Any]:
    """Return the answer for an active token: its claims, and the members of RFC 7662 section 2.2.

    Args:
        claims: all claims of the token.
        username: of the token's user; ``None`` if the client acts for itself.
    """
    mapped = {name: value for name, value in claims.items() if name not in _PROTOCOL}
    response = {"active": True, "token_type": "Bearer", **mapped}
    return response if username is None else {**response, "username": username}


def signed_response(response: Mapping[str, Any], *, issuer: str, caller: str, issued_at: int, key: PrivateKey) -> str:
    """Return an answer as a signed JWT (RFC 9701 section 5).

    It has neither ``sub`` nor ``exp``, and its ``typ`` is not that of an access token, so it cannot be used as one.

    Args:
        response: the answer.
        caller: the ``client_id`` of the client that asked, for ``aud``.
        issued_at: whole seconds since the epoch.
    """
    header = {"typ": SIGNED_TYPE, "alg": key.algorithm.name, "kid": key.kid}
    claims = {"iss": issuer, "aud": caller, "iat": issued_at, "token_introspection": dict(response)}
    return sign_compact(key, encode_segment(encode_json(header)), encode_json(claims))


def is_active(document: Mapping[str, Any]) -> bool:
    """Return whether an issuer's answer says that a token is active.

    Raises:
        UnacceptableDocument: ``active`` is missing or not a boolean.
    """
    active = document.get("active")
    if not isinstance(active, bool):
        raise UnacceptableDocument('its "active" is not true or false')
    return active
