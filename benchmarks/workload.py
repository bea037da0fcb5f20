"""The token that all variants use, with about 0.7 KiB of claims as JSON."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.jose.jws import sign_compact
from django_at_jwt.core.profile import assemble, encode_json, header_segment
from django_at_jwt.core.token_id import TokenId

if TYPE_CHECKING:
    from django_at_jwt.core.jose.keys import PrivateKey

ISSUER: Final = "https://as.example.com/o"
AUDIENCE: Final = "https://api.example.com/"
CLIENT_ID: Final = "rJ6WcVbqU9bIYqEzGRnXyMSzfEtkYzoAzdD1MSca"

# Typical claims of a company's tokens, in addition to the protocol claims.
_ATTRIBUTES: Final[dict[str, Any]] = {
    "name": "Adèle Lindqvist-Bergström",
    "preferred_username": "adele.lindqvist",
    "email": "adele.lindqvist@staff.example.com",
    "email_verified": True,
    "locale": "sv-SE",
    "groups": ["engineering", "engineering-platform", "on-call-primary", "release-managers"],
    "roles": ["editor", "publisher", "auditor"],
    "entitlements": ["reports.export", "reports.schedule", "ledger.read"],
    "https://example.com/tenant": {"id": 48213, "plan": "enterprise", "region": "eu-north-1"},
}


def claims(subject: str = CLIENT_ID, *, issuer: str = ISSUER) -> dict[str, Any]:
    """Return the claims of a token, with a new ``jti``."""
    return assemble(
        issuer=issuer,
        subject=subject,
        audience=[AUDIENCE],
        client_id=CLIENT_ID,
        issued_at=int(time.time()),
        lifetime=3600,
        token_id=str(TokenId(secrets.token_hex(16), secrets.token_hex(16), has_row=True)),
        scopes=["read", "write"],
        mapped=_ATTRIBUTES,
    )


def token(key: PrivateKey, subject: str = CLIENT_ID, *, issuer: str = ISSUER) -> str:
    """Return a token signed with ``key``."""
    return sign_compact(key, header_segment(key), encode_json(claims(subject, issuer=issuer)))
