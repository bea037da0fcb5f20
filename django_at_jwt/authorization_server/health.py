"""The health of the issuer: its keys, the rotation and the deny list. It reads what requests read, and never writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import Error as AnyDatabaseError

from django_at_jwt.authorization_server.client_secrets.hasher import is_preferred
from django_at_jwt.authorization_server.client_secrets.keys import client_secret_keys
from django_at_jwt.authorization_server.keys.rotation import rotation_due
from django_at_jwt.authorization_server.keys.rotation_run import last_run
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.authorization_server.row_cache import READ_PATIENCE
from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import KeysUnavailable, NoSigningKey, RevocationUnavailable, UnknownKeyEncryptionKey
from django_at_jwt.core.health import Health, HealthStatus, Problem, combined
from django_at_jwt.core.key_schedule import next_transition, run_failure, run_problem
from django_at_jwt.core.quotation import format_instant, iso, sentence, single_line
from django_at_jwt.core.revocation import Revocation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from django_at_jwt.core.jose.keyring import KeyRing
    from django_at_jwt.core.key_schedule import LastRun, NextRotation


_HINT: Final = "Is the database up, and was manage.py migrate run?"


def issuer_health(now: datetime, *, max_run_age: timedelta) -> Health:
    """Return the health of the issuer as this process sees it.

    Rows in memory are used as requests use them, so most calls make no query, and none waits longer than
    :data:`~django_at_jwt.authorization_server.row_cache.READ_PATIENCE` for each of the keys, the last run and the deny
    list.

    Args:
        max_run_age: the longest time between two successful runs of the rotation; 0 for any.
    """
    try:
        ring = key_store.current()
    except KeysUnavailable as error:
        # The other tables cannot be read either, and each attempt would wait for the timeout.
        text = f"{sentence(single_line(error))} {_HINT}"
        problem = Problem(status=HealthStatus.UNKNOWN, name="keys_unreadable", text=text)
        facts: dict[str, Any] = {
            "algorithms": [],
            "next_transition": None,
            "rotation": None,
            "deny_list": _deny_list_facts(),
        }
        return Health(problems=(problem,), facts=facts)
    return combined(_keys(ring, now), _rotation(now, max_run_age), _client_secret_key(), _deny_list())


def _keys(ring: KeyRing, now: datetime) -> Health:
    unopenable = key_store.unopenable_keys()
    signing = [_algorithm(ring, algorithm, unopenable) for algorithm in app_settings().signing_algorithms]
    signers = {each["kid"] for each in signing}
    problems = [
        Problem(status=HealthStatus.CRITICAL, name="cannot_sign", text=f"{each['algorithm']}: {each['problem']}.")
        for each in signing
        if each["problem"]
    ]
    problems += [
        Problem(
            status=HealthStatus.WARNING, name="key_cannot_be_opened", text=_why_unopenable(kid, unopenable, signers)
        )
        for kid in unopenable
        if kid not in signers
    ]
    transition = next_transition(key_store.times(), now)
    facts = {
        "algorithms": signing,
        "next_transition": transition
        and {
            "at": transition.at.isoformat(),
            "kid": transition.kid,
            "algorithm": transition.algorithm,
            "state": transition.state.value,
        },
    }
    return Health(problems=tuple(problems), facts=facts)


def _why_unopenable(kid: str, errors: dict[str, NoSigningKey], signers: set[str]) -> str:
    """Return why a key that does not sign yet cannot be decrypted; briefly if a signing key has the same problem."""
    lacking = {each for each, error in errors.items() if isinstance(error, UnknownKeyEncryptionKey)}
    if kid in lacking and signers & lacking:
        return f"Signing key {kid} has the same problem."
    return sentence(str(errors[kid]))


def _algorithm(ring: KeyRing, algorithm: str, unopenable: dict[str, NoSigningKey]) -> dict[str, Any]:
    try:
        kid = ring.signer(algorithm).public_key.kid
    except NoSigningKey as error:
        problem = f"{error}; run manage.py rotate_signing_keys"
        return {"algorithm": algorithm, "can_sign": False, "kid": None, "problem": problem}
    problem = str(unopenable.get(kid, ""))
    return {"algorithm": algorithm, "can_sign": kid not in unopenable, "kid": kid, "problem": problem}


def _rotation(now: datetime, max_run_age: timedelta) -> Health:
    problems: list[Problem] = []
    facts: dict[str, Any] = {
        "due_at": None,
        "late_at": None,
        "max_run_age_seconds": max_run_age.total_seconds(),
        "last_run": None,
    }
    try:
        following = rotation_due(key_store.times(), now)
        facts |= {"due_at": following.due_at.isoformat(), "late_at": iso(following.late_at)}
        problems += _schedule_problems(following, now, max_run_age)
        run = last_run()
        facts["last_run"] = run and _as_json(run)
        problems += _run_problems(run, now, max_run_age)
    except AnyDatabaseError as error:
        text = f"The last run of the rotation cannot be read: {single_line(error)}. {_HINT}"
        problems.append(Problem(status=HealthStatus.WARNING, name="rotation_unreadable", text=text))
    return Health(problems=tuple(problems), facts={"rotation": facts})


def _schedule_problems(following: NextRotation, now: datetime, max_run_age: timedelta) -> Iterator[Problem]:
    """Yield the problem if the rotation is late. It isn't if it only just became due, as at a takeover."""
    if following.late_at is None:
        # Without any key, nothing can sign, which is reported already.
        return
    for algorithm in following.without_key:
        text = f"No key exists for {algorithm}, so another algorithm signs. Run manage.py rotate_signing_keys."
        yield Problem(status=HealthStatus.WARNING, name="no_key", text=text)
    if now < following.late_at:
        return
    if now >= following.due_at + max_run_age:
        text = (
            f"The rotation is overdue: it has been due since {format_instant(following.due_at)}. Run manage.py "
            "rotate_signing_keys, and check its schedule."
        )
        yield Problem(status=HealthStatus.WARNING, name="rotation_overdue", text=text)


def _run_problems(run: LastRun | None, now: datetime, max_run_age: timedelta) -> Iterator[Problem]:
    """Yield the problems if the last run failed or the last successful one is too old."""
    failure = run_failure(run)
    if run is not None and failure is not None:
        text = str(failure)
        if any(kid in run.problem for kid in key_store.unopenable_keys()):
            # Why the key cannot be decrypted is reported already.
            text = (
                f"The last run of rotate_signing_keys, at {format_instant(run.at)}, failed: a signing key cannot be "
                "decrypted."
            )
        yield Problem(status=HealthStatus.WARNING, name="rotation_failed", text=text)
    problem = run_problem(run, key_store.times(), max_age=max_run_age, now=now)
    if problem is not None:
        yield Problem(status=HealthStatus.WARNING, name="rotation_not_run", text=str(problem))


def _as_json(run: LastRun) -> dict[str, Any]:
    return {
        "at": run.at.isoformat(),
        "outcome": "failed" if run.problem else "changed" if run.changed else "nothing_due",
        "problem": run.problem,
        "succeeded_at": iso(run.succeeded_at),
    }


def _client_secret_key() -> Health:
    if not is_preferred():
        return Health()
    try:
        client_secret_keys.newest()
    except KeysUnavailable as error:
        problem = Problem(status=HealthStatus.CRITICAL, name="client_secret_key", text=sentence(single_line(error)))
        return Health(problems=(problem,))
    return Health()


def _deny_list() -> Health:
    if app_settings().local_revocation is not Revocation.DENY_LIST:
        return Health(facts={"deny_list": None})
    problems: tuple[Problem, ...] = ()
    try:
        deny_list.renew()
        age = deny_list.age()
        if age is None or age > 2 * (app_settings().revocation_max_age + READ_PATIENCE):
            since = "since this process started" if age is None else f"for {age:.0f} seconds"
            text = f"The deny list could not be read {since}; tokens revoked in the meantime are accepted."
            problems = (Problem(status=HealthStatus.WARNING, name="deny_list", text=text),)
    except RevocationUnavailable as error:
        problems = (Problem(status=HealthStatus.CRITICAL, name="deny_list", text=sentence(single_line(error))),)
    return Health(problems=problems, facts={"deny_list": _deny_list_facts()})


def _deny_list_facts() -> dict[str, Any]:
    age = deny_list.age()
    return {"entries": len(deny_list), "seconds_old": None if age is None else round(age, 1)}
