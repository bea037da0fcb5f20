"""When a rotation is due and late, the next change of a key, and how long ago the rotation ran."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_at_jwt.core.key_lifecycle import KeyState, RotationPolicy
from django_at_jwt.core.key_schedule import LastRun, next_rotation, next_transition, run_problem

from .key_histories import POLICY, START, Keys, days

MAX_AGE = timedelta(hours=36)
SECOND = timedelta(seconds=1)


def following(keys, now, policy=POLICY, algorithms=("RS256",)):
    return next_rotation(list(keys), policy=policy, algorithms=algorithms, now=now)


@pytest.fixture
def keys():
    keys = Keys()
    keys.rotate(START)
    return keys


class TestNextRotation:
    def test_due_two_days_and_the_propagation_time_before_the_last_key_signs(self, keys):
        assert following(keys, START).due_at == START + days(90 - 9)

    def test_late_when_the_successor_could_not_be_announced_for_the_propagation_time(self, keys):
        assert following(keys, START).late_at == START + days(90 - 7)

    @pytest.mark.parametrize("before", [SECOND, days(10), days(80)])
    def test_nothing_to_do_before_it_is_due_and_something_then(self, keys, before):
        due_at = following(keys, START).due_at
        assert not keys.plan(due_at - before)
        assert following(keys, due_at - before).due_at == due_at
        assert keys.plan(due_at)

    def test_stays_due_from_the_same_instant_until_it_ran(self, keys):
        due_at = following(keys, START).due_at
        assert following(keys, due_at + days(3)).due_at == due_at
        keys.rotate(due_at + days(3))
        assert following(keys, due_at + days(3)).due_at > due_at + days(3)

    @pytest.mark.parametrize("interval", [8, 9, 30, 90])
    def test_daily_runs_are_never_late(self, interval):
        policy = RotationPolicy(rotation_interval=days(interval), propagation_time=days(7), retention=days(1))
        keys = Keys()
        for day in range(200):
            now = START + days(day)
            if day:
                assert now < following(keys, now, policy).late_at
            keys.rotate(now, policy=policy)

    def test_new_algorithm_is_due_now_and_has_no_key(self, keys):
        now = START + days(1)
        found = following(keys, now, algorithms=("RS256", "ES256"))
        assert (found.due_at, found.without_key) == (now, ("ES256",))
        assert found.late_at > now

    def test_empty_table(self):
        found = following((), START)
        assert (found.due_at, found.late_at, found.without_key) == (START, None, ("RS256",))


class TestNextTransition:
    def test_is_the_takeover_of_the_announced_key(self, keys):
        found = next_transition(keys, START)
        announced = keys.only(KeyState.ANNOUNCED, START)
        assert (found.at, found.kid, found.state) == (START + days(90), announced.kid, KeyState.SIGNING)

    def test_after_the_takeover_the_former_key_leaves(self, keys):
        signing = keys.only(KeyState.SIGNING, START)
        found = next_transition(keys, START + days(90))
        assert (found.kid, found.state) == (signing.kid, KeyState.RETIRED)
        assert found.at == START + days(90) + POLICY.retention

    def test_revoked_key_does_not_change(self, keys):
        revoked = keys.only(KeyState.SIGNING, START)
        keys.revoke(revoked.kid, START + days(10))
        assert all(change.kid != revoked.kid for change in [next_transition(keys, START + days(10))] if change)

    def test_none_without_keys(self):
        assert next_transition((), START) is None


def ran(ago, now, problem=""):
    return LastRun(at=now, changed=False, problem=problem, succeeded_at=None if ago is None else now - ago)


class TestRunProblem:
    now = START + days(50)

    @pytest.mark.parametrize(("ago", "is_reported"), [(days(1), False), (MAX_AGE, False), (MAX_AGE + SECOND, True)])
    def test_age_of_the_last_success(self, keys, ago, is_reported):
        problem = run_problem(ran(ago, self.now), keys, max_age=MAX_AGE, now=self.now)
        assert (problem is not None) == is_reported

    def test_failed_runs_do_not_count(self, keys):
        problem = run_problem(ran(days(2), self.now, "locked"), keys, max_age=MAX_AGE, now=self.now)
        assert "last succeeded at 2030-02-18 00:00:00 UTC" in str(problem)
        never = run_problem(ran(None, self.now, "locked"), keys, max_age=MAX_AGE, now=self.now)
        assert "No successful run" in str(never)

    @pytest.mark.parametrize(
        ("seconds", "said"), [(60, "1 minute"), (36 * 3600, "36 hours"), (5400, "90 minutes"), (90, "90 seconds")]
    )
    def test_longest_age_in_words(self, seconds, said):
        problem = run_problem(None, [], max_age=timedelta(seconds=seconds), now=self.now)
        assert f"It must run at least every {said};" in str(problem)

    def test_without_a_record_new_keys_count_as_a_run(self, keys):
        assert run_problem(None, keys, max_age=MAX_AGE, now=START + MAX_AGE) is None
        assert "No successful run" in str(run_problem(None, keys, max_age=MAX_AGE, now=START + MAX_AGE + SECOND))

    def test_switched_off(self, keys):
        assert run_problem(None, keys, max_age=timedelta(0), now=self.now) is None
