from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings

from django_at_jwt.core.errors import KeyChangeRefused
from django_at_jwt.core.lifecycle import KeyState, plan_revocation, signer_at

from .key_histories import ALGORITHMS, HISTORIES, POLICY, SECOND, START, Keys, days, replay

NOW = START + days(30)


@pytest.fixture
def keys():
    keys = Keys()
    keys.rotate(START)
    return keys


def revoke(keys, kid, now=NOW):
    changed = plan_revocation(list(keys), kid, now=now)
    keys.by_kid |= {key.kid: key for key in changed}
    return changed


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
    changed = revoke(keys, keys.only(KeyState.SIGNING, NOW, "ES256").kid)
    assert {key.algorithm for key in changed} == {"ES256"}


def test_an_unknown_key_is_not_revoked(keys):
    with pytest.raises(KeyChangeRefused, match="no signing key"):
        plan_revocation(list(keys), "unknown", now=NOW)
    with pytest.raises(KeyChangeRefused, match="no signing key"):
        plan_revocation([], "unknown", now=NOW)


def test_a_key_is_revoked_once(keys):
    first = keys.only(KeyState.SIGNING, NOW)
    revoke(keys, first.kid)
    for now in (NOW, NOW + days(1), NOW - SECOND):
        with pytest.raises(KeyChangeRefused, match="already"):
            plan_revocation(list(keys), first.kid, now=now)


def test_the_only_usable_key_is_not_revoked(keys):
    first, second = keys.only(KeyState.SIGNING, NOW), keys.only(KeyState.ANNOUNCED, NOW)
    revoke(keys, second.kid)
    with pytest.raises(KeyChangeRefused, match="only usable key for RS256"):
        plan_revocation(list(keys), first.kid, now=NOW)
    keys.rotate(NOW)
    assert revoke(keys, first.kid)


@settings(max_examples=60, deadline=None)
@given(HISTORIES)
def test_there_is_never_a_moment_without_a_signer(history):
    for moment in replay(history):
        for algorithm in ALGORITHMS:
            signer = signer_at(moment.keys, algorithm, moment.now)
            if signer is None:
                continue
            try:
                changed = plan_revocation(list(moment.keys), signer.kid, now=moment.now)
            except KeyChangeRefused:
                continue
            after = {**moment.keys.by_kid, **{key.kid: key for key in changed}}.values()
            signing = [
                key for key in after if key.algorithm == algorithm and key.state_at(moment.now) is KeyState.SIGNING
            ]
            assert len(signing) == 1
            assert signing[0].kid != signer.kid
