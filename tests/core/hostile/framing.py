"""Hostile framing: duplicate members, encodings and sizes."""

from __future__ import annotations

import json
from dataclasses import replace

from django_at_jwt.core.errors import RejectionReason
from tests.core.token_factory import EXPECTED, NOW, TokenFactory, b64url, json_of

from . import rows

MAX_BYTES = EXPECTED.max_bytes


def twice_in_claims(member: str):
    return lambda factory: factory.token(payload=f"{json_of(factory.claims())[:-1]},{member}}}")


def twice_in_header(member):
    return lambda factory: factory.token(header=f"{json_of(factory.header())[:-1]},{member(factory)}}}")


DUPLICATES = [
    *rows(
        12,
        "RFC 7519 section 4",
        RejectionReason.BAD_CLAIMS,
        {
            "exp twice": twice_in_claims(f'"exp":{NOW + 7200}'),
            "exp twice, both the same": twice_in_claims(f'"exp":{NOW + 3600}'),
            "aud twice": twice_in_claims('"aud":"https://reports.example.com/"'),
            "sub twice": twice_in_claims('"sub":"another-user"'),
            "sub twice, once null": twice_in_claims('"sub":null'),
            "sub twice, once with an escape": twice_in_claims('"\\u0073ub":"another-user"'),
            "unknown claim twice": twice_in_claims('"x":1,"x":2'),
            "nested member twice": twice_in_claims('"x":{"y":1,"y":2}'),
            "member twice deep in a list": twice_in_claims('"x":[[{"y":{"z":1,"z":1}}]]'),
            "empty name twice": twice_in_claims('"":1,"":2'),
            "aud first of another": lambda factory: factory.token(
                payload='{"aud":"x",' + json_of(factory.claims())[1:]
            ),
        },
        shows=("7515-1",),
    ),
    *rows(
        12,
        "RFC 7515 section 4",
        RejectionReason.BAD_HEADER,
        {
            "alg twice": twice_in_header(lambda _forge: '"alg":"none"'),
            "alg twice, both the same": twice_in_header(lambda factory: f'"alg":"{factory.algorithm}"'),
            "alg twice, once with an escape": twice_in_header(lambda _forge: '"a\\u006cg":"none"'),
            "typ twice": twice_in_header(lambda _forge: '"typ":"JWT"'),
            "kid twice": twice_in_header(lambda factory: f'"kid":"{factory.attacker.kid}"'),
            "unknown header member twice": twice_in_header(lambda _forge: '"x":1,"x":2'),
            "nested header member twice": twice_in_header(lambda _forge: '"jwk":{"kty":"RSA","kty":"oct"}'),
        },
        shows=("7515-1",),
    ),
]

_BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def unused_bit_set(segment: str) -> str:
    """Set an unused bit of the last character, so that both spellings decode to the same bytes."""
    assert len(segment) % 4 in {2, 3}
    return segment[:-1] + _BASE64URL[_BASE64URL.index(segment[-1]) + 1]


def of_length(members: dict, rest: int) -> str:
    """Encode members with white space so that the length is ``rest`` modulo 4."""
    text = json_of(members)
    while len(b64url(text.encode())) % 4 != rest:
        text += " "
    return b64url(text.encode())


def unused_bits_in(which: str, rest: int):
    def change(factory: TokenFactory) -> str:
        header, payload = of_length(factory.header(), rest), of_length(factory.claims(), rest)
        return factory.frame(
            unused_bit_set(header) if which == "header" else header,
            unused_bit_set(payload) if which == "payload" else payload,
        )

    return change


def unused_bits_in_signature(factory: TokenFactory) -> str:
    signing_input, _, signature = factory.token().rpartition(".")
    return f"{signing_input}.{unused_bit_set(signature)}"


def between(segment: int, text: str, *, at: int | None = None):
    """Insert text into one segment (by default at its end) and sign the result."""

    def change(factory: TokenFactory) -> str:
        header, payload, signature = factory.token().split(".")
        segments = [header, payload, signature]
        position = len(segments[segment]) if at is None else at
        segments[segment] = segments[segment][:position] + text + segments[segment][position:]
        if segment < len(segments) - 1:
            return factory.frame(segments[0], segments[1])
        return ".".join(segments)

    return change


def flattened(factory: TokenFactory) -> str:
    header, payload, signature = factory.token().split(".")
    return json.dumps({"protected": header, "payload": payload, "signature": signature})


def general(factory: TokenFactory) -> str:
    header, payload, signature = factory.token().split(".")
    return json.dumps({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})


STRAY = {
    "padding": "=",
    "a space": " ",
    "a tab": "\t",
    "a newline": "\n",
    "a carriage return and newline": "\r\n",
    "NUL": "\x00",
    "a plus": "+",
    "a slash": "/",
    "a percent": "%2E",
    "a comma": ",",
    "a tilde": "~",
    "no-break space": "\u00a0",
    "an accented letter": "\u00e9",
    "a full-width letter": "\uff21",
    "an Arabic digit": "\u0661",
    "a zero width space": "\u200b",
    "an emoji": "\U0001f511",
}
SEGMENT_NAMES = ("header", "payload", "signature")
FRAMING = [
    *rows(
        19,
        "RFC 7515 section 2",
        RejectionReason.MALFORMED,
        {
            f"{label} after the {SEGMENT_NAMES[segment]}": between(segment, text)
            for label, text in STRAY.items()
            for segment in range(3)
        }
        | {
            f"{label} within the {SEGMENT_NAMES[segment]}": between(segment, text, at=9)
            for label, text in STRAY.items()
            for segment in range(3)
        }
        | {
            "lone surrogate in the signature": lambda factory: factory.token() + "\ud800",
            "two characters of padding": between(1, "=="),
            "leading space": lambda factory: f" {factory.token()}",
            "leading newline": lambda factory: f"\n{factory.token()}",
            "leading byte order mark": lambda factory: f"\ufeff{factory.token()}",
            "scheme in front": lambda factory: f"Bearer {factory.token()}",
            "quotes around": lambda factory: f'"{factory.token()}"',
            "two tokens": lambda factory: f"{factory.token()} {factory.token()}",
            "two tokens with a comma": lambda factory: f"{factory.token()},{factory.token()}",
            "JSON, flattened": flattened,
            "JSON, general": general,
            "full-width dots": lambda factory: factory.token().replace(".", "\uff0e"),
            "nothing": lambda _forge: "",
            "one dot": lambda _forge: ".",
            "no signature segment": lambda factory: factory.token().rpartition(".")[0],
            "a fourth segment": lambda factory: f"{factory.token()}.",
            "a fourth segment with text": lambda factory: f"{factory.token()}.AAAA",
            "a dot in front": lambda factory: f".{factory.token()}",
            "six segments": lambda factory: f"{factory.token()}.{factory.token()}",
        },
        shows=("8725-14",),
    ),
    *rows(19, "RFC 7515 section 5.2", RejectionReason.BAD_HEADER, {"nothing but two dots": lambda _forge: ".."}),
    *rows(
        19,
        "RFC 4648 section 3.5",
        RejectionReason.MALFORMED,
        {
            f"unused bits set in the {which}, {rest} characters over": unused_bits_in(which, rest)
            for which in ("header", "payload")
            for rest in (2, 3)
        }
        | {"unused bits set in the signature": unused_bits_in_signature}
        | {
            "header of an impossible length": lambda factory: factory.frame(
                of_length(factory.header(), 0) + "A", of_length(factory.claims(), 0)
            ),
            "payload of an impossible length": lambda factory: factory.frame(
                of_length(factory.header(), 0), of_length(factory.claims(), 0) + "A"
            ),
        },
        shows=("8725-14",),
    ),
]


def not_an_object(members: str) -> dict[str, bytes]:
    """Return encodings of members that are not a JSON object in UTF-8."""
    return {
        "empty": b"",
        "a byte order mark in front": b"\xef\xbb\xbf" + members.encode(),
        "UTF-16 with a byte order mark": members.encode("utf-16"),
        "UTF-16, little endian": members.encode("utf-16-le"),
        "UTF-16, big endian": members.encode("utf-16-be"),
        "UTF-32": members.encode("utf-32"),
        "a byte that is not UTF-8": members[:-1].encode() + b',"x":"\xff"}',
        "Latin-1": members[:-1].encode() + b',"x":"\xe9"}',
        "an over-long NUL": members[:-1].encode() + b',"x":"\xc0\x80"}',
        "lone surrogate": members[:-1].encode() + b',"x":"\\uD800"}',
        "lone surrogate, deep down": members[:-1].encode() + b',"x":[{"y\\udfff":1}]}',
        "a surrogate in UTF-8": members[:-1].encode() + b',"x":"\xed\xa0\x80"}',
        "cut off in a character": members[:-1].encode() + b',"x":"\xe2\x82',
        "a control character": members[:-1].encode() + b',"x":"\n"}',
        "NUL at the end": members.encode() + b"\0",
        "a list": f"[{members}]".encode(),
        "an empty list": b"[]",
        "text": b'"text"',
        "a number": b"1",
        "null": b"null",
        "true": b"true",
        "NaN": b"NaN",
        "pairs": b'[["iss","x"]]',
        "two objects": members.encode() * 2,
        "a trailing comma": members[:-1].encode() + b",}",
        "a comment": members.encode() + b"//",
        "single quotes": members.replace('"', "'").encode(),
        "cut off": members[:-1].encode(),
        "a bare name": members[:-1].encode() + b",x:1}",
        "an unknown escape": members[:-1].encode() + b',"x":"\\x41"}',
        "a number of 5,000 digits": members[:-1].encode() + b',"x":' + b"9" * 5000 + b"}",
    }


NOT_AN_OBJECT = tuple(not_an_object("{}"))
ENCODINGS = [
    *rows(
        19,
        "RFC 8725 section 3.7",
        RejectionReason.BAD_CLAIMS,
        {
            f"claims: {label}": (
                lambda factory, label=label: factory.token(payload=not_an_object(json_of(factory.claims()))[label])
            )
            for label in NOT_AN_OBJECT
        },
        shows=("8725-7",),
    ),
    *rows(
        19,
        "RFC 8725 section 3.7",
        RejectionReason.BAD_HEADER,
        {
            f"header: {label}": (
                lambda factory, label=label: factory.token(header=not_an_object(json_of(factory.header()))[label])
            )
            for label in NOT_AN_OBJECT
        },
        shows=("8725-7",),
    ),
]


def of_bytes(factory: TokenFactory, size: int) -> str:
    """Return a valid token of exactly this many bytes."""
    for filler in ("", "a", "aa", "aaa"):
        # Base64url never has 4n + 1 characters, so the header is padded too.
        header = factory.header(x=filler)
        missing = size - len(factory.token(header=header, payload=factory.claims(x="")))
        for length in range(missing * 3 // 4 - 3, missing * 3 // 4 + 4):
            token = factory.token(header=header, payload=factory.claims(x="a" * length))
            if len(token) == size:
                return token
    raise AssertionError("no such size")


def deep(opening: str, closing: str, depth: int) -> str:
    return opening * depth + closing * depth


WITHIN_THE_CAP = 5500
SIZES = [
    *rows(
        20,
        "RFC 8725 section 2.5",
        RejectionReason.TOO_LARGE,
        {
            "one byte over 16 KiB": lambda factory: of_bytes(factory, MAX_BYTES + 1),
            "2 MB": lambda factory: factory.with_claims(x="a" * 1_500_000),
            "2 MB that is nothing": lambda _forge: "a" * 2_000_000,
            "2 MB of dots": lambda _forge: "." * 2_000_000,
            "2 MB of emoji": lambda _forge: "\U0001f511" * 500_000,
            "JSON 100,000 deep": lambda factory: factory.token(payload=deep("[", "]", 100_000)),
        },
    ),
    *rows(
        20,
        "RFC 8259 section 9",
        RejectionReason.BAD_CLAIMS,
        {
            "lists 100,000 deep under a higher cap": lambda factory: factory.token(payload=deep("[", "]", 100_000)),
            "objects 100,000 deep under a higher cap, cut off": lambda factory: factory.token(
                payload='{"a":' * 100_000
            ),
        },
        expected=replace(EXPECTED, max_bytes=2_000_000),
    ),
    *rows(
        20,
        "RFC 8259 section 9",
        RejectionReason.BAD_HEADER,
        {"header 100,000 deep under a higher cap": lambda factory: factory.token(header=deep("[", "]", 100_000))},
        expected=replace(EXPECTED, max_bytes=2_000_000),
    ),
    *rows(
        20,
        "RFC 8259 section 9",
        RejectionReason.BAD_CLAIMS,
        {
            "lists 5,500 deep": lambda factory: factory.token(payload=deep("[", "]", WITHIN_THE_CAP)),
            "lists 5,500 deep, cut off": lambda factory: factory.token(payload="[" * WITHIN_THE_CAP),
            "objects 2,000 deep, cut off": lambda factory: factory.token(payload='{"a":' * 2000),
        },
    ),
    *rows(
        20,
        "RFC 8259 section 9",
        RejectionReason.BAD_HEADER,
        {"header 5,500 deep": lambda factory: factory.token(header=deep("[", "]", WITHIN_THE_CAP))},
    ),
]

FRAMES = [*DUPLICATES, *FRAMING, *ENCODINGS, *SIZES]
