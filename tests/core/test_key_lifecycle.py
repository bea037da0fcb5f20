"""The lifecycle of keys by example: each boundary, one second before and after."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from django_at_jwt.core.key_lifecycle import (
    PUBLISHED_STATES,
    KeyState,
    KeyTimes,
    NewKey,
    RotationPlan,
    next_signer,
    plan_rotation,
    signer_at,
)

from .key_histories import POLICY, SECOND, START, Keys, days

INTERVAL, PROPAGATION, RETENTION = POLICY.rotation_interval, POLICY.propagation_time, POLICY.retention
LEAD = POLICY.lead_time


def begun(**options):
    keys = Keys()
    keys.rotate(START, **options)
    return keys


def assert_signs(keys, expected, *instants, algorithm="RS256"):
    for at in instants:
        assert signer_at(keys, algorithm, at) == expected
        assert keys.in_state(KeyState.SIGNING, at, algorithm) == [expected]


# States


KEY = KeyTimes(
    kid="k",
    algorithm="RS256",
    announced_at=START,
    signing_at=START + days(1),
    retained_at=START + days(2),
    retired_at=START + days(3),
)


@pytest.mark.parametrize(
    ("at", "before", "after"),
    [
        (KEY.signing_at, KeyState.ANNOUNCED, KeyState.SIGNING),
        (KEY.retained_at, KeyState.SIGNING, KeyState.RETAINED),
        (KEY.retired_at, KeyState.RETAINED, KeyState.RETIRED),
    ],
)
def test_a_state_changes_at_its_instant(at, before, after):
    for early in (SECOND, timedelta(microseconds=1)):
        assert KEY.state_at(at - early) is before
    for late in (timedelta(0), timedelta(microseconds=1), SECOND):
        assert KEY.state_at(at + late) is after


@pytest.mark.parametrize("at", [START + days(number / 2) for number in range(8)])
def test_a_revoked_key_is_nothing_else(at):
    revoked = replace(KEY, revoked_at=at)
    for later in (timedelta(0), SECOND, days(100)):
        assert revoked.state_at(at + later) is KeyState.REVOKED


@pytest.mark.parametrize("behind", [SECOND, timedelta(minutes=5)])
def test_a_clock_that_is_behind_does_not_undo_a_revocation(behind):
    # A revocation applies as soon as it is known, regardless of the clock.
    revoked = replace(KEY, revoked_at=KEY.signing_at + timedelta(hours=1))
    assert revoked.state_at(revoked.revoked_at - behind) is KeyState.REVOKED


def test_without_an_end_a_key_goes_on_signing():
    endless = replace(KEY, retained_at=None, retired_at=None)
    assert endless.state_at(START + days(10_000)) is KeyState.SIGNING


def test_what_is_published():
    published = [state for state in KeyState if state in PUBLISHED_STATES]
    assert published == [KeyState.ANNOUNCED, KeyState.SIGNING, KeyState.RETAINED]


def test_the_changes_to_come():
    def after(key, at):
        return sorted(key.transitions_after(at))

    assert after(KEY, START) == [KEY.signing_at, KEY.retained_at, KEY.retired_at]
    assert after(KEY, KEY.signing_at - SECOND) == [KEY.signing_at, KEY.retained_at, KEY.retired_at]
    assert after(KEY, KEY.signing_at) == [KEY.retained_at, KEY.retired_at]
    assert after(KEY, KEY.retired_at) == []
    assert after(replace(KEY, retained_at=None, retired_at=None), KEY.signing_at) == []


def test_one_signer_is_chosen_even_if_clocks_made_two():
    older, newer = replace(KEY, kid="a"), replace(KEY, kid="b", signing_at=KEY.signing_at + SECOND)
    at = newer.signing_at
    assert signer_at([older, newer], "RS256", at) == signer_at([newer, older], "RS256", at) == newer
    twin = replace(KEY, kid="z")
    assert signer_at([older, twin], "RS256", at) == signer_at([twin, older], "RS256", at) == twin
    assert signer_at([older, newer], "ES256", at) is None
    assert signer_at([], "RS256", at) is None


@pytest.mark.parametrize("leeway", [timedelta(0), timedelta(seconds=30)])
def test_a_clock_that_is_behind_by_the_leeway_signs_with_the_first_key(leeway):
    endless = replace(KEY, retained_at=None, retired_at=None)
    starts = endless.signing_at
    for at, signer in (
        (starts - leeway - SECOND, None),
        (starts - leeway, endless),
        (starts, endless),
        (starts + days(99), endless),
    ):
        assert signer_at([endless], "RS256", at, leeway=leeway) == signer
        assert signer_at([endless], "ES256", at, leeway=leeway) is None


def test_the_leeway_does_not_matter_while_a_key_signs():
    later = replace(KEY, kid="later", signing_at=KEY.retained_at, retained_at=None, retired_at=None)
    latest = replace(later, kid="latest", signing_at=later.signing_at + SECOND)
    leeway = timedelta(minutes=5)
    for keys in ([KEY, later, latest], [latest, later, KEY]):
        assert signer_at(keys, "RS256", KEY.retained_at - SECOND, leeway=leeway) == KEY
        assert signer_at([*keys[1:-1], latest], "RS256", KEY.retained_at - SECOND, leeway=leeway) == later
    assert signer_at([replace(later, revoked_at=START)], "RS256", later.signing_at - SECOND, leeway=leeway) is None


def test_next_signer_is_the_announced_key_that_starts_first():
    following = replace(KEY, kid="following", signing_at=KEY.retained_at, retained_at=None, retired_at=None)
    last = replace(following, kid="last", signing_at=following.signing_at + days(1))
    before = KEY.retained_at - SECOND
    withdrawn = replace(following, kid="withdrawn", signing_at=before, retained_at=before)
    revoked = replace(following, kid="revoked", signing_at=before, revoked_at=START)
    for keys in ([KEY, last, following, withdrawn, revoked], [revoked, withdrawn, following, last, KEY]):
        assert next_signer(keys, "RS256", KEY.signing_at) == following
        assert next_signer(keys, "RS256", following.signing_at) == last
        assert next_signer(keys, "RS256", last.signing_at) is None
        assert next_signer(keys, "ES256", KEY.signing_at) is None


# The first rotation


def test_the_first_key_signs_at_once_and_the_next_is_announced():
    plan = plan_rotation([], policy=POLICY, algorithms=["RS256"], now=START)
    ends = START + INTERVAL
    assert plan == RotationPlan(
        new=(
            NewKey(
                algorithm="RS256",
                announced_at=START,
                signing_at=START,
                retained_at=ends,
                retired_at=ends + RETENTION,
            ),
            NewKey(algorithm="RS256", announced_at=START, signing_at=ends),
        )
    )
    assert plan


def test_each_algorithm_gets_its_own_first_keys():
    keys = begun(algorithms=["RS256", "ES256"])
    for algorithm in ("RS256", "ES256"):
        assert keys.only(KeyState.SIGNING, START, algorithm).signing_at == START
        assert keys.only(KeyState.ANNOUNCED, START, algorithm).signing_at == START + INTERVAL


def test_the_next_key_is_announced_for_the_propagation_time_even_if_that_is_longer_than_a_rotation():
    keys = begun(policy=replace(POLICY, rotation_interval=days(1)))
    assert keys.only(KeyState.ANNOUNCED, START).signing_at == START + PROPAGATION
    assert keys.only(KeyState.SIGNING, START).retained_at == START + PROPAGATION


@pytest.mark.parametrize("algorithms", [["RS256"], ["RS256", "ES256", "EdDSA"]])
@pytest.mark.parametrize("later", [timedelta(0), SECOND, days(1), INTERVAL - LEAD - SECOND])
def test_a_second_rotation_does_nothing(algorithms, later):
    keys = begun(algorithms=algorithms)
    plan = keys.plan(START + later, algorithms=algorithms)
    assert plan == RotationPlan()
    assert not plan


def test_after_everything_was_revoked_or_retired_it_begins_again():
    keys = begun()
    keys.by_kid = {kid: replace(key, revoked_at=START + days(1)) for kid, key in keys.by_kid.items()}
    plan = keys.rotate(START + days(2))
    assert [new.signing_at for new in plan.new] == [START + days(2), START + days(2) + INTERVAL]
    assert plan.changed == ()


# Rotations on time and too late


def test_the_lead_time_is_the_propagation_time_and_a_run_that_failed():
    assert PROPAGATION + days(2) == LEAD
    assert replace(POLICY, rotation_interval=days(8)).lead_time == days(8)


@pytest.mark.parametrize("interval", [INTERVAL, LEAD + SECOND, days(30)])
def test_a_rotation_one_second_either_side_of_the_lead_time(interval):
    policy = replace(POLICY, rotation_interval=interval)
    keys = begun(policy=policy)
    first, second = keys.only(KeyState.SIGNING, START), keys.only(KeyState.ANNOUNCED, START)
    due = second.signing_at - LEAD
    assert not keys.plan(due - SECOND, policy=policy)
    [third] = keys.rotate(due, policy=policy).new
    assert third.signing_at == second.signing_at + interval
    assert keys.by_kid[first.kid] == first
    assert keys.by_kid[second.kid].retained_at == third.signing_at
    assert len(keys.in_state(KeyState.ANNOUNCED, second.signing_at - SECOND)) == 2
    assert len(keys.in_state(KeyState.ANNOUNCED, second.signing_at)) == 1
    assert not keys.plan(second.signing_at, policy=policy)


@pytest.mark.parametrize("interval", [LEAD, PROPAGATION])
def test_two_keys_are_always_announced_if_the_interval_is_at_most_the_lead_time(interval):
    policy = replace(POLICY, rotation_interval=interval)
    keys = begun(policy=policy)
    for day in range(60):
        now = START + days(day)
        keys.rotate(now, policy=policy)
        assert len(keys.in_state(KeyState.SIGNING, now)) == 1
        assert len(keys.in_state(KeyState.ANNOUNCED, now)) == 2


def test_a_rotation_after_the_change_that_none_was_before():
    keys = begun()
    first, second = keys.only(KeyState.SIGNING, START), keys.only(KeyState.ANNOUNCED, START)
    change = second.signing_at
    assert_signs(keys, first, START, change - SECOND)
    assert_signs(keys, second, change, change + SECOND)
    plan = keys.rotate(change)
    [third] = plan.new
    assert third.signing_at == change + INTERVAL
    assert [key.kid for key in plan.changed] == [second.kid]
    assert_signs(keys, keys.by_kid[first.kid], START, change - SECOND)
    assert_signs(keys, keys.by_kid[second.kid], change, third.signing_at - SECOND)
    assert not keys.plan(change)
    assert not keys.plan(change + SECOND)


def test_what_has_signed_is_published_until_its_tokens_have_expired():
    keys = begun()
    first = keys.only(KeyState.SIGNING, START)
    change = first.retained_at
    keys.rotate(change)
    assert keys.by_kid[first.kid] == first
    assert first.retired_at == change + RETENTION
    assert first.state_at(change + RETENTION - SECOND) is KeyState.RETAINED
    assert first.state_at(change + RETENTION) is KeyState.RETIRED


def test_without_rotations_the_last_key_signs_until_the_next_was_announced_long_enough():
    keys = begun()
    second = keys.only(KeyState.ANNOUNCED, START)
    late = START + 5 * INTERVAL
    assert_signs(keys, second, late)
    third, fourth = keys.rotate(late).new
    assert third.signing_at == late + PROPAGATION
    assert fourth.signing_at == third.signing_at + INTERVAL
    second = keys.by_kid[second.kid]
    assert (second.retained_at, second.retired_at) == (third.signing_at, third.signing_at + RETENTION)
    assert_signs(keys, second, late, third.signing_at - SECOND)
    assert keys.only(KeyState.SIGNING, third.signing_at).signing_at == third.signing_at


def test_a_little_late_the_rhythm_is_kept():
    keys = begun()
    second = keys.only(KeyState.ANNOUNCED, START)
    [third] = keys.rotate(second.signing_at + days(3)).new
    assert third.signing_at == second.signing_at + INTERVAL


def test_ten_years_of_rotations():
    keys, signers = begun(), []
    for day in range(3650):
        now = START + days(day)
        keys.rotate(now)
        announced = keys.in_state(KeyState.ANNOUNCED, now)
        assert len(announced) == (2 if announced[0].signing_at <= now + LEAD else 1)
        signer = keys.only(KeyState.SIGNING, now)
        if signer.kid not in signers:
            signers.append(signer.kid)
    assert len(signers) == 3650 // 90 + 1
    # The last takeover of the ten years is 50 days ago, so one is announced.
    assert len(keys.by_kid) == len(signers) + 1


# Early rotations


def test_an_early_rotation_before_the_announced_key_is_known_everywhere():
    keys = begun()
    first, second = keys.only(KeyState.SIGNING, START), keys.only(KeyState.ANNOUNCED, START)
    keys.rotate(START + days(2), early=["RS256"])
    change = START + PROPAGATION
    assert keys.by_kid[second.kid].signing_at == change
    assert keys.by_kid[first.kid].retained_at == change
    assert keys.by_kid[first.kid].retired_at == change + RETENTION
    assert_signs(keys, keys.by_kid[first.kid], START + days(2), change - SECOND)
    assert_signs(keys, keys.by_kid[second.kid], change, change + SECOND)
    assert not keys.plan(START + days(2))
    assert not keys.plan(START + days(2), early=["RS256"])
    assert not keys.plan(change - SECOND)


@pytest.mark.parametrize("announced_for", [PROPAGATION, PROPAGATION + SECOND, days(60), INTERVAL - SECOND])
def test_an_early_rotation_to_a_key_that_is_known_everywhere(announced_for):
    keys, now = begun(), START + announced_for
    first, second = keys.only(KeyState.SIGNING, START), keys.only(KeyState.ANNOUNCED, START)
    keys.rotate(now, early=["RS256"])
    assert_signs(keys, keys.by_kid[first.kid], now - SECOND)
    assert_signs(keys, keys.by_kid[second.kid], now, now + SECOND)
    assert keys.by_kid[first.kid].retired_at == now + RETENTION


def test_an_early_rotation_gives_all_processes_notice():
    # A process that does not know of it yet signs with the former key, so the next one begins later.
    policy = replace(POLICY, notice=timedelta(seconds=30))
    keys, now = begun(policy=policy), START + days(30)
    first, second = keys.only(KeyState.SIGNING, START), keys.only(KeyState.ANNOUNCED, START)
    keys.rotate(now, policy=policy, early=["RS256"])
    change = now + policy.notice
    assert_signs(keys, keys.by_kid[first.kid], now, change - SECOND)
    assert_signs(keys, keys.by_kid[second.kid], change, change + SECOND)
    assert not keys.plan(now, policy=policy)
    assert not keys.plan(now, policy=policy, early=["RS256"])
    # The same rotation announces its successor, so that there is one at the takeover.
    assert [key.signing_at for key in keys.in_state(KeyState.ANNOUNCED, change)] == [change + INTERVAL]
    assert not keys.plan(change, policy=policy)


@pytest.mark.parametrize("announced_for", [days(1), days(30)])
def test_asking_twice_for_the_same_early_rotation_is_asking_once(announced_for):
    keys, now = begun(), START + announced_for
    keys.rotate(now, early=["RS256"])
    assert not keys.plan(now, early=["RS256"])


def test_an_early_rotation_announces_the_key_after_it():
    # Otherwise there is no successor if the new signing key leaks before the next rotation.
    keys, now = begun(), START + days(30)
    keys.rotate(now, early=["RS256"])
    assert len(keys.in_state(KeyState.SIGNING, now)) == 1
    assert [key.signing_at for key in keys.in_state(KeyState.ANNOUNCED, now)] == [now + INTERVAL]
    assert not keys.plan(now)


def test_an_early_rotation_is_of_the_algorithms_that_were_named():
    keys = begun(algorithms=["RS256", "ES256"])
    plan = keys.rotate(START + days(1), algorithms=["RS256", "ES256"], early=["ES256"])
    assert {key.algorithm for key in plan.changed} == {"ES256"}
    assert not keys.plan(START + days(1), algorithms=["RS256", "ES256"], early=["EdDSA"])


def test_an_early_rotation_before_the_first_is_the_first():
    assert Keys().plan(START, early=["RS256"]) == Keys().plan(START)


def test_a_shorter_retention_does_not_shorten_what_was_promised():
    keys = begun()
    first = keys.only(KeyState.SIGNING, START)
    shorter = replace(POLICY, retention=timedelta(minutes=1))
    assert not keys.plan(START + SECOND, policy=shorter)
    keys.rotate(first.retained_at, policy=shorter)
    assert keys.by_kid[first.kid].retired_at == first.retired_at


@pytest.mark.parametrize("early", [True, False])
def test_nor_does_it_when_the_key_stops_signing_sooner_than_was_planned(early):
    # Tokens signed a moment ago were issued under the longer retention.
    keys, now = begun(algorithms=["RS256", "ES256"]), START + days(30)
    first = keys.only(KeyState.SIGNING, START)
    shorter = replace(POLICY, retention=timedelta(minutes=1))
    if early:
        keys.rotate(now, policy=shorter, algorithms=["RS256", "ES256"], early=["RS256"])
    else:
        keys.rotate(now, policy=shorter, algorithms=["ES256"])
    assert keys.by_kid[first.kid].retained_at == now
    assert keys.by_kid[first.kid].retired_at >= now + RETENTION


def test_a_longer_retention_holds_for_what_is_still_published():
    keys = begun()
    first = keys.only(KeyState.SIGNING, START)
    longer = replace(POLICY, retention=days(1))
    for now in (START + SECOND, first.retained_at + SECOND):
        assert keys.plan(now, policy=longer)
    keys.rotate(first.retained_at + SECOND, policy=longer)
    assert keys.by_kid[first.kid].retired_at == first.retained_at + days(1)


def test_a_retired_key_is_left_alone():
    keys = begun()
    first = keys.only(KeyState.SIGNING, START)
    keys.rotate(first.retained_at)
    keys.rotate(first.retired_at, policy=replace(POLICY, retention=days(30)))
    assert keys.by_kid[first.kid] == first


def test_other_intervals_are_for_keys_that_are_yet_to_be_announced():
    keys = begun()
    changed = replace(POLICY, rotation_interval=days(30), propagation_time=days(1))
    assert not keys.plan(START + days(1), policy=changed)
    second = keys.only(KeyState.ANNOUNCED, START)
    [third] = keys.rotate(second.signing_at, policy=changed).new
    assert third.signing_at == second.signing_at + days(30)


# Algorithms that come and go


def test_an_added_algorithm_is_announced_first():
    keys, now = begun(), START + days(10)
    both = ["ES256", "RS256"]
    plan = keys.rotate(now, algorithms=both)
    change = now + PROPAGATION
    assert [(new.algorithm, new.signing_at) for new in plan.new] == [("ES256", change), ("ES256", change + INTERVAL)]
    assert plan.changed == ()
    for at in (now, change - SECOND):
        assert signer_at(keys, "ES256", at) is None
        assert signer_at(keys, "RS256", at) is not None
    assert signer_at(keys, "ES256", change) is not None
    assert not keys.plan(now, algorithms=both)
    assert not keys.plan(change, algorithms=both)


def test_a_removed_algorithm_stops_signing_and_is_retained():
    keys, now = begun(algorithms=["RS256", "ES256"]), START + days(10)
    signed, announced = keys.only(KeyState.SIGNING, now, "RS256"), keys.only(KeyState.ANNOUNCED, now, "RS256")
    keys.rotate(now, algorithms=["ES256"])
    for kid in (signed.kid, announced.kid):
        key = keys.by_kid[kid]
        assert (key.retained_at, key.retired_at) == (now, now + RETENTION)
    assert signer_at(keys, "RS256", now - SECOND).kid == signed.kid
    assert signer_at(keys, "RS256", now) is None
    assert signer_at(keys, "RS256", announced.signing_at) is None
    assert keys.by_kid[signed.kid].state_at(now + RETENTION - SECOND) is KeyState.RETAINED
    assert keys.by_kid[signed.kid].state_at(now + RETENTION) is KeyState.RETIRED
    assert not keys.plan(now, algorithms=["ES256"])
    assert not keys.plan(now + SECOND, algorithms=["ES256"])


def test_a_withdrawn_key_that_would_begin_within_the_notice_never_signs():
    keys, policy = begun(algorithms=["RS256", "ES256"]), replace(POLICY, notice=timedelta(seconds=30))
    announced = keys.only(KeyState.ANNOUNCED, START + days(10), "RS256")
    now = announced.signing_at - 10 * SECOND
    keys.rotate(now, policy=policy, algorithms=["ES256"])
    assert keys.by_kid[announced.kid].never_signs
    for seconds in (10, 11, 25, 40, 60):
        signer = signer_at(keys, "RS256", now + seconds * SECOND)
        assert signer is None or signer.kid != announced.kid


@pytest.mark.parametrize("after", [timedelta(0), RETENTION - SECOND, RETENTION, days(6)])
def test_a_removed_algorithm_gets_no_new_keys_while_another_is_replaced(after):
    # Until ES256 signs, RS256 signs in its place. EdDSA was removed before.
    keys, now = begun(algorithms=["RS256", "EdDSA"]), START + days(10)
    keys.rotate(now)
    plan = keys.rotate(now + after, algorithms=["ES256"])
    assert {new.algorithm for new in plan.new} == {"ES256"}
    assert plan.changed == ()
    assert not keys.plan(now + after, algorithms=["ES256"])


def test_an_overdue_key_is_announced_for_the_propagation_time():
    keys = begun()
    now = START + 2 * INTERVAL + days(20)
    [new, *_] = keys.rotate(now).new
    assert (new.announced_at, new.signing_at) == (now, now + PROPAGATION)


def test_a_replaced_algorithm_goes_on_until_the_new_one_signs():
    keys, now = begun(), START + days(10)
    keys.rotate(now, algorithms=["ES256"])
    change = now + PROPAGATION
    assert signer_at(keys, "RS256", change - SECOND) is not None
    assert not keys.plan(change - SECOND, algorithms=["ES256"])
    keys.rotate(change, algorithms=["ES256"])
    assert signer_at(keys, "RS256", change) is None
    assert signer_at(keys, "ES256", change) is not None


def test_a_replaced_algorithm_goes_on_until_all_of_the_new_ones_sign():
    keys, now = begun(algorithms=["RS256", "ES256"]), START + days(10)
    new = ["EdDSA", "ES256"]
    keys.rotate(now, algorithms=new)
    change = now + PROPAGATION
    assert signer_at(keys, "RS256", change - SECOND) is not None
    assert not keys.plan(change - SECOND, algorithms=new)
    assert {key.algorithm for key in keys.rotate(change, algorithms=new).changed} == {"RS256"}


def test_a_replaced_algorithm_keeps_to_the_policy_until_it_stops():
    # Its keys still sign, so a longer lifetime of tokens applies, and each is followed by the next as planned.
    keys = begun()
    first, now = keys.only(KeyState.SIGNING, START), START + INTERVAL - days(1)
    longer = replace(POLICY, retention=days(3))
    keys.rotate(now, policy=longer, algorithms=["ES256"])
    assert signer_at(keys, "RS256", first.retained_at - SECOND) == keys.by_kid[first.kid]
    assert keys.by_kid[first.kid].retired_at >= first.retained_at + days(3)
    assert not keys.plan(now, policy=longer, algorithms=["ES256"])


def test_an_algorithm_that_was_removed_and_comes_back_is_announced_anew():
    keys = begun(algorithms=["RS256", "ES256"])
    keys.rotate(START + days(10), algorithms=["ES256"])
    now = START + days(100)
    keys.rotate(now, algorithms=["ES256", "RS256"])
    assert signer_at(keys, "RS256", now + PROPAGATION - SECOND) is None
    assert signer_at(keys, "RS256", now + PROPAGATION) is not None


def test_it_does_so_without_a_gap_while_its_earlier_keys_are_still_published():
    # Its former announced key never signs, so nothing waits for it.
    policy = replace(POLICY, retention=days(30))
    keys, both = begun(policy=policy, algorithms=["RS256", "ES256"]), ["ES256", "RS256"]
    keys.rotate(START + days(10), policy=policy, algorithms=["ES256"])
    now = START + days(11)
    keys.rotate(now, policy=policy, algorithms=both)
    announced = keys.in_state(KeyState.ANNOUNCED, now, "RS256")
    change = now + PROPAGATION
    assert [key.signing_at for key in announced] == [change, change + INTERVAL]
    assert [key.retained_at for key in announced] == [change + INTERVAL, None]
    assert not keys.plan(now, policy=policy, algorithms=both)
    assert not keys.plan(now + SECOND, policy=policy, algorithms=both)


# Revocations


def test_after_a_revocation_the_announced_key_signs_and_the_next_is_announced():
    keys, now = begun(), START + days(30)
    first, second = keys.only(KeyState.SIGNING, START), keys.only(KeyState.ANNOUNCED, START)
    assert keys.revoke(first.kid, now)[1].kid == second.kid
    plan = keys.rotate(now)
    assert_signs(keys, keys.by_kid[second.kid], now, now + SECOND)
    assert keys.by_kid[first.kid] == replace(first, revoked_at=now)
    assert [new.signing_at for new in plan.new] == [now + INTERVAL]
    assert keys.by_kid[second.kid].retained_at == now + INTERVAL
    assert not keys.plan(now)


def test_a_revoked_announced_key_is_replaced():
    keys, now = begun(), START + days(30)
    first, second = keys.only(KeyState.SIGNING, START), keys.only(KeyState.ANNOUNCED, START)
    keys.by_kid[second.kid] = replace(second, revoked_at=now)
    [third] = keys.rotate(now).new
    assert third.signing_at == second.signing_at
    assert_signs(keys, keys.by_kid[first.kid], now, third.signing_at - SECOND)
    assert signer_at(keys, "RS256", third.signing_at).signing_at == third.signing_at


# Clocks that step back


@pytest.mark.parametrize("back", [SECOND, timedelta(minutes=5)])
def test_a_clock_that_steps_back_over_a_change_makes_no_further_keys(back):
    keys = begun()
    second = keys.only(KeyState.ANNOUNCED, START)
    keys.rotate(second.signing_at)
    before = dict(keys.by_kid)
    assert not keys.plan(second.signing_at - back)
    assert_signs(keys, next(iter(before.values())), second.signing_at - back)
    keys.rotate(START + 2 * INTERVAL)
    assert len(keys.by_kid) == len(before) + 1


def test_a_clock_that_steps_back_over_a_removal_and_its_undoing_leaves_no_gap():
    both = ["RS256", "ES256"]
    keys, now = begun(algorithms=both), START + days(10)
    keys.rotate(now, algorithms=["RS256"])
    keys.rotate(now - timedelta(minutes=4), algorithms=both)
    second = keys.only(KeyState.ANNOUNCED, now, "ES256")
    assert second.signing_at == START + INTERVAL
    # It has no successor yet, so it signs until a rotation announces one.
    assert_signs(keys, second, second.signing_at, START + 10 * INTERVAL, algorithm="ES256")
