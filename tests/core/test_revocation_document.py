"""The document of revocations: exactly what is signed is accepted (threat 39)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.deny_list import DenyEntry, DenyKind
from django_at_jwt.core.errors import TokenRejected, UnacceptableDocument
from django_at_jwt.core.revocation_document import (
    MOST_BYTES,
    MOST_ENTRIES,
    TYPE,
    RevocationDocument,
    UnknownDocumentKey,
    read_revocations,
)
from django_at_jwt.core.verifier import verify_access_token

from .signing_keys import signing_key
from .token_factory import ABSENT, API, EVERY_KIND, EXPECTED, ISSUER, NOW, Raw, TokenFactory, json_of

AUTHORIZATION, JTI = "a1" * 16, f".{'b2' * 16}.1"
FACTORY = TokenFactory("ES256")
CLAIMS = {
    "iss": ISSUER,
    "iat": NOW - 10,
    "exp": NOW + 290,
    "version": 7,
    "complete": True,
    "tokens": {JTI: NOW + 600},
    "authorizations": {AUTHORIZATION: NOW + 700},
    "clients": {"web": {"issued_until": NOW - 60, "end": NOW + 800}},
    "audiences": {API: {"issued_until": NOW - 50, "end": NOW + 900}},
}
ENTRIES = {
    DenyEntry(DenyKind.TOKEN, JTI, None, NOW + 600),
    DenyEntry(DenyKind.AUTHORIZATION, AUTHORIZATION, None, NOW + 700),
    DenyEntry(DenyKind.CLIENT, "web", NOW - 60, NOW + 800),
    DenyEntry(DenyKind.AUDIENCE, API, NOW - 50, NOW + 900),
}
ODD_VALUES = (None, True, False, 0, 1, -1, 1.5, Raw("1e400"), Raw("9" * 5000), "", "x", [], {}, [1], {"a": 1}, ABSENT)


def name_of(value):
    return "absent" if value is ABSENT else repr(value)[:12]


def document(*, factory=FACTORY, header=None, **changes):
    header = {"typ": TYPE, "alg": factory.algorithm, "kid": factory.kid} | (header or {})
    return factory.token(header=header, payload=CLAIMS | changes)


def read(text, *, key_ring=None, now=NOW, leeway=30):
    return read_revocations(text, key_ring=key_ring or FACTORY.ring(), issuer=ISSUER, now=now, leeway=leeway)


@pytest.mark.parametrize("algorithm", EVERY_KIND)
def test_what_is_signed_is_read(algorithm):
    factory = TokenFactory(algorithm)
    written = RevocationDocument(
        issuer=ISSUER, issued_at=NOW, expires_at=NOW + 300, version=3, complete=True, entries=tuple(ENTRIES)
    )
    key = signing_key(algorithm)
    found = read(written.signed(key), key_ring=factory.ring())
    assert {*found.entries} == ENTRIES
    assert (found.issued_at, found.expires_at, found.version, found.complete) == (NOW, NOW + 300, 3, True)


def test_document_of_the_tests_is_accepted():
    assert {*read(document()).entries} == ENTRIES


def test_order_of_the_entries_does_not_matter():
    facts = {"issuer": ISSUER, "issued_at": NOW, "expires_at": NOW + 300, "version": 3, "complete": True}
    one, other = (RevocationDocument(**facts, entries=tuple(sorted(ENTRIES, reverse=back))) for back in (False, True))
    assert str(one.claims()) == str(other.claims())


@pytest.mark.compliance("8725-11")
def test_it_is_not_an_access_token():
    with pytest.raises(TokenRejected) as rejected:
        verify_access_token(document(), key_ring=FACTORY.ring(), expected=EXPECTED, now=NOW)
    assert rejected.value.reason == "unexpected_type"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "at+jwt"},
        {"typ": "JWT"},
        {"typ": TYPE.upper()},
        {"typ": f"application/{TYPE}"},
        {"typ": ABSENT},
        {"typ": None},
        {"typ": [TYPE]},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": ABSENT},
        {"kid": ABSENT},
        {"kid": 7},
        {"kid": "another key"},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"zip": "DEF"},
    ],
    ids=lambda header: " ".join(f"{name}={name_of(value)}" for name, value in header.items()),
)
def test_header_of_something_else_is_refused(header):
    with pytest.raises(UnacceptableDocument):
        read(document(header=header))


def test_key_of_an_attacker_is_refused():
    with pytest.raises(UnacceptableDocument, match="signature"):
        read(document(factory=FACTORY.attacker, header={"kid": FACTORY.kid}))
    with pytest.raises(UnknownDocumentKey) as unknown:
        read(document(factory=FACTORY.attacker))
    assert unknown.value.kid == FACTORY.attacker.kid


def test_access_token_is_refused():
    with pytest.raises(UnacceptableDocument, match="typ"):
        read(FACTORY.token(payload=FACTORY.claims()))


def is_valid(member, value):
    """Return whether an odd value is allowed there; ``True == 1``, so the type counts."""
    if isinstance(CLAIMS[member], dict):
        return value == {} or (value == {"a": 1} and member in {"tokens", "authorizations"})
    valid = {"complete": (True, False), "version": (0, 1), "iat": (0, 1)}.get(member, ())
    return type(value) is type(CLAIMS[member]) and value in valid


@pytest.mark.parametrize("value", ODD_VALUES, ids=name_of)
@pytest.mark.parametrize("member", CLAIMS)
def test_each_member_must_be_what_it_should(member, value):
    if is_valid(member, value):
        assert read(document(**{member: value}))
        return
    with pytest.raises(UnacceptableDocument):
        read(document(**{member: value}))


@pytest.mark.parametrize("value", ODD_VALUES[:-1], ids=name_of)
@pytest.mark.parametrize("member", ["tokens", "authorizations", "clients", "audiences"])
def test_each_end_must_be_what_it_should(member, value):
    if member in {"tokens", "authorizations"} and type(value) is int and value >= 0:
        assert read(document(**{member: {"a name": value}}))
        return
    with pytest.raises(UnacceptableDocument):
        read(document(**{member: {"a name": value}}))


@pytest.mark.parametrize("member", ["clients", "audiences"])
@pytest.mark.parametrize("name", ["issued_until", "end"])
@pytest.mark.parametrize("value", [*ODD_VALUES[:3], -1, *ODD_VALUES[6:]], ids=name_of)
def test_each_instant_of_an_object_must_be_what_it_should(member, name, value):
    instants = Raw(json_of({"issued_until": NOW, "end": NOW} | {name: value}))
    with pytest.raises(UnacceptableDocument):
        read(document(**{member: Raw(json_of({"a name": instants}))}))


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_name_of_an_entry_has_bounds(name):
    with pytest.raises(UnacceptableDocument, match="empty or too long"):
        read(document(tokens={name: NOW}))


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", ISSUER.upper(), ISSUER.replace("https", "http"), "", [ISSUER]])
def test_document_of_another_issuer_is_refused(issuer):
    with pytest.raises(UnacceptableDocument, match="issuer"):
        read(document(iss=issuer))


@pytest.mark.parametrize(
    ("times", "now", "accepted"),
    [
        ({}, NOW, True),
        ({}, NOW + 290 + 29, True),
        ({}, NOW + 290 + 30, False),
        ({}, NOW - 10 - 30, True),
        ({}, NOW - 10 - 31, False),
        ({"exp": NOW - 10}, NOW, False),
        ({"exp": NOW - 11}, NOW, False),
    ],
)
def test_document_counts_between_its_times(times, now, accepted):
    if accepted:
        assert read(document(**times), now=now)
    else:
        with pytest.raises(UnacceptableDocument):
            read(document(**times), now=now)


@pytest.mark.parametrize("where", ["claims", "entries", "header"])
def test_member_that_occurs_twice_is_refused(where):
    twice = {
        "claims": {"version": Raw('7,"version":8')},
        "entries": {"tokens": Raw(f'{{"{JTI}":{NOW},"{JTI}":0}}')},
        "header": {},
    }[where]
    header = {"kid": Raw(f'"{FACTORY.kid}","kid":"{FACTORY.kid}"')} if where == "header" else {}
    with pytest.raises(UnacceptableDocument):
        read(document(header=header, **twice))


def test_huge_documents_are_refused():
    few = {f"{number:x}": NOW for number in range(MOST_ENTRIES - 3)}
    assert len(read(document(tokens=few)).entries) == MOST_ENTRIES
    with pytest.raises(UnacceptableDocument, match="more than 20000 entries"):
        read(document(tokens=few | {"another": NOW}))
    with pytest.raises(UnacceptableDocument, match=f"longer than {MOST_BYTES}"):
        read("x" * (MOST_BYTES + 1))
    with pytest.raises(UnacceptableDocument):
        read(document(tokens=Raw("[" * 100_000)))


def test_unknown_members_are_ignored():
    assert read(document(sub="someone", another={"a": 1}))


@given(st.text())
def test_any_text_is_refused(text):
    with pytest.raises(UnacceptableDocument):
        read(text)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_document_with_any_other_byte_is_refused(place, change):
    text = bytearray(document(), "ascii")
    place %= len(text)
    text[place] = (text[place] + change) % 256
    with pytest.raises(UnacceptableDocument):
        read(text.decode("latin-1"))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*CLAIMS]), _JSON, min_size=1), st.booleans())
def test_document_that_the_issuer_signed_is_read_or_refused(changes, nested):
    if nested:
        changes = {name: {"a name": value} for name, value in changes.items()}
    try:
        found = read(document(**changes))
    except UnacceptableDocument as error:
        assert len(str(error)) < 500  # noqa: PT017 - any other exception is a failure
    else:
        assert all(type(entry.expires_at) is int for entry in found.entries)
        assert found.issued_at <= NOW + 30 < found.expires_at + 60
