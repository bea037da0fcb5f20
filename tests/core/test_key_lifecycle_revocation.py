from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from django_at_jwt.core.errors import KeyChangeRefused
from django_at_jwt.core.key_lifecycle import KeyState, signer_at
from django_at_jwt.core.quotation import format_instant

from .key_histories import ALGORITHMS, HISTORIES, POLICY, SECOND, START, Keys, days, replay

NOW = START + days(30)


@pytest.fixture
def keys():
    keys = Keys()
    keys.rotate(START)
    return keys


def revoke(keys, kid, now=NOW, **options):
    return keys.revoke(kid, now, **options)


def test_the_announced_key_takes_over_from_one_that_signs(keys):
    first, second = keys.only(KeyState.SIGNING, NOW), keys.only(KeyState.ANNOUNCED, NOW)
    assert revoke(keys, first.kid) == (replace(first, revoked_at=NOW), replace(second, signing_at=NOW))
    assert keys.by_kid[first.kid].state_at(NOW) is KeyState.REVOKED
    assert signer_at(keys, "RS256", NOW).kid == second.kid
    [third] = keys.rotate(NOW).new
    assert third.signing_at == NOW + POLICY.rotation_interval


def test_a_revoked_announced_key_changes_nothing_for_the_one_that_signs(keys):
    first, second = keys.only(KeyState.SIGNING, NOW), keys.only(KeyState.ANNOUNCED, NOW)
    assert revoke(keys, second.kid) == (replace(second, revoked_at=NOW),)
    assert signer_at(keys, "RS256", NOW) == first
    [third] = keys.rotate(NOW).new
    assert third.signing_at == first.retained_at


def test_a_revoked_announced_key_is_followed_by_the_next_one_in_its_place(keys):
    # Otherwise the signing key would sign for another interval.
    first, second = keys.only(KeyState.SIGNING, NOW), keys.only(KeyState.ANNOUNCED, NOW)
    due = second.signing_at - POLICY.lead_time
    keys.rotate(due)
    third = keys.in_state(KeyState.ANNOUNCED, due)[1]
    for now, starts in (
        (due + days(1), second.signing_at),
        (second.signing_at - SECOND, second.signing_at),
    ):
        trial = Keys(dict(keys.by_kid), keys.numbers)
        gone = replace(trial.by_kid[second.kid], revoked_at=now)
        assert revoke(trial, second.kid, now) == (gone, replace(third, signing_at=starts))
        trial.rotate(now)
        assert trial.by_kid[first.kid].retained_at == starts
        assert len(trial.in_state(KeyState.ANNOUNCED, now)) == 2


def test_it_waits_until_it_was_announced_long_enough(keys):
    first, second = keys.only(KeyState.SIGNING, NOW), keys.only(KeyState.ANNOUNCED, NOW)
    now = second.signing_at - days(1)
    keys.rotate(now)
    third = keys.in_state(KeyState.ANNOUNCED, now)[1]
    assert revoke(keys, second.kid, now)[1:] == (replace(third, signing_at=now + POLICY.propagation_time),)
    keys.rotate(now)
    assert signer_at(keys, "RS256", now + POLICY.propagation_time - SECOND).kid == first.kid


@pytest.mark.parametrize("before_the_run", [True, False])
def test_right_after_a_takeover_an_announced_key_takes_over(keys, before_the_run):
    second = keys.only(KeyState.ANNOUNCED, NOW)
    takeover = second.signing_at
    keys.rotate(takeover - POLICY.propagation_time - days(1))
    now = takeover + timedelta(hours=1)
    if not before_the_run:
        keys.rotate(now)
    third = keys.only(KeyState.ANNOUNCED, now)
    assert revoke(keys, second.kid, now)[1] == replace(third, signing_at=now)
    assert third.announced_at <= now - POLICY.propagation_time
    assert len(keys.rotate(now).new) == 1


@pytest.mark.parametrize("after", [timedelta(0), SECOND, POLICY.retention + days(1)])
def test_a_key_that_has_signed_can_be_revoked(keys, after):
    first = keys.only(KeyState.SIGNING, START)
    keys.rotate(first.retained_at)
    at = first.retained_at + after
    assert first.state_at(at) in {KeyState.RETAINED, KeyState.RETIRED}
    signer = signer_at(keys, "RS256", at)
    assert revoke(keys, first.kid, at) == (replace(first, revoked_at=at),)
    assert signer_at(keys, "RS256", at) == signer


def test_other_algorithms_are_left_alone():
    keys = Keys()
    keys.rotate(START, algorithms=["RS256", "ES256"])
    changed = revoke(keys, keys.only(KeyState.SIGNING, NOW, "ES256").kid, algorithms=["RS256", "ES256"])
    assert {key.algorithm for key in changed} == {"ES256"}


def test_an_unknown_key_is_not_revoked(keys):
    with pytest.raises(KeyChangeRefused, match="no signing key"):
        revoke(keys, "unknown")
    with pytest.raises(KeyChangeRefused, match="no signing key"):
        revoke(Keys(), "unknown")


def test_a_key_is_revoked_once(keys):
    first = keys.only(KeyState.SIGNING, NOW)
    revoke(keys, first.kid)
    for now in (NOW, NOW + days(1), NOW - SECOND):
        with pytest.raises(KeyChangeRefused, match=f"already, at {format_instant(NOW)}"):
            revoke(keys, first.kid, now)


def test_the_only_usable_key_is_not_revoked(keys):
    first, second = keys.only(KeyState.SIGNING, NOW), keys.only(KeyState.ANNOUNCED, NOW)
    revoke(keys, second.kid)
    with pytest.raises(KeyChangeRefused, match="only usable key for RS256"):
        revoke(keys, first.kid)
    keys.rotate(NOW)
    assert revoke(keys, first.kid)


@pytest.fixture
def replaced(keys):
    """RS256 signs in place of ES256, which was announced a moment ago."""
    keys.rotate(NOW, algorithms=["ES256"])
    return keys


def test_a_replaced_algorithm_can_lose_one_key_after_another(replaced):
    for day in range(3):
        now = NOW + days(day)
        for state in (KeyState.ANNOUNCED, KeyState.SIGNING):
            revoke(replaced, replaced.only(state, now).kid, now, algorithms=["ES256"])
            replaced.rotate(now, algorithms=["ES256"])
            assert signer_at(replaced, "RS256", now)
    change = NOW + POLICY.propagation_time
    assert signer_at(replaced, "ES256", change)
    replaced.rotate(change, algorithms=["ES256"])
    assert signer_at(replaced, "RS256", change) is None


@pytest.mark.parametrize("after", [timedelta(0), SECOND])
def test_the_last_key_of_an_algorithm_that_was_given_up_is_revoked_while_another_one_signs(after):
    policy, both = replace(POLICY, notice=timedelta(seconds=30)), ["RS256", "ES256"]
    keys = Keys()
    keys.rotate(START, policy=policy, algorithms=both)
    keys.rotate(NOW, policy=policy, algorithms=["ES256"])
    last = keys.only(KeyState.SIGNING, NOW)
    now = NOW + after
    assert revoke(keys, last.kid, now, algorithms=["ES256"]) == (replace(last, revoked_at=now),)
    assert not keys.rotate(now, policy=policy, algorithms=["ES256"]).new


def test_the_only_key_that_signs_is_not_revoked_though_its_algorithm_is_given_up(replaced):
    revoke(replaced, replaced.only(KeyState.ANNOUNCED, NOW).kid, algorithms=["ES256"])
    last = replaced.only(KeyState.SIGNING, NOW)
    with pytest.raises(KeyChangeRefused, match="only usable key for RS256"):
        revoke(replaced, last.kid, algorithms=["ES256"])
    replaced.rotate(NOW, algorithms=["ES256"])
    assert revoke(replaced, last.kid, algorithms=["ES256"])


def test_an_algorithm_begins_no_later_because_its_first_key_is_revoked(replaced):
    first, second = replaced.in_state(KeyState.ANNOUNCED, NOW, "ES256")
    assert revoke(replaced, first.kid, algorithms=["ES256"])[1:] == (replace(second, signing_at=first.signing_at),)


def test_unless_the_next_one_was_announced_too_late_for_that(replaced):
    now = NOW + days(6)
    first, second = replaced.in_state(KeyState.ANNOUNCED, NOW, "ES256")
    revoke(replaced, second.kid, now, algorithms=["ES256"])
    replaced.rotate(now, algorithms=["ES256"])
    [_, third] = replaced.in_state(KeyState.ANNOUNCED, now, "ES256")
    [_, successor] = revoke(replaced, first.kid, now, algorithms=["ES256"])
    assert successor == replace(third, signing_at=now + POLICY.propagation_time)


def test_a_clock_that_is_behind_lets_the_next_key_sign_when_the_first_one_would_have(keys):
    behind, leeway = START - SECOND, timedelta(seconds=30)
    first, second = keys.in_state(KeyState.ANNOUNCED, behind)
    assert revoke(keys, first.kid, behind, leeway=leeway)[1:] == (replace(second, signing_at=START),)


def test_an_end_that_another_key_was_to_follow_is_put_off_when_that_is_revoked():
    keys = Keys()
    keys.rotate(START)
    keys.rotate(START + SECOND, early=["RS256"])
    first, (second, third) = keys.only(KeyState.SIGNING, START), keys.in_state(KeyState.ANNOUNCED, START)
    assert first.retained_at == START + POLICY.propagation_time
    now = START + days(1)
    revoke(keys, second.kid, now, algorithms=["ES256"])
    revoke(keys, third.kid, now, algorithms=["ES256"])
    keys.rotate(now, algorithms=["ES256"])
    for at in (first.retained_at, now + POLICY.propagation_time - SECOND):
        assert signer_at(keys, "RS256", at).kid == first.kid


@given(HISTORIES)
def test_there_is_never_a_moment_without_a_signer(history):
    for moment in replay(history):
        if moment.revoked is None:
            continue
        before = moment.before[moment.revoked]
        was = signer_at(moment.before.values(), before.algorithm, moment.now)
        signer = signer_at(moment.keys, before.algorithm, moment.now)
        assert signer is None or signer.kid != moment.revoked
        if was is not None and signer is None:
            # The last key of an algorithm that is no longer in use may be revoked.
            assert before.algorithm not in moment.algorithms
            assert any(signer_at(moment.keys, algorithm, moment.now) for algorithm in ALGORITHMS)
