"""Tokens that every API must reject, each for a single reason: RFC 9068 section 4, RFC 8725 and RFC 7515."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jwcrypto.jwk import JWK

from django_at_jwt.core.jose.jws import encode_segment, sign_compact
from django_at_jwt.core.profile import REQUIRED_CLAIMS, encode_json, token_header

from .issuer import new_signing_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django_at_jwt.core.jose.keys import PrivateKey

    from .issuer import InMemoryIssuer

_DAY: Final = 86400
# Longer than any API should parse.
_LONG: Final = 64 * 1024

_attackers_key: Final = cache(new_signing_key)


@dataclass(frozen=True, slots=True)
class _TokenFactory:
    """The issuer's own key, and claims that the API would accept."""

    issuer: InMemoryIssuer
    claims: Mapping[str, Any]

    @property
    def key(self) -> PrivateKey:
        return self.issuer.signing_key

    @property
    def attacker(self) -> PrivateKey:
        return _attackers_key(self.key.algorithm.name)

    @property
    def audience(self) -> str:
        audience = self.claims["aud"]
        return str(audience if isinstance(audience, str) else audience[0])

    @property
    def header(self) -> dict[str, Any]:
        return token_header(self.key)

    def sign(self, header: Mapping[str, Any], payload: bytes | None = None, *, key: PrivateKey | None = None) -> str:
        segment = encode_segment(encode_json(header))
        return sign_compact(key or self.key, segment, encode_json(self.claims) if payload is None else payload)

    def with_header(self, *without: str, **changes: Any) -> str:
        return self.sign({name: value for name, value in {**self.header, **changes}.items() if name not in without})

    def with_claims(self, *without: str, **changes: Any) -> str:
        claims = {name: value for name, value in {**self.claims, **changes}.items() if name not in without}
        return self.sign(self.header, encode_json(claims))

    @property
    def segments(self) -> list[str]:
        return self.sign(self.header).split(".")


def _unsigned(factory: _TokenFactory, algorithm: str = "none") -> str:
    return factory.with_header(alg=algorithm).rpartition(".")[0] + "."


def _keyed_with_the_public_key(factory: _TokenFactory) -> str:
    pem = JWK(**factory.key.public_key.public_jwk).export_to_pem()
    signing_input = factory.with_header(alg="HS256").rpartition(".")[0]
    mac = hmac.new(pem, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{encode_segment(mac).decode()}"


def _changed_afterwards(factory: _TokenFactory) -> str:
    header, _, signature = factory.segments
    claims = encode_segment(encode_json({**factory.claims, "is_superuser": True})).decode()
    return f"{header}.{claims}.{signature}"


def _claim_twice(factory: _TokenFactory) -> str:
    payload = encode_json(factory.claims)
    return factory.sign(factory.header, payload[:-1] + b',"sub":"somebody else"}')


def _encrypted(factory: _TokenFactory) -> str:
    header = encode_segment(encode_json({**factory.header, "alg": "RSA-OAEP-256", "enc": "A256GCM"})).decode()
    return ".".join([header, *(encode_segment(bytes([part]) * 32).decode() for part in range(4))])


def _in_a_while(seconds: int) -> int:
    return int(time.time()) + seconds


def _key_in_the_header(factory: _TokenFactory) -> str:
    own = dict(factory.attacker.public_key.public_jwk)
    return factory.sign({**factory.header, "jwk": {**own, "kid": factory.key.kid}}, key=factory.attacker)


_MAKERS: Final[Mapping[str, Callable[[_TokenFactory], str]]] = {
    # The signature and the key.
    "alg none, unsigned": _unsigned,
    "alg NONE, unsigned": lambda factory: _unsigned(factory, "NONE"),
    "alg none, signed": lambda factory: factory.with_header(alg="none"),
    "alg missing": lambda factory: factory.with_header("alg"),
    "HS256 keyed with the public key": _keyed_with_the_public_key,
    "signed with another key": lambda factory: factory.sign(factory.header, key=factory.attacker),
    "signed with the key in its header": _key_in_the_header,
    "signed with an unpublished key": lambda factory: factory.sign(
        {**factory.header, "kid": factory.attacker.kid}, key=factory.attacker
    ),
    "kid missing": lambda factory: factory.with_header("kid"),
    "kid as a path": lambda factory: factory.with_header(kid="../../../../dev/null"),
    "signature missing": lambda factory: ".".join([*factory.segments[:2], ""]),
    "claims changed after signing": _changed_afterwards,
    # What kind of token it is.
    "typ missing": lambda factory: factory.with_header("typ"),
    "typ JWT": lambda factory: factory.with_header(typ="JWT"),
    "ID token": lambda factory: factory.sign(
        {**factory.header, "typ": "JWT"},
        encode_json({**factory.claims, "aud": factory.claims["client_id"], "nonce": "n-0S6"}),
    ),
    "logout token": lambda factory: factory.with_header(typ="logout+jwt"),
    "crit with an unknown name": lambda factory: factory.with_header(crit=["x"], x=1),
    "encrypted": _encrypted,
    "opaque": lambda _factory: "Mbj2yGdfYYrJHTuw1LqGeVdVJZ5iSN",
    "too long": lambda factory: factory.with_claims(x="x" * _LONG),
    "padded": lambda factory: f"{factory.sign(factory.header)}=",
    "claims that are not JSON": lambda factory: factory.sign(factory.header, b"not JSON"),
    "claims that are a list": lambda factory: factory.sign(factory.header, b"[]"),
    "sub twice": _claim_twice,
    # Who issued it, for whom and when.
    "another issuer": lambda factory: factory.with_claims(iss="https://issuer.attacker.example"),
    "issuer with a trailing slash": lambda factory: factory.with_claims(iss=f"{factory.claims['iss']}/"),
    "issuer in upper case": lambda factory: factory.with_claims(iss=factory.claims["iss"].upper()),
    "another audience": lambda factory: factory.with_claims(aud="https://api.attacker.example/"),
    "audience that begins with this one": lambda factory: factory.with_claims(aud=f"{factory.audience}x"),
    "audience that is the client": lambda factory: factory.with_claims(aud=factory.claims["client_id"]),
    "empty audience": lambda factory: factory.with_claims(aud=[]),
    "expired": lambda factory: factory.with_claims(exp=_in_a_while(-_DAY), iat=_in_a_while(-2 * _DAY)),
    "exp as text": lambda factory: factory.with_claims(exp=str(_in_a_while(_DAY))),
    "exp true": lambda factory: factory.with_claims(exp=True),
    "not valid yet": lambda factory: factory.with_claims(nbf=_in_a_while(_DAY), exp=_in_a_while(2 * _DAY)),
    "issued in the future": lambda factory: factory.with_claims(iat=_in_a_while(_DAY), exp=_in_a_while(2 * _DAY)),
    **{
        f"{claim} missing": lambda factory, claim=claim: factory.with_claims(claim)  # type: ignore[misc]
        for claim in REQUIRED_CLAIMS
    },
    "sub null": lambda factory: factory.with_claims(sub=None),
    "sub empty": lambda factory: factory.with_claims(sub=""),
    "sub that is a number": lambda factory: factory.with_claims(sub=1),
    "sub that is a list": lambda factory: factory.with_claims(sub=["1"]),
    "scope that is a list": lambda factory: factory.with_claims(scope=["read"]),
    "bound to a sender": lambda factory: factory.with_claims(
        cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}
    ),
}

HOSTILE_TOKENS: Final = tuple(_MAKERS)


def hostile_token(name: str, issuer: InMemoryIssuer, **claims: Any) -> str:
    """Return a token that every API must reject with 401, whatever its scopes.

    Args:
        name: one of :data:`HOSTILE_TOKENS`.
        issuer: signs the token, which is valid except for what the name says.
        claims: as for :meth:`InMemoryIssuer.token`, the claims of a token that the API would accept.

    Raises:
        KeyError: the name is unknown.
    """
    return _MAKERS[name](_TokenFactory(issuer, issuer.claims(**claims)))
