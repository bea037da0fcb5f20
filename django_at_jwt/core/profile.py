"""The JWT profile for access tokens: headers and claims (RFC 9068 section 2)."""

from __future__ import annotations

import json
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django_at_jwt.core.jose.jws import encode_segment

from .errors import RejectionReason, TokenRejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django_at_jwt.core.jose.keys import PrivateKey, PublicKey

# In seconds since the epoch: the end of the year 9999, the last of a datetime. Excludes infinity (1e400).
LAST_INSTANT: Final = 253402300799
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type
_ACCEPTED_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
# Members that change the meaning of the token, and that access tokens do not use (RFC 7797, RFC 7516).
_REFUSED_MEMBERS: Final = frozenset({"b64", "zip", "enc"})
REQUIRED_CLAIMS: Final = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")
RESERVED_CLAIMS: Final = frozenset({*REQUIRED_CLAIMS, "nbf", "scope", "auth_time", "acr", "amr", "cnf", "act"})


class KeyReference(NamedTuple):
    """The ``kid`` and ``alg`` in a token's header."""

    kid: str
    algorithm: str


class AccessTokenClaims(NamedTuple):
    """The typed claims of an access token. Create it with keywords; don't access items by index.

    ``issued_at``, ``expires_at`` and ``not_before`` are seconds since the epoch as in the token; ``not_before`` is
    ``None`` without ``nbf``. ``raw`` holds every claim of the token; treat it as read-only.

    A tuple, since one is created for each request and a frozen dataclass takes three times as long.
    """

    issuer: str
    subject: str
    audience: tuple[str, ...]
    client_id: str
    issued_at: float
    expires_at: float
    token_id: str
    scope: str
    not_before: float | None
    raw: Mapping[str, Any]

    @property
    def scopes(self) -> frozenset[str]:
        """The granted scopes."""
        return frozenset(self.scope.split())

    @property
    def is_machine(self) -> bool:
        """Whether the client acts for itself: its ``sub`` is its own ``client_id`` (RFC 9068 section 2.2).

        Such a token never belongs to a user, even if a user's identifier is the same string (RFC 9068 section 5).
        """
        return self.subject == self.client_id

    def limited_to(self, audiences: frozenset[str]) -> AccessTokenClaims:
        """Return the claims without the audiences of other APIs."""
        if audiences.issuperset(self.audience):
            return self
        return self._replace(audience=tuple(each for each in self.audience if each in audiences))


def check_type(header: Mapping[str, Any]) -> None:
    """Check that a header's ``typ`` is that of an access token, in any case (RFC 9068 section 4).

    Raises:
        TokenRejected: it is missing, another type, or not a string.
    """
    typ = header.get("typ")
    if not isinstance(typ, str) or not typ.isascii() or typ.lower() not in _ACCEPTED_TYPES:
        raise TokenRejected(RejectionReason.UNEXPECTED_TYPE, 'the "typ" is not at+jwt')


def check_extensions(header: Mapping[str, Any]) -> None:
    """Check that a header has no critical extensions; none are supported (RFC 7515 section 4.1.11).

    Raises:
        TokenRejected: it has ``crit``.
    """
    if "crit" in header:
        raise TokenRejected(RejectionReason.CRITICAL_HEADER, "critical header extensions")


def key_reference(header: Mapping[str, Any]) -> KeyReference:
    """Return the key reference of a header.

    Raises:
        TokenRejected: ``kid`` or ``alg`` is missing or not a string, or a member changes what the token means.

    Not checked: whether such a key or algorithm exists.
    """
    if not _REFUSED_MEMBERS.isdisjoint(header):
        raise TokenRejected(RejectionReason.BAD_HEADER, '"b64", "zip" and "enc" are not supported')
    kid, algorithm = header.get("kid"), header.get("alg")
    if not isinstance(kid, str) or not isinstance(algorithm, str):
        raise TokenRejected(RejectionReason.BAD_HEADER, '"kid" or "alg" is missing or not a string')
    return KeyReference(kid, algorithm)


def check_sender_constraint(raw: Mapping[str, Any]) -> None:
    """Check that a token is not bound to a sender, which is not supported (RFC 7800, RFC 9449 section 6).

    Raises:
        TokenRejected: it has ``cnf``.
    """
    if "cnf" in raw:
        raise TokenRejected(RejectionReason.SENDER_CONSTRAINED, "bound to a sender, which is not checked here")


def parse_claims(raw: Mapping[str, Any]) -> AccessTokenClaims:
    """Check that the claims of RFC 9068 section 2.2 are present and of the right type, and return them typed.

    Raises:
        TokenRejected: a required claim is missing, ``null``, empty or of the wrong type.

    Not checked: any value (issuer, audience and times are the verifier's), and ``cnf``.
    """
    try:
        issuer, expires_at, audience, subject, client_id, issued_at, token_id = _required_claims(raw)
    except KeyError:
        missing = ", ".join(claim for claim in REQUIRED_CLAIMS if claim not in raw)
        raise TokenRejected(RejectionReason.MISSING_CLAIM, missing) from None
    scope = raw.get("scope", "")
    # In one expression, since this runs for each request: a function call for each claim takes twice as long.
    if not (
        type(issuer) is type(subject) is type(client_id) is type(token_id) is type(scope) is str
        and (issuer and subject and client_id and token_id)
        and (type(issued_at) in _NUMBERS and 0 <= issued_at <= LAST_INSTANT)
        and (type(expires_at) in _NUMBERS and 0 <= expires_at <= LAST_INSTANT)
    ):
        raise _first_bad_claim(raw)
    if "nbf" in raw and not _is_instant(raw["nbf"]):
        raise _bad_claim("nbf", _AN_INSTANT)
    # In the order of the fields. NamedTuple's constructor takes twice as long as tuple's.
    fields = (
        issuer,
        subject,
        (audience,) if type(audience) is str and audience else _audiences(audience),
        client_id,
        issued_at,
        expires_at,
        token_id,
        scope,
        raw.get("nbf"),
        raw,
    )
    return tuple.__new__(AccessTokenClaims, fields)


_required_claims = itemgetter(*REQUIRED_CLAIMS)


# Exact types, since a boolean is an int too. Both are allowed (RFC 7519 section 2, NumericDate).
_NUMBERS: Final = frozenset({int, float})
_AN_INSTANT: Final = "a number of seconds since the epoch"


def _is_instant(value: Any) -> bool:
    return type(value) in _NUMBERS and 0 <= value <= LAST_INSTANT


def _first_bad_claim(raw: Mapping[str, Any]) -> TokenRejected:
    """Return the error for the first claim of the wrong type; there must be one."""
    if type(raw.get("scope", "")) is not str:
        return _bad_claim("scope", "a string")
    for claim in ("iss", "sub", "client_id", "jti"):
        if type(raw[claim]) is not str or not raw[claim]:
            return _bad_claim(claim, "a non-empty string")
    return _bad_claim("exp" if _is_instant(raw["iat"]) else "iat", _AN_INSTANT)


def _bad_claim(claim: str, wanted: str) -> TokenRejected:
    return TokenRejected(RejectionReason.BAD_CLAIM, f"{claim} is not {wanted}")


def _audiences(value: object) -> tuple[str, ...]:
    if type(value) is list and value and all(type(entry) is str and entry for entry in value):
        return tuple(value)
    raise _bad_claim("aud", "a string or a list of strings")


def assemble(
    *,
    issuer: str,
    subject: str,
    audience: Iterable[str],
    client_id: str,
    issued_at: int,
    lifetime: int,
    token_id: str,
    scopes: Iterable[str],
    authentication: Mapping[str, Any] | None = None,
    mapped: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the claims of one token (RFC 9068 section 2.2).

    Args:
        issued_at: whole seconds since the epoch.
        lifetime: whole seconds between ``iat`` and ``exp``.
        authentication: ``auth_time``, ``acr`` and ``amr`` if known (RFC 9068 section 2.2.1).
        mapped: additional claims, as for :func:`with_mapped`.
    """
    audiences = list(audience)
    claims = {
        "iss": issuer,
        "sub": subject,
        "aud": audiences[0] if len(audiences) == 1 else audiences,
        "client_id": client_id,
        "iat": issued_at,
        "exp": issued_at + lifetime,
        "jti": token_id,
        **(authentication or {}),
    }
    scope = " ".join(scopes)
    if scope:
        claims["scope"] = scope
    return with_mapped(claims, mapped or {})


def with_mapped(protocol: Mapping[str, Any], mapped: Mapping[str, Any]) -> dict[str, Any]:
    """Return the protocol claims and the mapped claims.

    Protocol claims are written last, so nothing can replace them. Mapped claims with a reserved name are dropped, even
    if the protocol has no value for them.
    """
    return {**{name: value for name, value in mapped.items() if name not in RESERVED_CLAIMS}, **protocol}


def token_header(key: PrivateKey | PublicKey) -> dict[str, str]:
    """Return the header of tokens signed by ``key`` (RFC 9068 section 2.1)."""
    return _header(key.algorithm.name, key.kid)


def header_segment(key: PrivateKey | PublicKey) -> bytes:
    """Return the encoded header of tokens signed by ``key``."""
    return _header_segment(key.algorithm.name, key.kid)


@lru_cache(maxsize=256)
def _header_segment(algorithm: str, kid: str) -> bytes:
    return encode_segment(encode_json(_header(algorithm, kid)))


def _header(algorithm: str, kid: str) -> dict[str, str]:
    return {"typ": TOKEN_TYPE, "alg": algorithm, "kid": kid}


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False).encode


def encode_json(value: Mapping[str, Any]) -> bytes:
    """Encode a value as compact JSON in UTF-8, as in tokens.

    Raises:
        ValueError, TypeError: JSON cannot represent the value; ``NaN`` is not JSON.
        RecursionError: the value contains itself.
    """
    return _encode(value).encode()
