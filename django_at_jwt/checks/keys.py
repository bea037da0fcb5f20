"""Checks of the signing keys and the rotation policy."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db.models import Q
from django.utils import timezone

from django_at_jwt.conf import access_token_lifetime, app_settings
from django_at_jwt.core.errors import NoSigningKey
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.key_lifecycle import KeyState, KeyTimes, is_usable, plan_rotation
from django_at_jwt.core.key_schedule import run_failure, run_problem
from django_at_jwt.core.quotation import format_end, format_instant, sentence

from .ids import UNREADABLE, CheckId, issues_tokens, settings_valid, system_check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from django.db.models import Model

    from django_at_jwt.models import ClientSecretKey, SigningKey

_ModelT = TypeVar("_ModelT", bound="Model")


@system_check(issues_tokens, settings_valid)
def check_policy(**_kwargs: Any) -> list[CheckMessage]:
    """Check that no key signs before all resource servers have it, and that no token outlives its key."""
    return [
        Error(
            problem,
            hint="Change PROPAGATION_TIME, ROTATION_INTERVAL or RETENTION in AT_JWT, or "
            'OAUTH2_PROVIDER["OIDC_JWKS_MAX_AGE_SECONDS"].',
            id=CheckId.POLICY,
        )
        for problem in policy_problems()
    ]


def policy_problems() -> tuple[str, ...]:
    """Return a sentence for each problem of the rotation policy."""
    from django_at_jwt.authorization_server.keys.rotation import policy_problems as problems_of  # noqa: PLC0415 - as the models below

    return problems_of(longest_lifetime())


def longest_lifetime() -> int:
    """Return the longest lifetime of an access token in seconds: the site's default if the database cannot be read."""
    from django_at_jwt.authorization_server.resource_servers import registry  # noqa: PLC0415 - as the models below

    try:
        return registry.longest_lifetime()
    except UNREADABLE:
        return access_token_lifetime()


@system_check(issues_tokens, settings_valid)
def check_revoked_kids(**_kwargs: Any) -> list[CheckMessage]:
    """Check that no restored backup contains a revoked key that is not revoked there."""
    revoked_kids = app_settings().revoked_kids
    if not revoked_kids:
        return []
    return [
        Error(
            f'Signing key {row.kid} is in AT_JWT["REVOKED_KIDS"], but not revoked in the database. It is neither used '
            "nor published.",
            hint=f'Run: manage.py revoke_signing_key --reason "restored from a backup" -- {row.kid}',
            id=CheckId.REVOKED_KEY_IS_BACK,
        )
        for row in signing_key_rows() or []
        if row.kid in revoked_kids and row.revoked_at is None
    ]


def has_key_encryption_keys() -> bool:
    """Return whether the settings provide key-encryption keys; if they do not, ``check_settings`` reports why."""
    return settings_valid() and app_settings().key_encryption_keys is not None


@system_check(issues_tokens, has_key_encryption_keys, deploy=True)
def check_signing_keys_open(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each private key can be decrypted and matches its public key, and each client secret key decrypted."""
    return [*_unopenable_signing_keys(), *_unopenable_client_secret_keys()]


def _unopenable_signing_keys() -> Iterator[CheckMessage]:
    from django_at_jwt.authorization_server.keys.encryption import require_row_that_opens  # noqa: PLC0415 - as below

    for row in signing_key_rows(retired=True) or []:
        signs = row.state_at(timezone.now()) in {KeyState.SIGNING, KeyState.ANNOUNCED}
        if not (signs or row.private_jwe):
            # The private key is erased when a key is revoked.
            continue
        try:
            require_row_that_opens(row)
        except NoSigningKey as error:
            problem = sentence(error.detail)
            if signs:
                yield Error(
                    problem,
                    hint="The key cannot sign, and rotate_signing_keys creates no new key. Its public key stays in the "
                    "JWK set. Restore the former key-encryption key or the row. If the key-encryption key is lost, "
                    "revoke the announced keys, run manage.py rotate_signing_keys --key-encryption-key-lost, and "
                    "revoke the signing key.",
                    id=CheckId.UNOPENABLE_KEY,
                )
            else:
                yield Warning(
                    problem,
                    hint="The key no longer signs, so only rewrap_signing_keys fails. Find out what changed the row or "
                    "the key-encryption keys before it affects a key that signs.",
                    id=CheckId.UNOPENABLE_FORMER_KEY,
                )


def _unopenable_client_secret_keys() -> Iterator[CheckMessage]:
    from django_at_jwt.authorization_server.keys.encryption import (  # noqa: PLC0415 - as below
        CLIENT_SECRET_KEY,
        decrypt_private_key,
    )

    for row in client_secret_key_rows() or ():
        try:
            decrypt_private_key(row.private_jwe, kid=row.kid, kind=CLIENT_SECRET_KEY)
        except NoSigningKey as error:
            yield Error(
                sentence(error.detail),
                hint="Clients whose secrets it hashes are answered with 503. Restore the former key-encryption key or "
                "the row, or give these clients new secrets.",
                id=CheckId.UNOPENABLE_KEY,
            )


def signing_key_rows(*, retired: bool = False) -> list[SigningKey] | None:
    """Return the rows of signing keys, or ``None`` if the table cannot be read.

    Args:
        retired: include those of retired keys.
    """
    from django_at_jwt.models import SigningKey  # noqa: PLC0415 - a project that only verifies has no such table

    return _rows_of(SigningKey, Q() if retired else SigningKey.not_retired(timezone.now()))


def client_secret_key_rows() -> list[ClientSecretKey] | None:
    """Return the rows of all client secret keys, or ``None`` if the table cannot be read."""
    from django_at_jwt.models import ClientSecretKey  # noqa: PLC0415 - as above

    return _rows_of(ClientSecretKey, Q())


def _rows_of(model: type[_ModelT], condition: Q) -> list[_ModelT] | None:
    from django_at_jwt.models.primary import primary_rows  # noqa: PLC0415 - it is with the models

    try:
        return list(primary_rows(model).filter(condition))
    except UNREADABLE:
        return None


@system_check(issues_tokens, settings_valid)
def check_size_of_signatures(**_kwargs: Any) -> list[CheckMessage]:
    """Check for post-quantum algorithms, whose tokens may be too large."""
    return [
        Warning(
            f"Tokens signed with {name} are about {size} bytes long, mostly because of the signature.",
            hint="Many servers and proxies reject headers over 8 KiB in total, and few resource servers support this "
            "algorithm yet. Silence this warning if yours do.",
            id=CheckId.LARGE_TOKENS,
        )
        for name in app_settings().signing_algorithms
        if (size := ALGORITHMS[name].large_token_bytes) is not None
    ]


@system_check(issues_tokens, settings_valid)
def check_signing_key(**_kwargs: Any) -> list[CheckMessage]:
    """Check that a signing key exists."""
    now = timezone.now()
    rows = signing_key_rows()
    if rows is None:
        return [
            Warning(
                "The table of signing keys cannot be read, so no access token can be issued.",
                hint="Run: manage.py migrate && manage.py rotate_signing_keys",
                id=CheckId.NO_SIGNING_KEY,
            )
        ]
    states = {row.state_at(now) for row in rows}
    if KeyState.SIGNING in states:
        return []
    if KeyState.ANNOUNCED in states:
        starts = min(row.signing_at for row in rows if row.state_at(now) is KeyState.ANNOUNCED)
        return [
            Warning(
                f"No signing key signs before {format_instant(starts)}, so no access token can be issued until then.",
                hint="Keys are announced, but none signs yet. If other keys signed before, check their state in the "
                "admin.",
                id=CheckId.NO_SIGNING_KEY,
            )
        ]
    return [
        Warning(
            "No signing key exists, so no access token can be issued.",
            hint="Run: manage.py rotate_signing_keys",
            id=CheckId.NO_SIGNING_KEY,
        )
    ]


@system_check(issues_tokens, has_key_encryption_keys, deploy=True)
def check_key_encryption_keys(**_kwargs: Any) -> list[CheckMessage]:
    """Check that private keys are encrypted with the newest of dedicated key-encryption keys."""
    if not app_settings().key_encryption_keys:
        return [
            Warning(
                "Private keys are encrypted with a key derived from SECRET_KEY.",
                hint='Set AT_JWT["KEY_ENCRYPTION_KEYS"] to a list with one base64url key of 32 bytes that is stored '
                "separately from the database, then run: manage.py rewrap_signing_keys",
                id=CheckId.DERIVED_KEY_ENCRYPTION_KEY,
            )
        ]
    old = _keys_to_rewrap()
    if not old:
        return []
    return [
        Warning(
            f"{old} keys are not encrypted with the newest key-encryption key.",
            hint="Run: manage.py rewrap_signing_keys",
            id=CheckId.OLD_KEY_ENCRYPTION_KEY,
        )
    ]


def _keys_to_rewrap() -> int:
    """Return how many keys can be decrypted, but not with the newest key-encryption key."""
    from django_at_jwt.authorization_server.keys.encryption import (  # noqa: PLC0415 - as below
        CLIENT_SECRET_KEY,
        SIGNING_KEY,
        decrypt_private_key,
        is_newest,
    )

    rows = [(SIGNING_KEY, row.kid, row.private_jwe) for row in signing_key_rows(retired=True) or []]
    rows += [(CLIENT_SECRET_KEY, row.kid, row.private_jwe) for row in client_secret_key_rows() or []]
    old = 0
    for kind, kid, private_jwe in rows:
        with suppress(NoSigningKey):
            decrypt_private_key(private_jwe, kid=kid, kind=kind)
            old += not is_newest(private_jwe)
    return old


_RUN: Final = "Run: manage.py rotate_signing_keys"


@system_check(issues_tokens, settings_valid)
def check_rotation(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each algorithm has a key and an announced successor, and that keys outlive their tokens."""
    if policy_problems():
        return []
    keys = [row.times for row in signing_key_rows() or []]
    if not keys:
        # Reported by check_signing_key.
        return []
    settings, now = app_settings(), timezone.now()
    plan = plan_rotation(
        keys,
        policy=settings.rotation_policy(longest_lifetime=longest_lifetime()),
        algorithms=settings.signing_algorithms,
        now=now,
    )
    messages: list[CheckMessage] = [
        Warning(problem, hint=f"{_RUN}, and schedule it daily.", id=CheckId.KEY_IS_MISSING)
        for algorithm in dict.fromkeys(new.algorithm for new in plan.new)
        if (problem := _missing([key for key in keys if key.algorithm == algorithm], algorithm, now)) is not None
    ]
    before = {key.kid: key for key in keys}
    starts = {new.signing_at for new in plan.new}
    for after in plan.changed:
        # A key that only ends where a missing key would start is reported as a missing key.
        if before[after.kid].retained_at is not None or after.retained_at not in starts:
            problem = _wrong_times(before[after.kid], after, settings.signing_algorithms)
            messages.append(Warning(problem, hint=f"{_RUN}.", id=CheckId.WRONG_KEY_TIMES))
    return messages


@system_check(issues_tokens, settings_valid, deploy=True)
def check_rotation_runs(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the last recorded run of the rotation is recent and did not fail."""
    keys = [row.times for row in signing_key_rows() or []]
    if not keys:
        # Reported by check_signing_key.
        return []
    from django_at_jwt.authorization_server.keys.rotation_run import read_last_run  # noqa: PLC0415 - as the models above

    try:
        run = read_last_run()
    except UNREADABLE:
        # Django reports migrations that were not run.
        return []
    problem = run_problem(run, keys, max_age=app_settings().rotation_run_max_age, now=timezone.now())
    if problem is not None:
        hint = "Schedule it daily, or set ROTATION_RUN_MAX_AGE in AT_JWT to a longer time."
        return [Warning(str(problem), hint=hint, id=CheckId.ROTATION_NOT_RUN)]
    failure = run_failure(run)
    if failure is not None:
        return [Warning(str(failure), hint=f"{_RUN}.", id=CheckId.ROTATION_NOT_RUN)]
    return []


def _missing(keys: Sequence[KeyTimes], algorithm: str, now: datetime) -> str | None:
    """Return the problem if a rotation would create a key, or ``None`` if the next daily rotation is early enough."""
    usable = [key for key in keys if is_usable(key, now)]
    if not usable:
        return f'{algorithm} is in AT_JWT["SIGNING_ALGORITHMS"], but has no signing key.'
    announced = [key for key in usable if key.state_at(now) is KeyState.ANNOUNCED]
    if not announced or len(announced) == len(usable) == 1:
        return f"No next key is announced for {algorithm}."
    last = max(key.signing_at for key in announced)
    if last <= now + app_settings().propagation_time:
        return (
            f"The last announced key for {algorithm} signs from {format_instant(last)}, and no successor is announced."
        )
    return None


def _wrong_times(before: KeyTimes, after: KeyTimes, in_use: Sequence[str]) -> str:
    """Return the problem of a key whose times a rotation would change."""
    key = f"Signing key {before.kid}"
    if before.algorithm not in in_use:
        return f'{key} can still sign, but {before.algorithm} is no longer in AT_JWT["SIGNING_ALGORITHMS"].'
    if before.retained_at is None:
        return f"{key} signs without end, although it has a successor for {before.algorithm}."
    if before.retained_at != after.retained_at:
        return f"{key} signs until {format_end(before.retained_at)}, but should until {format_end(after.retained_at)}."
    published, needed = format_end(before.retired_at), format_end(after.retired_at)
    return f"{key} is published until {published}, but its tokens may live until {needed}."
