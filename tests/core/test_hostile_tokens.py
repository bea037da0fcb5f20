"""Each hostile token is rejected with the reason of the one rule that it breaks, and leaves no trace."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from contextlib import contextmanager
from functools import cache

import pytest

from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.verifier import verify_access_token
from tests.core.hostile.algorithms import ALGORITHMS
from tests.core.hostile.claims import CLAIMS
from tests.core.hostile.framing import FRAMES, MAX_BYTES, of_bytes
from tests.core.hostile.headers import ATTACKERS_KEYS, HEADERS
from tests.core.hostile.signatures import SIGNATURES

from .token_factory import (
    ABSENT,
    API,
    CLIENT_ID,
    EVERY_KIND,
    EXPECTED,
    NOW,
    REPORTS,
    SUBJECT,
    Raw,
    TokenFactory,
    json_of,
)

ROWS = [*ALGORITHMS, *HEADERS, *SIGNATURES, *CLAIMS, *FRAMES]

# Rules for the unverified header, which come before any cryptography.
BEFORE_CRYPTOGRAPHY = {
    RejectionReason.TOO_LARGE,
    RejectionReason.ENCRYPTED,
    RejectionReason.BAD_HEADER,
    RejectionReason.CRITICAL_HEADER,
    RejectionReason.UNEXPECTED_TYPE,
    RejectionReason.UNKNOWN_KEY,
    RejectionReason.ALGORITHM_MISMATCH,
}
# The shortest part of a token that counts as a quotation in a message.
QUOTATION = 10

_OUTSIDE = ("socket.", "open", "subprocess.", "os.", "urllib.", "sqlite3.", "shutil.", "ctypes.", "http.")
_recording: list[list[str]] = []


def _record(event: str, _arguments: object) -> None:
    if _recording and event.startswith(_OUTSIDE):
        _recording[-1].append(event)


# An audit hook cannot be removed, so there is one for the whole run, which is idle unless recording.
sys.addaudithook(_record)


@contextmanager
def nothing_outside():
    """Fail if the block opens a file, a socket, a database or a process."""
    events: list[str] = []
    _recording.append(events)
    try:
        yield
    finally:
        _recording.remove(events)
    assert events == []


def accept(token, ring, *, expected=EXPECTED, now=NOW):
    return verify_access_token(token, key_ring=ring, expected=expected, now=now)


def refuse(token, ring, *, expected=EXPECTED, now=NOW):
    with nothing_outside(), pytest.raises(TokenRejected) as rejected:
        verify_access_token(token, key_ring=ring, expected=expected, now=now)
    return rejected.value


@cache
def good_token(factory):
    """Verify a valid token, so that everything is loaded that is loaded at the first use."""
    token = factory.token()
    accept(token, factory.ring())
    return token


def quotations(message: str, source: str) -> list[str]:
    pieces = {message[start : start + QUOTATION] for start in range(len(message) - QUOTATION + 1)}
    return sorted(piece for piece in pieces if piece in source)


def params():
    """Each row with each of its algorithms.

    Rows for every kind of key break a rule that doesn't look at the algorithm. One algorithm, in turns, is for all
    runs; the others, which repeat it, are for ``-m ci``.
    """
    for number, row in enumerate(ROWS):
        for place, algorithm in enumerate(row.algorithms):
            repeats = row.algorithms == EVERY_KIND and place != number % len(EVERY_KIND)
            yield pytest.param(
                row,
                TokenFactory(algorithm),
                id=f"{row.threat}-{algorithm}-{ascii(row.name)[1:-1]}",
                marks=[
                    *([pytest.mark.compliance(*row.requirements)] if row.requirements else []),
                    *([pytest.mark.ci] if repeats else []),
                ],
            )


@pytest.mark.parametrize(("row", "factory"), [*params()])
def test_hostile_token(row, factory, signatures):
    ring, good, hostile = factory.ring(), good_token(factory), row.change(factory)
    signatures.clear()

    refused = refuse(hostile, ring, expected=row.expected)

    assert refused.reason is row.reason
    if row.reason in BEFORE_CRYPTOGRAPHY:
        assert signatures == []
    elif row.reason is not RejectionReason.MALFORMED:
        assert signatures == [factory.kid]
    if row.reason in BEFORE_CRYPTOGRAPHY | {RejectionReason.BAD_SIGNATURE}:
        assert ring.known_headers == {}

    told = (str(refused), refused.detail, repr(refused), "".join(map(str, refused.args)))
    for message in told:
        assert quotations(message, hostile) == []
        assert CLIENT_ID not in message
        assert SUBJECT not in message
    # The traceback must not quote the token either, not even in the cause.
    shown = "".join(traceback.format_exception(refused))
    assert not any(segment[:60] in shown for segment in hostile[:MAX_BYTES].split(".") if len(segment) > QUOTATION)

    # A ring that remembers the header of a valid token rejects the hostile one for the same reason.
    assert accept(good, ring).client_id == CLIENT_ID
    assert refuse(hostile, ring, expected=row.expected).reason is row.reason


def test_every_threat_that_concerns_a_token_has_rows():
    # 6 is a flood, which takes more than one token (test_verifier.py), and 21 is about keys (test_keys.py).
    assert {row.threat for row in ROWS} == {*range(1, 23)} - {6, 21}
    names = Counter((row.threat, row.name, algorithm) for row in ROWS for algorithm in row.algorithms)
    assert [name for name, count in names.items() if count > 1] == []
    assert all(row.section.startswith("RFC ") for row in ROWS)


ACCEPTED = {
    "as issued": lambda factory: factory.token(),
    **{
        f"typ {spelling}": lambda factory, spelling=spelling: factory.with_header(typ=spelling)
        for spelling in ("AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT", "Application/at+JWT")
    },
    **{
        f"{label} in the header": lambda factory, members=members: factory.with_header(**members(factory))
        for label, members in ATTACKERS_KEYS.items()
    },
    "its own key in the header": lambda factory: factory.with_header(jwk=factory.jwk),
    "unknown header members": lambda factory: factory.with_header(x={"y": [1, None]}, cty="at+jwt"),
    "header members in another order": lambda factory: factory.token(
        header=dict(reversed(list(factory.header().items())))
    ),
    "white space between the members": lambda factory: factory.token(
        header=f" {json_of(factory.header())}\n".replace(",", " ,\r\n\t"),
        payload=f"\t{json_of(factory.claims())} ".replace('":', '" : '),
    ),
    "escapes in names and values": lambda factory: factory.token(
        payload=json_of(factory.claims()).replace('"sub"', '"s\\u0075b"').replace(SUBJECT, "subject\\u002d0f9d3c")
    ),
    "aud as a list of one": lambda factory: factory.with_claims(aud=[API]),
    "aud as a list of two": lambda factory: factory.with_claims(aud=[REPORTS, API]),
    "aud as a list with one twice": lambda factory: factory.with_claims(aud=[API, API]),
    "exp as float": lambda factory: factory.with_claims(exp=NOW + 0.5),
    "exp with an exponent": lambda factory: factory.with_claims(exp=Raw("1.9e9")),
    "iat as float": lambda factory: factory.with_claims(iat=NOW - 0.5),
    "iat zero": lambda factory: factory.with_claims(iat=0),
    "exp at the end of the year 9999": lambda factory: factory.with_claims(exp=253402300799),
    "nbf now": lambda factory: factory.with_claims(nbf=NOW),
    "nbf as float": lambda factory: factory.with_claims(nbf=NOW - 0.5),
    "no scope": lambda factory: factory.with_claims(scope=ABSENT),
    "empty scope": lambda factory: factory.with_claims(scope=""),
    "unknown claims": lambda factory: factory.with_claims(x=None, y=[{"z": [1.5, True]}], **{"": "", "é": "ü"}),
    "claims beyond ASCII, unescaped": lambda factory: factory.token(
        payload=json_of(factory.claims(name=Raw('"Łukasz Müller 🔑"'))).encode()
    ),
    "16 KiB exactly": lambda factory: of_bytes(factory, MAX_BYTES),
}


@pytest.mark.compliance("9068-21", "9068-24", "9068-25", "8725-10", "8725-11")
@pytest.mark.parametrize("algorithm", EVERY_KIND)
@pytest.mark.parametrize("change", ACCEPTED.values(), ids=map(ascii, ACCEPTED))
def test_what_no_rule_forbids_is_accepted(change, algorithm):
    factory = TokenFactory(algorithm)
    ring, token = factory.ring(), change(factory)
    good_token(factory)
    for _ in ("examined", "remembered"):
        with nothing_outside():
            claims = accept(token, ring)
        assert (claims.client_id, claims.subject, claims.token_id) == (CLIENT_ID, SUBJECT, "token-5b1e")
        assert API in claims.audience


@pytest.mark.parametrize("algorithm", EVERY_KIND)
@pytest.mark.parametrize("depth", [400, 800, 1600])
def test_a_claim_nested_deeply_within_the_cap_is_a_claim_or_is_refused(depth, algorithm):
    # The depth limit of Python's JSON parser differs between versions, so either reason is accepted.
    factory = TokenFactory(algorithm)
    token = factory.with_claims(x=Raw('{"a":' * depth + "1" + "}" * depth))
    assert len(token) <= EXPECTED.max_bytes
    try:
        answer = accept(token, factory.ring()).subject
    except TokenRejected as rejected:
        answer = rejected.reason
    assert answer in {SUBJECT, RejectionReason.BAD_CLAIMS}


def test_the_recorder_of_outside_calls_records(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(AssertionError), nothing_outside():
        (tmp_path / "file").read_text()


def test_a_quotation_is_found():
    assert quotations("the kid 0123456789a is unknown", "xx0123456789axx") == ["0123456789", "123456789a"]
