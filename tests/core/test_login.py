from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.login import (
    REGISTERED_METHODS,
    AuthenticationEvent,
    AuthenticationStep,
    Factor,
    combined_methods,
    context_for,
    latest_authentication,
)

NOW = 1_800_000_000

names = st.sampled_from([*REGISTERED_METHODS, "example-badge"])
texts = st.text(min_size=1, max_size=20).filter(str.isprintable)
events = st.builds(
    AuthenticationEvent,
    authenticated_at=st.integers(0, NOW),
    methods=st.lists(texts, unique=True, max_size=5).map(tuple),
    context=st.none() | texts,
)
instants = st.floats(0, NOW, allow_nan=False)
steps = st.builds(
    AuthenticationStep,
    at=instants,
    methods=st.lists(names, max_size=3).map(tuple),
    factors=st.frozensets(st.sampled_from(Factor)),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


class TestClaims:
    def test_all_three(self):
        event = AuthenticationEvent(authenticated_at=NOW, methods=("pwd", "otp", "mfa"), context="urn:example:mfa")
        assert event.as_claims() == {"auth_time": NOW, "amr": ["pwd", "otp", "mfa"], "acr": "urn:example:mfa"}

    def test_what_is_not_known_is_left_out(self):
        assert AuthenticationEvent(authenticated_at=NOW).as_claims() == {"auth_time": NOW}

    @pytest.mark.parametrize(
        "values",
        [
            {"authenticated_at": 1.5},
            {"authenticated_at": True},
            {"authenticated_at": -1},
            {"authenticated_at": "1"},
            {"authenticated_at": None},
            {"methods": ["pwd"]},
            {"methods": "pwd"},
            {"methods": ("pwd", "pwd")},
            {"methods": ("",)},
            {"methods": (1,)},
            {"methods": ("p\x00",)},
            {"context": ""},
            {"context": 1},
            {"context": "a\nb"},
        ],
    )
    def test_values_that_no_claim_can_have(self, values):
        with pytest.raises(ValueError, match=next(iter(values))):
            AuthenticationEvent(**{"authenticated_at": NOW, **values})


class TestSession:
    @given(events)
    def test_there_and_back_through_json(self, event):
        kept = json.loads(json.dumps(event.to_session()))
        assert AuthenticationEvent.from_session(kept, now=NOW) == event

    @given(events, st.floats(0, NOW))
    def test_a_login_is_never_ahead_of_the_clock(self, event, now):
        read = AuthenticationEvent.from_session(event.to_session(), now=now)
        assert (read is None) == (event.authenticated_at > now)

    def test_a_login_of_this_second_is_not_ahead(self):
        event = AuthenticationEvent(authenticated_at=NOW)
        assert AuthenticationEvent.from_session(event.to_session(), now=NOW) == event
        assert AuthenticationEvent.from_session(event.to_session(), now=NOW - 0.001) is None

    @given(anything)
    def test_anything_else_is_nothing(self, value):
        assert AuthenticationEvent.from_session(value, now=NOW) is None

    @given(events, st.sampled_from(["authenticated_at", "methods", "context"]), anything)
    def test_a_changed_member_gives_nothing_or_an_event_that_can_be_written(self, event, name, value):
        read = AuthenticationEvent.from_session({**event.to_session(), name: value}, now=NOW)
        assert read is None or AuthenticationEvent.from_session(read.to_session(), now=NOW) == read

    @pytest.mark.parametrize(
        "change",
        [
            {"more": 1},
            {"authenticated_at": 1.0},
            {"authenticated_at": True},
            {"authenticated_at": NOW + 1},
            {"methods": ("pwd",)},
            {"methods": "pwd"},
            {"methods": [["pwd"]]},
            {"methods": ["pwd", "pwd"]},
            {"context": 0},
        ],
    )
    def test_odd_members(self, change):
        kept = AuthenticationEvent(authenticated_at=1, methods=("pwd",)).to_session()
        assert AuthenticationEvent.from_session(kept, now=NOW) is not None
        assert AuthenticationEvent.from_session({**kept, **change}, now=NOW) is None
        assert AuthenticationEvent.from_session({name: kept[name] for name in [*kept][1:]}, now=NOW) is None


class TestMethods:
    @pytest.mark.parametrize(
        ("kind", "methods"),
        [
            (Factor.KNOWLEDGE, {"kba", "pin", "pwd"}),
            (Factor.POSSESSION, {"hwk", "otp", "pop", "sc", "sms", "swk", "tel"}),
            (Factor.INHERENCE, {"face", "fpt", "iris", "retina", "vbm"}),
            # These describe a login, and are not factors.
            (None, {"geo", "mca", "mfa", "rba", "user", "wia"}),
        ],
    )
    def test_registered_ones_prove_one_kind_of_factor(self, kind, methods):
        assert {method for method, factor in REGISTERED_METHODS.items() if factor is kind} == methods

    @pytest.mark.parametrize(
        ("used", "claimed"),
        [
            ([], ()),
            (["pwd"], ("pwd",)),
            (["pwd", "otp"], ("pwd", "otp", "mfa")),
            (["otp", "pwd", "otp"], ("otp", "pwd", "mfa")),
            (["pwd", "mfa", "otp"], ("pwd", "otp", "mfa")),
            (["mfa"], ("mfa",)),
            (["mfa", "pwd"], ("pwd", "mfa")),
            (["hwk", "fpt"], ("hwk", "fpt", "mfa")),
            # One kind of factor twice is one factor.
            (["pwd", "pin"], ("pwd", "pin")),
            (["otp", "sms"], ("otp", "sms")),
            (["pop", "user"], ("pop", "user")),
            # The factor of a site's own method is unknown.
            (["pwd", "example-badge"], ("pwd", "example-badge")),
        ],
    )
    def test_of_one_login(self, used, claimed):
        assert combined_methods(used) == claimed

    def test_factor_without_a_name(self):
        assert combined_methods(["pwd"], factors=[Factor.POSSESSION]) == ("pwd", "mfa")
        assert combined_methods(["otp"], factors=[Factor.POSSESSION]) == ("otp",)
        assert combined_methods([], factors=[Factor.POSSESSION]) == ()

    @given(st.lists(names), st.lists(st.sampled_from(Factor)))
    def test_rules(self, used, factors):
        claimed = combined_methods(used, factors=factors)
        assert {*claimed} - {"mfa"} == {*used} - {"mfa"}
        assert len({*claimed}) == len(claimed)
        assert [m for m in claimed if m != "mfa"] == [m for m in dict.fromkeys(used) if m != "mfa"]
        assert "mfa" not in claimed[:-1]
        assert combined_methods(claimed, factors=factors) == claimed

    @given(st.lists(names), st.lists(names))
    def test_more_methods_never_take_one_away(self, used, more):
        assert {*combined_methods(used)} <= {*combined_methods([*used, *more])}


class TestLatestAuthentication:
    def event(self, *made, now=NOW):
        return latest_authentication(
            [AuthenticationStep(at=at, methods=m) for at, m in _tuples(made)], within=900, now=now
        )

    def test_no_step_no_login(self):
        assert self.event() is None
        assert self.event((NOW + 1, "pwd")) is None

    def test_steps_of_one_login(self):
        event = self.event((NOW - 20.9, "pwd"), (NOW - 10.5, "otp"))
        assert (event.authenticated_at, event.methods) == (NOW - 11, ("pwd", "otp", "mfa"))

    def test_step_before_the_epoch_is_ignored(self):
        assert self.event((-1, "pwd")) is None
        assert self.event((0, "pwd")).authenticated_at == 0

    def test_order_is_that_of_time(self):
        assert self.event((NOW - 10, "otp"), (NOW - 20, "pwd")).methods == ("pwd", "otp", "mfa")

    def test_what_was_proved_long_before_is_not_proved_again(self):
        assert self.event((NOW - 900, "pwd"), (NOW - 900, "otp"), (NOW, "pwd")).methods == ("pwd", "otp", "mfa")
        assert self.event((NOW - 901, "pwd"), (NOW - 901, "otp"), (NOW, "pwd")).methods == ("pwd",)

    def test_step_without_methods_is_a_login(self):
        event = self.event((NOW - 5000, "pwd"), (NOW - 10,))
        assert (event.authenticated_at, event.methods) == (NOW - 10, ())

    @given(st.lists(steps, max_size=6), st.floats(0, 5000), instants)
    def test_nothing_is_claimed_that_no_step_of_that_time_has_proved(self, made, within, now):
        event = latest_authentication(made, within=within, now=now)
        past = [step.at for step in made if step.at <= now]
        assert (event is None) == (not past)
        if event is None:
            return
        assert event.authenticated_at == int(max(past))
        proved = {method for step in made if max(past) - within <= step.at <= now for method in step.methods}
        assert {*event.methods} - {"mfa"} == proved - {"mfa"}

    @given(st.lists(steps, max_size=6).flatmap(lambda made: st.tuples(st.just(made), st.permutations(made))))
    def test_the_same_steps_give_the_same_methods(self, made):
        one, other = (latest_authentication(each, within=900, now=NOW) for each in made)
        assert (one and (one.authenticated_at, {*one.methods})) == (
            other and (other.authenticated_at, {*other.methods})
        )


def _tuples(made):
    return [(at, tuple(methods)) for at, *methods in made]


class TestContext:
    table = {
        "urn:example:any": [],
        "urn:example:otp": ["otp"],
        "urn:example:pwd": ["pwd"],
        "urn:example:both": ["pwd", "otp"],
    }

    @pytest.mark.parametrize(
        ("methods", "context"),
        [
            ((), "urn:example:any"),
            (("sms",), "urn:example:any"),
            (("pwd",), "urn:example:pwd"),
            (("otp", "sms"), "urn:example:otp"),
            (("pwd", "otp", "mfa"), "urn:example:both"),
        ],
    )
    def test_the_one_that_asks_for_most(self, methods, context):
        assert context_for(methods, self.table) == context

    def test_the_first_of_those_that_ask_for_as_many(self):
        assert context_for(("pwd", "otp"), {"b": ["otp"], "a": ["pwd"]}) == "b"
        assert context_for(("pwd", "otp"), {"a": ["pwd"], "b": ["otp"]}) == "a"
        assert context_for(("pwd", "otp"), {"a": ["pwd"], "b": ["otp", "otp"]}) == "a"

    def test_none_fits(self):
        assert context_for(("pwd",), {"urn:example:mfa": ["mfa"]}) is None
        assert context_for(("pwd",), {}) is None

    @given(st.lists(names), st.dictionaries(texts, st.lists(names, max_size=4), max_size=5))
    def test_what_is_claimed_was_fulfilled_and_nothing_that_asks_for_more_was(self, methods, table):
        context = context_for(methods, table)
        fulfilled = {acr: {*required} for acr, required in table.items() if {*required} <= {*methods}}
        assert (context is None) == (not fulfilled)
        if context is not None:
            assert len(fulfilled[context]) == max(map(len, fulfilled.values()))
        assert context_for([*reversed(methods)], table) == context
