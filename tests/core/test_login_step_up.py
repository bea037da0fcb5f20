"""Whether a login is recent and strong enough (RFC 9470 sections 4 and 5)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.login import (
    MOST_ASKS,
    AuthenticationEvent,
    LoginAsk,
    LoginAsks,
    LoginDemand,
    Verdict,
    identity_of,
)

NOW = 1_000_000
DEMAND = {"prompt": "", "max_age": "", "acr_values": ""}


def login(seconds_ago, context=None):
    return AuthenticationEvent(authenticated_at=NOW - seconds_ago, context=context)


def asked(request="a request", *, after="before", required=False):
    return LoginAsk(request=request, after=after, required=required)


@pytest.mark.compliance("9470-1")
@pytest.mark.parametrize(
    ("demand", "event", "first", "after_the_login"),
    [
        ({}, None, Verdict.ENOUGH, Verdict.ENOUGH),
        ({}, login(10**5), Verdict.ENOUGH, Verdict.ENOUGH),
        ({"max_age": "60"}, None, Verdict.LOG_IN, Verdict.ENOUGH),
        ({"max_age": "60"}, login(60), Verdict.ENOUGH, Verdict.ENOUGH),
        ({"max_age": "60"}, login(61), Verdict.LOG_IN, Verdict.ENOUGH),
        ({"max_age": "0"}, login(1), Verdict.LOG_IN, Verdict.ENOUGH),
        ({"prompt": "login"}, login(0), Verdict.LOG_IN, Verdict.LOG_IN),
        ({"prompt": "consent login"}, login(0), Verdict.LOG_IN, Verdict.LOG_IN),
        ({"prompt": "logins"}, login(0), Verdict.ENOUGH, Verdict.ENOUGH),
        ({"acr_values": "gold"}, None, Verdict.LOG_IN, Verdict.UNMET),
        ({"acr_values": "gold"}, login(100, "gold"), Verdict.ENOUGH, Verdict.ENOUGH),
        ({"acr_values": "silver gold"}, login(100, "gold"), Verdict.ENOUGH, Verdict.ENOUGH),
        ({"acr_values": "gold"}, login(0, "silver"), Verdict.LOG_IN, Verdict.UNMET),
        ({"acr_values": "gold"}, login(0), Verdict.LOG_IN, Verdict.UNMET),
        ({"acr_values": "gold", "max_age": "60"}, login(61, "gold"), Verdict.LOG_IN, Verdict.ENOUGH),
    ],
)
def test_demand_is_met_by_a_sufficient_or_later_login(demand, event, first, after_the_login):
    demand = LoginDemand.of(**{**DEMAND, **demand})
    assert demand.judge(event, login="before", ask=None, now=NOW) is first
    assert demand.judge(event, login="before", ask=asked(), now=NOW) is first
    assert demand.judge(event, login="another", ask=asked(), now=NOW) is after_the_login


@pytest.mark.parametrize("after", ["before", None])
def test_required_ask_is_met_by_another_login_alone(after):
    ask = asked(after=after, required=True)
    assert LoginDemand().judge(login(0), login=after, ask=ask, now=NOW) is Verdict.LOG_IN
    assert LoginDemand().judge(login(0), login=None, ask=ask, now=NOW) is Verdict.LOG_IN
    assert LoginDemand().judge(login(0), login="another", ask=ask, now=NOW) is Verdict.ENOUGH


@pytest.mark.parametrize(
    ("max_age", "read"),
    [
        ("0", 0),
        ("60", 60),
        ("999999999", 999_999_999),
        # Longer than any login: only its first nine digits count.
        ("1234567890", 123_456_789),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1 ", None),
        ("\u00b2", None),
        ("\u0663", None),
    ],
)
def test_max_age_is_a_number_of_seconds_or_ignored(max_age, read):
    assert LoginDemand.of(prompt="", max_age=max_age, acr_values="").max_age == read


@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 10**6) | st.none())
def test_any_text_is_a_demand_that_the_next_login_meets_or_never_will(max_age, acr_values, seconds_ago):
    demand = LoginDemand.of(prompt="", max_age=max_age, acr_values=acr_values)
    event = None if seconds_ago is None else login(seconds_ago)
    assert demand.judge(event, login="another", ask=asked(), now=NOW) is not Verdict.LOG_IN


class TestAsks:
    def test_one_login_answers_one_request(self):
        asks = LoginAsks().adding(asked("one", required=True)).adding(asked("two", required=True))
        left = asks.answered(asks.of("one", login="new"), login="new")
        assert left.of("one", login="new") is None
        assert not left.of("two", login="new").is_followed_by("new")
        assert left.of("two", login="newer").is_followed_by("newer")

    def test_request_that_went_on_without_a_login_uses_none_up(self):
        asks = LoginAsks().adding(asked("one")).adding(asked("two", required=True))
        left = asks.answered(asks.of("one", login="before"), login="before")
        assert left.of("two", login="new").is_followed_by("new")

    def test_the_latest_of_one_request_counts(self):
        asks = LoginAsks().adding(asked(after="before")).adding(asked(after="new", required=True))
        assert asks.asks == (asked(after="new", required=True),)

    def test_forgotten_ones_are_still_asked_for(self):
        asks = LoginAsks()
        for number in range(MOST_ASKS + 3):
            asks = asks.adding(asked(str(number), required=True))
            asks = LoginAsks.from_session(json.loads(json.dumps(asks.to_session())))
        assert len(asks.asks) == MOST_ASKS + 1
        for request in ("0", "of another client"):
            assert LoginDemand().judge(login(0), login="before", ask=asks.of(request, login="before"), now=NOW) is (
                Verdict.LOG_IN
            )
            assert asks.of(request, login="new") is None
        left = asks.answered(asks.of("9", login="new"), login="new")
        assert left.of("0", login="new") is None

    def test_nothing_is_asked_for_where_the_forgotten_one_was_not_required(self):
        asks = LoginAsks()
        for number in range(MOST_ASKS + 3):
            asks = asks.adding(asked(str(number)))
        assert len(asks.asks) == MOST_ASKS
        assert asks.of("0", login="before") is None

    def test_forgotten_one_that_a_login_has_answered_since_is_not_asked_for(self):
        asks = LoginAsks()
        for number in range(MOST_ASKS):
            asks = asks.adding(asked(str(number), required=True))
        asks = asks.adding(asked("later", after="new", required=True))
        assert len(asks.asks) == MOST_ASKS
        assert asks.of("0", login="new") is None

    def test_forgotten_ones_are_remembered_while_others_are_added(self):
        asks = LoginAsks()
        for number in range(MOST_ASKS + 1):
            asks = asks.adding(asked(str(number), required=True))
        for request in ("1", "more", "and more"):
            asks = asks.adding(asked(request))
            assert asks.of("0", login="before").required
        # A request that proceeds without another login answers no other.
        left = asks.answered(asks.of("more", login="before"), login="before")
        assert left.of("0", login="before").required

    def test_session_keeps_them(self):
        asks = LoginAsks().adding(asked("one", after=None)).adding(asked("two", required=True))
        assert asks.to_session() == [["one", None, False], ["two", "before", True]]
        assert LoginAsks.from_session(asks.to_session()) == asks

    @pytest.mark.parametrize("value", [None, 1, "text", [1], [["a", "b"]], {"a": 1}, [None]])
    def test_session_that_holds_something_else(self, value):
        assert LoginAsks.from_session(value) == LoginAsks()


def test_requests_are_told_apart_by_client_state_and_challenge():
    request = {"client_id": "c", "state": "s", "code_challenge": "x"}
    assert identity_of(request) == identity_of({**request, "prompt": "login", "max_age": "0", "scope": "read"})
    assert identity_of({"client_id": "c"}) == identity_of({"client_id": "c", "state": "", "code_challenge": ""})
    different = [request, *({**request, name: "other"} for name in request), {"client_id": "c", "state": "sx"}]
    assert len({identity_of(each) for each in different}) == len(different)
