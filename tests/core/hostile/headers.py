"""Hostile headers: keys, types, extensions and encryption."""

from __future__ import annotations

import json
import zlib
from typing import Any

from django_at_jwt.core.errors import RejectionReason
from tests.core.token_factory import ABSENT, NOW, Raw, TokenFactory, b64url, der, json_of

from . import rows


def key_in_header(factory: TokenFactory, kid: str, **members: Any) -> str:
    """Sign with the attacker's key and put it into the header."""
    return factory.attacker.token(header=factory.header(kid=kid, **members))


ATTACKERS_KEYS = {
    "jwk": lambda factory: {"jwk": factory.attacker.jwk},
    "jku": lambda _forge: {"jku": "https://attacker.example/jwks.json"},
    "jku to a file": lambda _forge: {"jku": "file:///etc/passwd"},
    "x5u": lambda _forge: {"x5u": "https://attacker.example/chain.pem"},
    "x5c": lambda factory: {"x5c": [b64url(der(factory.attacker.key))]},
    "x5t": lambda _forge: {"x5t": b64url(b"\1" * 20), "x5t#S256": b64url(b"\1" * 32)},
    "all of them": lambda factory: {
        "jwk": factory.attacker.jwk,
        "jku": "https://attacker.example/jwks.json",
        "x5u": "https://attacker.example/chain.pem",
        "x5c": [b64url(der(factory.attacker.key))],
    },
}
KEYS_IN_HEADER = [
    *rows(
        4,
        "RFC 8725 section 3.10",
        RejectionReason.UNKNOWN_KEY,
        {
            f"{label} of the attacker under the attacker's kid": (
                lambda factory, members=members: key_in_header(factory, factory.attacker.kid, **members(factory))
            )
            for label, members in ATTACKERS_KEYS.items()
        },
        shows=("8725-8", "8725-10"),
    ),
    *rows(
        4,
        "RFC 8725 section 3.10",
        RejectionReason.BAD_SIGNATURE,
        {
            f"{label} of the attacker under the issuer's kid": (
                lambda factory, members=members: key_in_header(factory, factory.kid, **members(factory))
            )
            for label, members in ATTACKERS_KEYS.items()
        },
        shows=("8725-8", "8725-10"),
    ),
]

KID = [
    *rows(
        5,
        "RFC 8725 section 3.10",
        RejectionReason.UNKNOWN_KEY,
        {
            f"kid {label}": (lambda factory, text=text: factory.with_header(kid=text(factory)))
            for label, text in {
                "path": lambda _forge: "../../../../../../dev/null",
                "absolute path": lambda _forge: "/proc/sys/kernel/randomize_va_space",
                "address": lambda _forge: "http://169.254.169.254/latest/meta-data/",
                "SQL": lambda _forge: "' UNION SELECT 'a key' -- ",
                "SQL after the true kid": lambda factory: f"{factory.kid}' OR '1'='1",
                "command": lambda _forge: "key.pem|/bin/id",
                "NUL": lambda _forge: "\x00",
                "true kid and NUL": lambda factory: f"{factory.kid}\x00",
                "other case": lambda factory: factory.kid.swapcase(),
                "lower case": lambda factory: factory.kid.lower(),
                "true kid and a space": lambda factory: f"{factory.kid} ",
                "true kid and padding": lambda factory: f"{factory.kid}=",
                "prefix of the true kid": lambda factory: factory.kid[:-1],
                "twice the true kid": lambda factory: factory.kid * 2,
                "empty": lambda _forge: "",
                "number as text": lambda _forge: "0",
                "template": lambda _forge: "{0.__class__}%s${7*7}",
                "of the attacker": lambda factory: factory.attacker.kid,
                "8,000 characters": lambda _forge: "k" * 8000,
            }.items()
        },
        shows=("8725-10",),
    ),
    *rows(
        5,
        "RFC 7515 section 4.1.4",
        RejectionReason.BAD_HEADER,
        {
            f"kid {label}": (lambda factory, value=value: factory.with_header(kid=value(factory)))
            for label, value in {
                "missing": lambda _forge: ABSENT,
                "null": lambda _forge: None,
                "number": lambda _forge: 0,
                "true": lambda _forge: True,
                "float": lambda _forge: 1.5,
                "empty list": lambda _forge: [],
                "list with the true one": lambda factory: [factory.kid],
                "object": lambda factory: {"kid": factory.kid},
            }.items()
        },
        shows=("8725-10",),
    ),
]

LOOK_ALIKES = {
    "Cyrillic a": "\u0430t+jwt",
    "Greek alpha": "\u03b1t+jwt",
    "Cyrillic t": "a\u0442+jwt",
    "full-width letters": "\uff41\uff54\uff0b\uff4a\uff57\uff54",
    "full-width plus": "at\uff0bjwt",
    "mathematical bold": "\U0001d41at+jwt",
    "circled a": "\u24d0t+jwt",
    "dotless j": "at+\u0237wt",
    "superscript plus": "at\u207ajwt",
    "zero width space": "at\u200b+jwt",
    "combining mark": "a\u0301t+jwt",
    "Turkish capital I": "appl\u0130cation/at+jwt",
    "dotless i": "appl\u0131cation/at+jwt",
    "Kelvin sign in front": "\u212aat+jwt",
    "long s": "at+jwt\u017f",
    "division slash": "application\u2215at+jwt",
}
TYPE = [
    *rows(
        9,
        "RFC 9068 section 4",
        RejectionReason.UNEXPECTED_TYPE,
        {
            f"typ {label}": (lambda factory, value=value: factory.with_header(typ=value))
            for label, value in {
                "missing": ABSENT,
                "empty": "",
                "null": None,
                "number": 1,
                "true": True,
                "list": ["at+jwt"],
                "object": {"typ": "at+jwt"},
                "JWT": "JWT",
                "jwt": "jwt",
                "application/jwt": "application/jwt",
                "at": "at",
                "prefix": "at+jw",
                "with a trailing space": "at+jwt ",
                "with a leading space": " at+jwt",
                "with a newline": "at+jwt\n",
                "with NUL": "at+jwt\x00",
                "with a parameter": "at+jwt;v=1",
                "with a second one": "at+jwt,JWT",
                "with trailing text": "at+jwtx",
                "application/ twice": "application/application/at+jwt",
                "of another tree": "text/at+jwt",
                "application/ and a space": "application/ at+jwt",
                "with a dash": "at-jwt",
                "with a space for the plus": "at jwt",
                **LOOK_ALIKES,
            }.items()
        },
        shows=("9068-21", "8725-11"),
    ),
]

OTHER_TOKENS = [
    *rows(
        10,
        "RFC 9068 section 5",
        RejectionReason.UNEXPECTED_TYPE,
        {
            "ID token": lambda factory: factory.token(
                header=factory.header(typ="JWT"),
                payload=factory.claims(aud="a-client-of-the-tests", nonce="n-0S6", at_hash="77QmUPtjPfzWtF2AnpK9RQ"),
            ),
            "ID token without a typ": lambda factory: factory.token(
                header=factory.header(typ=ABSENT), payload=factory.claims(aud="a-client-of-the-tests", nonce="n-0S6")
            ),
            "ID token for this audience": lambda factory: factory.token(
                header=factory.header(typ="JWT"), payload=factory.claims(nonce="n-0S6")
            ),
            "DPoP proof": lambda factory: factory.token(
                header=factory.header(typ="dpop+jwt", jwk=factory.members),
                payload={"jti": "-BwC3ESc6acc2lTc", "htm": "GET", "htu": "https://api.example.com/", "iat": NOW},
            ),
            "DPoP proof with all claims": lambda factory: factory.with_header(typ="dpop+jwt"),
            "logout token": lambda factory: factory.token(
                header=factory.header(typ="logout+jwt"),
                payload=factory.claims(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
            ),
            "security event token": lambda factory: factory.with_header(typ="secevent+jwt"),
            "authorization request object": lambda factory: factory.with_header(typ="oauth-authz-req+jwt"),
            "client assertion": lambda factory: factory.with_header(typ="client-authentication+jwt"),
            "introspection response": lambda factory: factory.with_header(typ="token-introspection+jwt"),
            "entity statement": lambda factory: factory.with_header(typ="entity-statement+jwt"),
        },
        shows=("9068-29", "8725-11"),
    ),
    *rows(
        10,
        "RFC 9068 section 5",
        RejectionReason.MALFORMED,
        {
            "refresh token": lambda _forge: "Mbj2yGdfYYrJHTuw1LqGeVdVJZ5iSN",
            "short opaque token": lambda _forge: "0",
            "opaque token with dots": lambda _forge: "v1.local",
        },
        shows=("9068-29",),
    ),
]


def over_raw_payload(factory: TokenFactory) -> str:
    """Sign as for ``b64: false`` (RFC 7797 section 3), but send the payload encoded."""
    header = b64url(json_of(factory.header(b64=False, crit=["b64"])).encode())
    claims = json_of(factory.claims())
    return f"{header}.{b64url(claims.encode())}.{b64url(factory.sign(f'{header}.{claims}'.encode()))}"


def with_raw_payload(factory: TokenFactory) -> str:
    header = b64url(json_of(factory.header(b64=False, crit=["b64"])).encode())
    claims = json_of(factory.claims())
    return f"{header}.{claims}.{b64url(factory.sign(f'{header}.{claims}'.encode()))}"


CRITICAL = [
    *rows(
        11,
        "RFC 7515 section 4.1.11",
        RejectionReason.CRITICAL_HEADER,
        {
            "crit unknown": lambda factory: factory.with_header(crit=["x"], x=1),
            "crit of what is not there": lambda factory: factory.with_header(crit=["exp"]),
            "crit of a registered member": lambda factory: factory.with_header(crit=["alg"]),
            "crit twice the same": lambda factory: factory.with_header(crit=["x", "x"], x=1),
            "crit empty list": lambda factory: factory.with_header(crit=[]),
            "crit string": lambda factory: factory.with_header(crit="x", x=1),
            "crit null": lambda factory: factory.with_header(crit=None),
            "crit object": lambda factory: factory.with_header(crit={}),
            "crit list of a number": lambda factory: factory.with_header(crit=[1]),
            "b64 false with crit": lambda factory: factory.with_header(b64=False, crit=["b64"]),
            "b64 false with crit, signed so": over_raw_payload,
            "b64 true with crit": lambda factory: factory.with_header(b64=True, crit=["b64"]),
        },
        shows=("7515-1",),
    ),
    *rows(
        11,
        "RFC 7797 section 6",
        RejectionReason.BAD_HEADER,
        {
            "b64 false without crit": lambda factory: factory.with_header(b64=False),
            "b64 true without crit": lambda factory: factory.with_header(b64=True),
            "b64 null": lambda factory: factory.with_header(b64=None),
        },
        shows=("7515-1",),
    ),
    *rows(
        11,
        "RFC 7797 section 5.2",
        RejectionReason.MALFORMED,
        {"b64 false with its payload unencoded": with_raw_payload},
        shows=("7515-1", "8725-14"),
    ),
]


def compressed(factory: TokenFactory) -> str:
    deflate = zlib.compressobj(wbits=-15)
    data = deflate.compress(json_of(factory.claims()).encode()) + deflate.flush()
    return factory.token(header=factory.header(zip="DEF"), payload=data)


def five_segments(header: dict[str, Any]) -> str:
    parts = (json_of(header).encode(), b"\1" * 256, b"\2" * 12, b"\3" * 300, b"\4" * 16)
    return ".".join(map(b64url, parts))


ENCRYPTED = [
    *rows(
        13,
        "RFC 9068 section 4",
        RejectionReason.ENCRYPTED,
        {
            f"JWE {label}": (lambda factory, members=members: five_segments(factory.header(**members)))
            for label, members in {
                "to the issuer's key": {"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "at+jwt"},
                "agreed": {"alg": "ECDH-ES", "enc": "A256GCM"},
                "direct": {"alg": "dir", "enc": "A128CBC-HS256"},
                "compressed": {"alg": "dir", "enc": "A256GCM", "zip": "DEF"},
                "with a password and a huge count": {
                    "alg": "PBES2-HS256+A128KW",
                    "enc": "A128GCM",
                    "p2s": "c2FsdA",
                    "p2c": 2**31 - 1,
                },
                "with a count of 5,000 digits": {"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": Raw("9" * 5000)},
                "with a header that says it is signed": {},
            }.items()
        }
        | {"JWE of nothing": lambda _forge: "...."},
        shows=("9068-22", "8725-15"),
    ),
    *rows(
        13,
        "RFC 8725 section 3.6",
        RejectionReason.BAD_HEADER,
        {
            "zip DEF": compressed,
            "zip null": lambda factory: factory.with_header(zip=None),
            "zip empty": lambda factory: factory.with_header(zip=""),
            "enc in a signed token": lambda factory: factory.with_header(enc="A256GCM"),
        },
        shows=("9068-22", "8725-15"),
    ),
    *rows(
        13,
        "RFC 9068 section 4",
        RejectionReason.ALGORITHM_MISMATCH,
        {
            "PBES2 in three segments": lambda factory: factory.with_header(
                alg="PBES2-HS256+A128KW", p2s="c2FsdA", p2c=2**31 - 1
            ),
            "dir in three segments": lambda factory: factory.with_header(alg="dir"),
        },
        shows=("9068-22", "8725-15"),
    ),
    *rows(
        13,
        "RFC 7519 section 5.2",
        RejectionReason.BAD_CLAIMS,
        {
            "nested token": lambda factory: factory.token(header=factory.header(cty="JWT"), payload=factory.token()),
            "nested token as JSON text": lambda factory: factory.token(payload=json.dumps(factory.token())),
            "nested token without cty": lambda factory: factory.token(payload=factory.token()),
        },
        shows=("9068-22",),
    ),
]

HEADERS = [*KEYS_IN_HEADER, *KID, *TYPE, *OTHER_TOKENS, *CRITICAL, *ENCRYPTED]
