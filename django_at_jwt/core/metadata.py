"""The authorization server's metadata document (RFC 8414), put together from what the server says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ID_TOKEN_ALGORITHMS = "id_token_signing_alg_values_supported"  # noqa: S105 - a member's name


def authorization_server_metadata(
    oauth: Mapping[str, Any],
    openid: Mapping[str, Any] | None,
    *,
    issuer: str,
    jwks_uri: str,
    signing_algorithms: Sequence[str],
) -> dict[str, Any]:
    """Make the one document that is served as RFC 8414 metadata and as OpenID Connect discovery, so that both agree.

    Args:
        oauth: what the server says of OAuth.
        openid: what it says of OpenID Connect, or ``None`` where that is off.
        signing_algorithms: those of the access tokens.

    Empty lists are left out (RFC 8414 §2).
    """
    merged: dict[str, Any] = {**oauth, **(openid or {})} | {"issuer": issuer, "jwks_uri": jwks_uri}
    for member in ("scopes_supported", "claims_supported"):
        if member in merged:
            merged[member] = sorted(merged[member])
    if openid is not None:
        # Some resource servers take the algorithms that they permit in access tokens from this member.
        told = openid.get(_ID_TOKEN_ALGORITHMS, ())
        merged[_ID_TOKEN_ALGORITHMS] = list(dict.fromkeys((*told, *signing_algorithms)))
    return {member: value for member, value in merged.items() if value not in ([], None)}
