"""The deny list in memory: which tokens an entry names, and for how long it is kept."""

from __future__ import annotations

import tracemalloc
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.deny_list import DenyEntry, DenyKind, DenyList
from django_at_jwt.core.profile import parse_claims
from django_at_jwt.core.token_id import TokenId

from .token_factory import API, NOW, REPORTS

AUTHORIZATION, RANDOM = "a1" * 16, "b2" * 16
JTI = f"{AUTHORIZATION}.{RANDOM}.1"


def claims(**changes):
    raw = {
        "iss": "https://as.example.com/o",
        "sub": "7",
        "aud": [API, REPORTS],
        "client_id": "web",
        "iat": NOW,
        "exp": NOW + 600,
        "jti": JTI,
    }
    return parse_claims(raw | changes)


def entry(kind, value, issued_until=None, expires_at=NOW + 1200):
    return DenyEntry(kind, value, issued_until, expires_at)


def hit(*entries, audiences=(API,), **changes):
    return DenyList(entries).hit(claims(**changes).limited_to(frozenset(audiences)))


def test_empty_list_denies_nothing():
    assert hit() is None


class TestToken:
    def test_by_its_jti(self):
        assert hit(entry(DenyKind.TOKEN, JTI)) is DenyKind.TOKEN
        assert hit(entry(DenyKind.TOKEN, JTI), jti=f"{AUTHORIZATION}.{'c3' * 16}.1") is None

    @pytest.mark.parametrize("jti", ["opaque-7", "0" * 32, "a.b", "\ud800", JTI.upper()])
    def test_other_formats_of_jti(self, jti):
        assert hit(entry(DenyKind.TOKEN, jti), jti=jti) is DenyKind.TOKEN
        assert hit(entry(DenyKind.TOKEN, jti)) is None
        assert hit(entry(DenyKind.AUTHORIZATION, AUTHORIZATION), jti=jti) is None


class TestAuthorization:
    def test_by_the_first_part_of_the_jti(self):
        listed = entry(DenyKind.AUTHORIZATION, AUTHORIZATION)
        assert hit(listed) is DenyKind.AUTHORIZATION
        assert hit(listed, jti=f"{'d4' * 16}.{RANDOM}.1") is None

    @pytest.mark.parametrize("value", ["", AUTHORIZATION, "no hex"])
    def test_a_client_that_acts_for_itself_has_none(self, value):
        assert hit(entry(DenyKind.AUTHORIZATION, value), jti=f".{RANDOM}.1") is None

    def test_by_its_identifier(self):
        listed = DenyList([entry(DenyKind.AUTHORIZATION, AUTHORIZATION)])
        assert listed.has_authorizations
        assert listed.names_authorization(AUTHORIZATION)
        assert not listed.names_authorization("")
        assert not DenyList().has_authorizations


@pytest.mark.parametrize(("iat", "expected"), [(NOW - 1, True), (NOW, True), (NOW + 0.5, False), (NOW + 1, False)])
def test_client_and_audience_by_when_the_token_was_issued(iat, expected):
    client, audience = entry(DenyKind.CLIENT, "web", NOW), entry(DenyKind.AUDIENCE, API, NOW)
    assert hit(client, iat=iat) is (DenyKind.CLIENT if expected else None)
    assert hit(audience, iat=iat) is (DenyKind.AUDIENCE if expected else None)


def test_another_client():
    assert hit(entry(DenyKind.CLIENT, "Web", NOW), entry(DenyKind.CLIENT, "web2", NOW)) is None


@pytest.mark.parametrize("order", [1, -1])
def test_latest_instant_of_two_for_the_same_client(order):
    entries = [entry(DenyKind.CLIENT, "web", NOW), entry(DenyKind.CLIENT, "web", NOW + 100)][::order]
    assert hit(*entries, iat=NOW + 50) is DenyKind.CLIENT
    assert len(DenyList(entries)) == 2


class TestAudience:
    def test_only_at_that_api(self):
        listed = entry(DenyKind.AUDIENCE, API, NOW)
        assert hit(listed) is DenyKind.AUDIENCE
        assert hit(listed, audiences=[REPORTS]) is None

    def test_without_an_api_all_audiences_must_be_listed(self):
        one, other = entry(DenyKind.AUDIENCE, API, NOW), entry(DenyKind.AUDIENCE, REPORTS, NOW)
        assert DenyList([one]).hit(claims()) is None
        assert DenyList([one, other]).hit(claims()) is DenyKind.AUDIENCE

    def test_token_without_an_audience(self):
        unrestricted = claims()._replace(audience=())
        assert DenyList([entry(DenyKind.AUDIENCE, API, NOW)]).hit(unrestricted) is None


@pytest.mark.parametrize(
    "kind", [DenyKind.TOKEN, DenyKind.AUTHORIZATION, DenyKind.CLIENT, DenyKind.AUDIENCE], ids=lambda kind: kind.value
)
def test_is_kept_until_it_expires(kind):
    value = {DenyKind.TOKEN: JTI, DenyKind.AUTHORIZATION: AUTHORIZATION, DenyKind.CLIENT: "web", DenyKind.AUDIENCE: API}
    listed = DenyList([entry(kind, value[kind], NOW)])
    listed.drop_expired(NOW + 1199)
    assert listed.hit(claims(aud=API)) is kind
    listed.drop_expired(NOW + 1260)
    assert listed.hit(claims(aud=API)) is None
    assert len(listed) == 0


@pytest.mark.parametrize(("kind", "value"), [(DenyKind.CLIENT, "web"), (DenyKind.AUDIENCE, API)])
def test_removed_entry_leaves_the_others(kind, value):
    listed = DenyList()
    listed.keep(10)
    earlier, later = entry(kind, value, NOW - 10), entry(kind, value, NOW + 60)
    listed.update([earlier, later, entry(kind, "other", NOW + 60)])
    assert listed.hit(claims(aud=API)) is kind
    changes = listed.changes
    for _ in range(2):  # Removing it again has no effect.
        listed.remove([later])
        assert (listed.hit(claims(aud=API)), listed.hit(claims(iat=NOW - 10, aud=API))) == (None, kind)
        assert {(each.value, each.issued_until) for each in listed.kept()} == {(value, NOW - 10), ("other", NOW + 60)}
        assert (len(listed), listed.changes) == (2, changes + 1)
    listed.remove([earlier])
    assert listed.hit(claims(iat=NOW - 10, aud=API)) is None


def test_entries_whose_ends_change_take_the_same_memory():
    listed = DenyList()

    def replace(times):
        for _ in range(times):
            ends = (NOW + 60 * next(minutes) for _ in range(100))
            listed.update(entry(DenyKind.TOKEN, f"{n:032x}", expires_at=end) for n, end in enumerate(ends))
            listed.drop_expired(NOW)

    minutes = count(1)
    tracemalloc.start()
    try:
        replace(20)
        before, _ = tracemalloc.get_traced_memory()
        replace(200)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(listed) == 100
    # Each of 20,000 numbers would take more than a hundred bytes.
    assert after - before < 200_000


@given(st.lists(st.tuples(st.sampled_from(DenyKind), st.integers(0, 3), st.integers(0, 400)), max_size=30), st.data())
def test_counts_what_it_keeps(made, data):
    values = [f"{n:032x}" for n in range(4)]
    entries = [entry(kind, values[n], NOW, NOW + expires) for kind, n, expires in made]
    listed = DenyList(entries)
    # As the rows of a table: the last one for a value counts.
    rows = {(each.kind, each.value): each.expires_at for each in entries}
    minute = NOW // 60 * 60 + 60 * data.draw(st.integers(0, 8))
    live = sum(expires_at > minute for expires_at in rows.values())
    assert listed.count(expiring_after=minute) == live
    listed.drop_expired(minute)
    assert len(listed) == live


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1), st.booleans())
def test_identifiers_are_read_as_they_are_written(authorization, random, has_row):
    token_id = TokenId(f"{authorization:032x}", f"{random:032x}", has_row)
    assert TokenId.parse(str(token_id)) == token_id
    listed = DenyList([entry(DenyKind.AUTHORIZATION, token_id.authorization)])
    assert listed.hit(claims(jti=str(token_id))) is DenyKind.AUTHORIZATION


class TestKept:
    """The entries themselves, for publication."""

    def test_nothing_is_kept_unless_asked(self):
        assert DenyList([entry(DenyKind.TOKEN, JTI)]).kept() is None

    def test_kept_from_then_on(self):
        entries = DenyList()
        entries.keep(10)
        assert entries.kept() == ()
        added = [entry(DenyKind.TOKEN, JTI), entry(DenyKind.AUTHORIZATION, AUTHORIZATION)]
        entries.update(added)
        assert {*entries.kept()} == {*added}
        changes = entries.changes
        entries.update(added)
        assert entries.changes == changes

    @pytest.mark.parametrize("kind", [DenyKind.CLIENT, DenyKind.AUDIENCE])
    def test_later_instant_and_later_end_of_a_name(self, kind):
        entries = DenyList()
        entries.keep(10)
        entries.update([entry(kind, "x", NOW, NOW + 900), entry(kind, "x", NOW + 5, NOW + 600)])
        assert entries.kept() == (entry(kind, "x", NOW + 5, NOW + 900),)
        assert len(entries) == 2

    def test_expired_entries_are_not_kept(self):
        entries = DenyList()
        entries.keep(10)
        entries.update([entry(DenyKind.TOKEN, JTI, expires_at=NOW), entry(DenyKind.TOKEN, "other")])
        changes = entries.changes
        entries.drop_expired(NOW)
        assert entries.kept() == (entry(DenyKind.TOKEN, "other"),)
        assert entries.changes > changes

    def test_none_is_kept_if_there_are_too_many(self):
        entries = DenyList()
        entries.keep(2)
        entries.update(entry(DenyKind.TOKEN, str(number)) for number in range(2))
        assert len(entries.kept()) == 2
        entries.update([entry(DenyKind.TOKEN, "2"), entry(DenyKind.TOKEN, "3")])
        assert entries.kept() is None
        entries.drop_expired(NOW + 5000)
        assert entries.kept() is None


class TestSeveralAudiences:
    listed = entry(DenyKind.AUDIENCE, API, NOW)

    def test_counts_only_if_no_audience_is_left(self):
        assert hit(self.listed, audiences={API, REPORTS}) is None
        assert hit(self.listed, entry(DenyKind.AUDIENCE, REPORTS, NOW), audiences={API, REPORTS}) is DenyKind.AUDIENCE
        assert hit(self.listed, audiences={API, "https://other.example.com/"}) is DenyKind.AUDIENCE
        assert hit(self.listed, audiences={REPORTS, "https://other.example.com/"}) is None
