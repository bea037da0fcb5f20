"""Whether a login is recent and strong enough (RFC 9470 §4, §5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.authentication import AuthenticationEvent
from django_at_jwt.core.step_up import TIME_TO_COME_BACK, LoginDemand, Verdict

NOW = 1_000_000


def login(seconds_ago, context=None):
    return AuthenticationEvent(authenticated_at=NOW - seconds_ago, context=context)


@pytest.mark.compliance("9470-1")
@pytest.mark.parametrize(
    ("max_age", "acr_values", "event", "verdict"),
    [
        ("", "", None, Verdict.ENOUGH),
        ("", "", login(10**5), Verdict.ENOUGH),
        ("60", "", None, Verdict.LOG_IN),
        ("60", "", login(60), Verdict.ENOUGH),
        ("60", "", login(61), Verdict.LOG_IN),
        ("0", "", login(TIME_TO_COME_BACK), Verdict.ENOUGH),
        ("0", "", login(TIME_TO_COME_BACK + 1), Verdict.LOG_IN),
        ("", "gold", None, Verdict.LOG_IN),
        ("", "gold", login(100, "gold"), Verdict.ENOUGH),
        ("", "silver gold", login(100, "gold"), Verdict.ENOUGH),
        ("", "gold", login(100, "silver"), Verdict.LOG_IN),
        ("", "gold", login(100), Verdict.LOG_IN),
        ("", "gold", login(5, "silver"), Verdict.UNMET),
        ("", "gold", login(5), Verdict.UNMET),
        ("60", "gold", login(61, "gold"), Verdict.LOG_IN),
    ],
)
def test_verdict(max_age, acr_values, event, verdict):
    assert LoginDemand.of(max_age=max_age, acr_values=acr_values).judge(event, now=NOW) is verdict


@given(st.text(max_size=20), st.text(max_size=20), st.integers(0, 10**6) | st.none())
def test_any_text_is_a_demand_that_a_new_login_meets_or_never_will(max_age, acr_values, seconds_ago):
    demand = LoginDemand.of(max_age=max_age, acr_values=acr_values)
    event = None if seconds_ago is None else login(seconds_ago)
    assert demand.judge(event, now=NOW) in Verdict
    # Nobody is sent to log in twice in a row.
    assert demand.judge(login(0), now=NOW) is not Verdict.LOG_IN
