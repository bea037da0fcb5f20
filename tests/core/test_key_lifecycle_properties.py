"""Properties at every instant, for any history of rotations, settings, revocations and clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from django_at_jwt.core.errors import KeyChangeRefused
from django_at_jwt.core.key_lifecycle import KeyState, signer_at

from .key_histories import (
    ALGORITHMS,
    HISTORIES,
    MOST_BACKWARDS,
    POLICY,
    SECOND,
    START,
    ClockStepsBack,
    Keys,
    Promises,
    Revoke,
    Rotate,
    SetAlgorithms,
    SetPolicy,
    Wait,
    days,
    is_usable,
    nothing_published,
    replay,
)

SHORT = replace(POLICY, propagation_time=timedelta(minutes=10), retention=timedelta(minutes=10))
LONG = replace(POLICY, retention=days(30))
EARLY_TO_A_KNOWN_KEY = [Wait(days(8)), Rotate(frozenset({"RS256"}))]
# ES256 replaces RS256 and starts early, at the instant of the rotation.
EARLY_TO_ANOTHER_ALGORITHM = [
    *(SetAlgorithms(("ES256",)), Rotate(), SetPolicy(SHORT), Wait(days(1))),
    Rotate(frozenset({"ES256"})),
]
# ES256 is used with RS256, then removed, then added again while its former keys are still published.
AWAY_AND_BACK = [
    SetPolicy(LONG),
    *(SetAlgorithms(("RS256", "ES256")), Rotate()),
    *(SetAlgorithms(("RS256",)), Rotate(), Wait(days(1))),
    *(SetAlgorithms(("RS256", "ES256")), Rotate(), Rotate(), Wait(days(120))),
]
# The keys leak while ES256 is announced in place of RS256: the announced one is revoked first, then the one that signs.
LEAKED_WHILE_REPLACED = [SetAlgorithms(("ES256",)), Rotate(), *(Revoke(place) for place in range(6))]
# RS256 has its next takeover in a week; ES256 cannot sign before.
REVOKED_NEXT_KEY = [
    *(Wait(timedelta(hours=2)), Rotate(frozenset({"RS256"}))),
    *(Wait(days(1)), SetAlgorithms(("ES256",)), Revoke(1), Wait(days(7))),
]


def signing(keys, algorithm, at):
    return [key for key in keys if key.algorithm == algorithm and key.state_at(at) is KeyState.SIGNING]


@given(HISTORIES)
def test_at_most_one_key_of_an_algorithm_signs(history):
    for moment in replay(history):
        for at in moment.instants:
            for algorithm in ALGORITHMS:
                signers = signing(moment.keys, algorithm, at)
                assert len(signers) <= 1, (moment.step, at)
                assert [signer_at(moment.keys, algorithm, at)] == (signers or [None])


@given(HISTORIES)
@example(AWAY_AND_BACK)
def test_exactly_one_signs_from_the_first_on(history):
    promises = Promises()
    for moment in replay(history):
        promises.follow(moment)
        for at in moment.instants:
            for algorithm, since in promises.since.items():
                if at >= since:
                    assert len(signing(moment.keys, algorithm, at)) == 1, (moment.step, algorithm, at)


@given(HISTORIES)
@example(LEAKED_WHILE_REPLACED)
@example(REVOKED_NEXT_KEY)
def test_something_signs_at_every_instant_from_the_first_key_on(history):
    since = START
    for moment in replay(history):
        if moment.revoked:
            since = max(since, moment.now)
        for at in moment.instants:
            if at >= since:
                signers = [signer_at(moment.keys, algorithm, at) for algorithm in ALGORITHMS]
                assert any(signers), (moment.step, at)


@given(HISTORIES)
@example(LEAKED_WHILE_REPLACED)
def test_what_is_refused_is_done_after_the_rotation_that_was_advised(history):
    for moment in replay(history):
        if moment.refused is None or moment.before[moment.refused].revoked_at is not None:
            continue
        state = {"policy": moment.policy, "algorithms": moment.algorithms}
        trial = Keys(dict(moment.keys.by_kid))
        trial.rotate(moment.now, **state)
        try:
            assert trial.revoke(moment.refused, moment.now, leeway=MOST_BACKWARDS, **state)
        except KeyChangeRefused as refused:
            raise AssertionError((moment.refused, moment.now)) from refused


@given(HISTORIES)
@example(EARLY_TO_A_KNOWN_KEY)
def test_after_a_rotation_the_next_key_is_announced(history):
    for moment in replay(history):
        if moment.plan is not None:
            for algorithm in moment.algorithms:
                assert moment.keys.in_state(KeyState.ANNOUNCED, moment.now, algorithm), (moment.step, moment.now)


@given(HISTORIES)
@example(EARLY_TO_A_KNOWN_KEY)
@example(EARLY_TO_ANOTHER_ALGORITHM)
@example(LEAKED_WHILE_REPLACED)
def test_for_the_lead_time_after_a_rotation_one_is_announced_at_every_instant(history):
    for moment in replay(history):
        if moment.plan is not None:
            until = moment.now + moment.policy.lead_time
            for at in (*moment.keys.instants(moment.now), until):
                if moment.now <= at <= until:
                    for algorithm in moment.algorithms:
                        announced = moment.keys.in_state(KeyState.ANNOUNCED, at, algorithm)
                        assert any(is_usable(key, at) for key in announced), (moment.step, moment.now, at)


DAILY = st.lists(st.integers(1, 2 * 86400).map(lambda seconds: timedelta(seconds=seconds)), min_size=40, max_size=90)


@given(DAILY, st.sampled_from([9, 10, 30, 90]).map(days))
def test_whenever_the_signing_key_is_revoked_the_next_one_was_announced_long_enough(gaps, interval):
    # The command runs daily at any time and may fail occasionally.
    policy = replace(POLICY, rotation_interval=interval)
    keys, now, began = Keys(), START, START + policy.propagation_time
    keys.rotate(now, policy=policy)
    for gap in gaps:
        changes = {at + step for key in keys for at in key.transitions_after(now) for step in (-SECOND, 0 * SECOND)}
        now += gap
        for at in sorted(at for at in {*changes, now} if began <= at <= now):
            trial = Keys(dict(keys.by_kid))
            signer = signer_at(trial, "RS256", at)
            _, successor = trial.revoke(signer.kid, at, policy=policy)
            assert successor.signing_at == at
            assert successor.announced_at + policy.propagation_time <= at
        keys.rotate(now, policy=policy)


@given(HISTORIES)
@example(EARLY_TO_A_KNOWN_KEY)
@example(EARLY_TO_ANOTHER_ALGORITHM)
@example(AWAY_AND_BACK)
def test_a_second_rotation_at_the_same_instant_does_nothing(history):
    for moment in replay(history):
        if moment.plan is not None:
            again = moment.keys.plan(moment.now, policy=moment.policy, algorithms=moment.algorithms)
            assert not again, (moment.step, moment.now, again)


@given(HISTORIES)
def test_no_key_signs_before_everybody_can_know_it(history):
    first, promoted, propagation = set(), set(), {}
    for moment in replay(history):
        if moment.promoted:
            promoted.add(moment.promoted)
        if moment.plan is not None:
            if nothing_published(moment.before.values(), moment.now):
                first |= {key.kid for key in moment.made if key.signing_at == moment.now}
            for key in moment.keys:
                # A shorter propagation time is the operator's decision; a longer one applies to later keys.
                current = moment.policy.propagation_time
                propagation[key.kid] = min(propagation.get(key.kid, current), current)
        for key in moment.keys:
            if key.kid not in first | promoted:
                assert key.signing_at >= key.announced_at + propagation[key.kid], (moment.step, key)


@given(HISTORIES)
@example([SetPolicy(SHORT), Rotate(frozenset({"RS256"}))])
@example([Wait(days(89)), SetAlgorithms(("ES256",)), SetPolicy(LONG), Rotate(), Wait(days(2))])
def test_every_token_can_be_verified_until_it_expires(history):
    # A token lives at most for the retention at the time of signing, as far as it was planned: a key without an end has
    # no planned retention.
    needed, policy, stepped_back, furthest = {}, None, timedelta(0), START

    def signed(keys, first, last):
        for key in keys:
            if key.retained_at is not None and key.state_at(max(first, key.signing_at)) is KeyState.SIGNING:
                stops = min(last, key.retained_at)
                needed[key.kid] = max(needed.get(key.kid, stops), stops + policy.retention)

    for moment in replay(history):
        if policy is not None:
            # Until this step, the policy of the previous rotation applied. Repeated clock time is not counted.
            signed(moment.before.values(), max(moment.was, furthest), max(moment.now, furthest))
        furthest = max(furthest, moment.now)
        if isinstance(moment.step, ClockStepsBack):
            stepped_back += moment.step.duration
        if moment.plan is not None:
            policy = moment.policy
        for key in moment.keys:
            if key.kid in needed and key.retired_at is not None and key.revoked_at is None:
                assert key.retired_at >= needed[key.kid] - stepped_back, (moment.step, key)


@given(HISTORIES)
def test_a_key_is_published_for_the_retention_after_it_has_signed(history):
    for moment in replay(history):
        for key in moment.keys:
            assert (key.retained_at is None) == (key.retired_at is None)
            if key.retained_at is not None and key.kid not in moment.before:
                assert key.retired_at - key.retained_at >= moment.policy.retention
            if moment.plan is not None and key in moment.plan.changed and key.retained_at is not None:
                assert key.retired_at - key.retained_at >= moment.policy.retention, (moment.step, key)


@given(HISTORIES)
def test_no_key_is_retired_earlier_than_was_said(history):
    for moment in replay(history):
        if moment.plan is None:
            continue
        for kid, before in moment.before.items():
            after = moment.keys.by_kid[kid]
            # A key that stops signing earlier than planned may be retired earlier: it has signed no token since.
            sooner = before.algorithm in moment.early or before.algorithm not in moment.algorithms or moment.revoked
            if (
                before.retired_at is None
                or before.revoked_at is not None
                or (sooner and before.state_at(moment.now) is not KeyState.RETAINED)
            ):
                continue
            assert after.retired_at is None or after.retired_at >= before.retired_at, (moment.step, before, after)


@given(HISTORIES)
def test_nothing_but_the_plan_is_done_to_keys(history):
    for moment in replay(history):
        for kid, before in moment.before.items():
            after = moment.keys.by_kid[kid]
            assert (after.algorithm, after.announced_at) == (before.algorithm, before.announced_at)
            if kid == moment.revoked:
                assert after == replace(before, revoked_at=moment.now)
            elif moment.plan is not None:
                assert after.revoked_at == before.revoked_at
                assert (after != before) == (after in moment.plan.changed or kid == moment.promoted)
                assert before.state_at(moment.now) not in {KeyState.RETIRED, KeyState.REVOKED} or after == before
                assert after.signing_at <= before.signing_at
        assert len(moment.keys.by_kid) == len(moment.before) + len(moment.made)


@given(HISTORIES)
def test_keys_do_not_pile_up(history):
    made, rotations_due = 0, 0
    for moment in replay(history):
        made += len(moment.made)
        if moment.plan is not None:
            standing_in = {key.algorithm for key in moment.before.values() if is_usable(key, moment.now)}
            rotations_due += 3 * len({*moment.algorithms, *standing_in})
        assert made <= rotations_due
        if not isinstance(moment.step, (Wait, Rotate, SetPolicy, Revoke)):
            assert moment.made == []
