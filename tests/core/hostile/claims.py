"""Hostile claims: times, audience, issuer, what is required, and binding to a sender."""

from __future__ import annotations

from typing import Any

from django_at_jwt.core.errors import RejectionReason
from tests.core.token_factory import ABSENT, API, CLIENT_ID, ISSUER, NOW, REPORTS, Raw

from . import rows


def claim(**changes: Any):
    return lambda factory: factory.with_claims(**changes)


NO_INSTANT = {
    "string": str(NOW + 3600),
    "date": "2030-01-01T00:00:00Z",
    "empty string": "",
    "true": True,
    "false": False,
    "null": None,
    "list": [NOW + 3600],
    "object": {"exp": NOW + 3600},
    "negative": -1,
    "just below zero": -0.5,
    "1e400": Raw("1e400"),
    "-1e400": Raw("-1e400"),
    "in milliseconds": (NOW + 3600) * 1000,
    "400 digits": Raw("9" * 400),
    "after the year 9999": 253402300800,
}
NO_JSON = {
    "NaN": Raw("NaN"),
    "Infinity": Raw("Infinity"),
    "-Infinity": Raw("-Infinity"),
    "5,000 digits": Raw("9" * 5000),
    "hexadecimal": Raw("0x7fffffff"),
    "with a leading zero": Raw("01800003600"),
    "with a leading plus": Raw("+1800003600"),
    "bare word": Raw("never"),
}
TIMES = [
    row
    for name, threat, shows in (("exp", 14, ("9068-26",)), ("iat", 15, ()), ("nbf", 15, ("7515-1",)))
    for row in (
        *rows(
            threat,
            "RFC 7519 section 2",
            RejectionReason.BAD_CLAIM,
            {f"{name} {label}": claim(**{name: value}) for label, value in NO_INSTANT.items()},
            shows=shows,
        ),
        *rows(
            threat,
            "RFC 8259 section 6",
            RejectionReason.BAD_CLAIMS,
            {f"{name} {label}": claim(**{name: value}) for label, value in NO_JSON.items()},
            shows=shows,
        ),
    )
] + [
    *rows(
        14,
        "RFC 9068 section 4",
        RejectionReason.EXPIRED,
        {
            "exp zero": claim(exp=0),
            "exp minus zero": claim(exp=Raw("-0.0")),
            "exp an hour ago": claim(exp=NOW - 3600),
            "exp as float, an hour ago": claim(exp=NOW - 3600.5),
            "exp tiny": claim(exp=Raw("1e-400")),
        },
        shows=("9068-26",),
    ),
    *rows(
        15,
        "RFC 7519 section 4.1.5",
        RejectionReason.NOT_YET_VALID,
        {
            "nbf in an hour": claim(nbf=NOW + 3600),
            "nbf as float, in an hour": claim(nbf=NOW + 3600.5),
            "nbf in the year 9999": claim(nbf=253402300799),
        },
        shows=("7515-1",),
    ),
    *rows(
        15,
        "RFC 7519 section 4.1.6",
        RejectionReason.NOT_YET_VALID,
        {"iat in an hour": claim(iat=NOW + 3600, exp=NOW + 7200), "iat as float, in an hour": claim(iat=NOW + 3600.5)},
    ),
]

AUDIENCE = [
    *rows(
        16,
        "RFC 9068 section 4",
        RejectionReason.WRONG_AUDIENCE,
        {
            f"aud {label}": claim(aud=value)
            for label, value in {
                "prefix": API[:-1],
                "host alone": "api.example.com",
                "longer": f"{API}admin",
                "longer host": "https://api.example.com.attacker.example/",
                "with a query": f"{API}?",
                "other case": API.upper(),
                "host in other case": "https://API.example.com/",
                "with a space": f"{API} ",
                "two in one string": f"{API} {REPORTS}",
                "two in one string, with a comma": f"{REPORTS},{API}",
                "another resource server": REPORTS,
                "list of others": [REPORTS, "https://third.example.com/"],
                "list of the letters": list(API),
                "client id": CLIENT_ID,
                "list of the client id": [CLIENT_ID],
                "issuer": ISSUER,
                "wildcard": "*",
                "look-alike": "https://\u0430pi.example.com/",
            }.items()
        },
        shows=("9068-24", "8725-9"),
    ),
    *rows(
        16,
        "RFC 7519 section 4.1.3",
        RejectionReason.BAD_CLAIM,
        {
            f"aud {label}": claim(aud=value)
            for label, value in {
                "object": {API: True},
                "object in a list": [{"aud": API}],
                "list mixed with a number": [API, 1],
                "list mixed with null": [API, None],
                "list mixed with the empty string": [API, ""],
                "nested list": [[API]],
                "list mixed with a list": [API, [API]],
                "empty list": [],
                "empty string": "",
                "null": None,
                "true": True,
                "number": 0,
            }.items()
        },
        shows=("9068-24", "8725-9"),
    ),
]

WRONG_ISSUER = [
    *rows(
        17,
        "RFC 9068 section 4",
        RejectionReason.WRONG_ISSUER,
        {
            f"iss {label}": claim(iss=value)
            for label, value in {
                "with a slash": f"{ISSUER}/",
                "other case": ISSUER.upper(),
                "host in other case": "https://AS.example.com/o",
                "path in other case": "https://as.example.com/O",
                "http": ISSUER.replace("https", "http"),
                "suffix": f"{ISSUER}auth",
                "suffix of the host": "https://as.example.com.attacker.example/o",
                "prefix": ISSUER[:-1],
                "without its path": "https://as.example.com",
                "with its port": "https://as.example.com:443/o",
                "with a user": "https://as.example.com@attacker.example/o",
                "with a space": f" {ISSUER}",
                "with a fragment": f"{ISSUER}#",
                "percent encoded": "https://as.example.com/%6F",
                "dot segments": "https://as.example.com/x/../o",
                "look-alike": "https://\u0430s.example.com/o",
                "of somebody else": "https://attacker.example/",
            }.items()
        },
        shows=("9068-23",),
    ),
    *rows(
        17,
        "RFC 7519 section 4.1.1",
        RejectionReason.BAD_CLAIM,
        {"iss list of the issuer": claim(iss=[ISSUER]), "iss object with the issuer": claim(iss={"iss": ISSUER})},
        shows=("9068-23",),
    ),
]

NO_TEXT = {
    "null": None,
    "empty": "",
    "number": 7,
    "zero": 0,
    "float": 1.5,
    "true": True,
    "false": False,
    "list": ["x"],
    "empty list": [],
    "object": {"x": "x"},
    "empty object": {},
}
TEXTS = ("iss", "sub", "client_id", "jti")
REQUIRED = [
    *rows(
        18,
        "RFC 9068 section 2.2",
        RejectionReason.MISSING_CLAIM,
        {f"{name} missing": claim(**{name: ABSENT}) for name in (*TEXTS, "aud", "iat", "exp")}
        | {
            "all missing": lambda factory: factory.token(payload="{}"),
            "required claims in other case": lambda factory: factory.token(
                payload={name.upper(): value for name, value in factory.claims().items()}
            ),
            "required claims one level down": lambda factory: factory.token(payload={"claims": factory.claims()}),
        },
    ),
    *rows(
        18,
        "RFC 9068 section 2.2",
        RejectionReason.BAD_CLAIM,
        {f"{name} {label}": claim(**{name: value}) for name in TEXTS for label, value in NO_TEXT.items()},
    ),
    *rows(
        18,
        "RFC 9068 section 2.2.3",
        RejectionReason.BAD_CLAIM,
        {
            f"scope {label}": claim(scope=value)
            for label, value in {
                "null": None,
                "number": 1,
                "true": True,
                "list": ["read"],
                "object": {"read": True},
            }.items()
        },
    ),
]

BOUND = [
    *rows(
        22,
        "RFC 7800 section 3.1",
        RejectionReason.SENDER_CONSTRAINED,
        {
            f"cnf {label}": claim(cnf=value)
            for label, value in {
                "of DPoP": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
                "of mutual TLS": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},
                "with a JWK": {"jwk": {"kty": "OKP"}},
                "unknown": {"x": 1},
                "empty": {},
                "null": None,
                "false": False,
                "string": "",
                "list": [],
            }.items()
        },
        shows=("9449-1",),
    ),
]

CLAIMS = [*TIMES, *AUDIENCE, *WRONG_ISSUER, *REQUIRED, *BOUND]
