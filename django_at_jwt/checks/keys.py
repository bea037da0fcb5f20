"""The signing keys, and the policy that they live by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import Error as AnyDatabaseError
from django.utils import timezone
from django.utils.connection import ConnectionDoesNotExist

from django_at_jwt.conf import access_token_lifetime, app_settings
from django_at_jwt.core.errors import NoSigningKey
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.key_lifecycle import KeyState, KeyTimes, is_usable, plan_rotation

from .ids import CheckId, issues_tokens, readable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django_at_jwt.models import SigningKey


def check_policy(**_kwargs: Any) -> list[CheckMessage]:
    """No key signs before everybody has it, and no token outlives its key."""
    if not issues_tokens() or not readable():
        return []
    return [
        Error(
            problem,
            hint="Change AT_JWT['PROPAGATION_TIME'], ['ROTATION_INTERVAL'] or ['RETENTION'], or "
            "OAUTH2_PROVIDER['OIDC_JWKS_MAX_AGE_SECONDS'].",
            id=CheckId.POLICY,
        )
        for problem in policy_problems()
    ]


def policy_problems() -> tuple[str, ...]:
    """Give a sentence for each rule that the site's policy breaks."""
    from django_at_jwt.authorization_server.keys.rotation import policy_problems as problems_of  # noqa: PLC0415 - as the models below

    return problems_of(longest_lifetime())


def longest_lifetime() -> int:
    """Give the longest lifetime of an access token, in seconds; the site's own where no resource server can be read."""
    from django_at_jwt.authorization_server.resource_servers import registry  # noqa: PLC0415 - as the models below

    try:
        return registry.longest_lifetime()
    except (AnyDatabaseError, ConnectionDoesNotExist):
        return access_token_lifetime()


def check_revoked_kids(**_kwargs: Any) -> list[CheckMessage]:
    """No restored backup has brought a revoked key back."""
    if not issues_tokens() or not readable() or not app_settings().revoked_kids:
        return []
    rows = signing_key_rows() or []
    back = [row.kid for row in rows if row.kid in app_settings().revoked_kids and row.revoked_at is None]
    return [
        Error(
            f"Signing key {kid} was revoked, and is back in the database. It is not used, nor published.",
            hint=f'Run: manage.py revoke_signing_key {kid} --reason "restored from a backup"',
            id=CheckId.REVOKED_KEY_IS_BACK,
        )
        for kid in back
    ]


def check_signing_keys_open(**_kwargs: Any) -> list[CheckMessage]:
    """Each private key can be opened with the key-encryption keys that are set, and belongs to its public half."""
    if not issues_tokens() or not _can_open_keys():
        return []
    from django_at_jwt.authorization_server.keys.encryption import require_row_that_opens  # noqa: PLC0415 - as the models below

    messages: list[CheckMessage] = []
    for row in signing_key_rows() or []:
        signs = row.state_at(timezone.now()) in {KeyState.SIGNING, KeyState.ANNOUNCED}
        if not (signs or row.private_jwe):
            # A key that was revoked has no private half any more.
            continue
        try:
            require_row_that_opens(row)
        except NoSigningKey as error:
            problem = f"{error.detail[0].upper()}{error.detail[1:]}."
            messages.append(
                Error(
                    problem,
                    hint="It cannot sign, and rotate_signing_keys makes no key. Its public half stays in the JWK set. "
                    "Put back what was changed, in the settings or in the row, or revoke the key.",
                    id=CheckId.UNOPENABLE_KEY,
                )
                if signs
                else Warning(
                    problem,
                    hint="It does not sign any more, so nothing fails but rewrap_signing_keys. Find out who or what "
                    "has changed the row or the key-encryption keys: a key that signs may be next.",
                    id=CheckId.UNOPENABLE_FORMER_KEY,
                )
            )
    return messages


def _can_open_keys() -> bool:
    """Tell whether key-encryption keys can be had from the settings; another check says why not."""
    return readable() and app_settings().key_encryption_keys is not None


def signing_key_rows() -> list[SigningKey] | None:
    """Give the rows of all signing keys, or ``None`` where they cannot be read."""
    from django_at_jwt.models import SigningKey  # noqa: PLC0415 - a project that only verifies has no such table
    from django_at_jwt.models.primary import primary_rows  # noqa: PLC0415 - it is with the models

    try:
        return list(primary_rows(SigningKey))
    except (AnyDatabaseError, ConnectionDoesNotExist):
        return None


def check_size_of_signatures(**_kwargs: Any) -> list[CheckMessage]:
    """Whoever chooses a post-quantum algorithm knows how long its tokens are."""
    if not issues_tokens() or not readable():
        return []
    messages: list[CheckMessage] = []
    for name in app_settings().signing_algorithms:
        size = ALGORITHMS[name].large_token_bytes
        if size is not None:
            messages.append(
                Warning(
                    f"A token signed with {name} has some {size} bytes, most of them for the signature.",
                    hint="Many servers and proxies refuse headers over 8 KiB in all, and few resource servers verify "
                    "this algorithm yet. Silence this warning if that is what you want.",
                    id=CheckId.LARGE_TOKENS,
                )
            )
    return messages


def check_signing_key(**_kwargs: Any) -> list[CheckMessage]:
    """There is a key to sign with."""
    if not issues_tokens() or not readable():
        return []
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
                f"No signing key signs before {starts}, so no access token can be issued until then.",
                hint="It is announced until then. If other keys signed before, see in the admin what became of them.",
                id=CheckId.NO_SIGNING_KEY,
            )
        ]
    return [
        Warning(
            "There is no signing key yet, so no access token can be issued.",
            hint="Run: manage.py rotate_signing_keys",
            id=CheckId.NO_SIGNING_KEY,
        )
    ]


def check_key_encryption_keys(**_kwargs: Any) -> list[CheckMessage]:
    """Private keys are encrypted with a key of their own."""
    if not issues_tokens() or not _can_open_keys():
        return []
    if not app_settings().key_encryption_keys:
        return [
            Warning(
                "Private keys are encrypted with a key derived from SECRET_KEY.",
                hint="Set AT_JWT['KEY_ENCRYPTION_KEYS'] to a list with one base64url key of 32 bytes that is kept "
                "apart from the database, then run: manage.py rewrap_signing_keys",
                id=CheckId.DERIVED_KEY_ENCRYPTION_KEY,
            )
        ]
    from django_at_jwt.authorization_server.keys.encryption import decrypt_private_key, is_newest  # noqa: PLC0415 - as the models

    old = 0
    for row in signing_key_rows() or []:
        try:
            old += bool(decrypt_private_key(row.private_jwe, kid=row.kid)) and not is_newest(row.private_jwe)
        except NoSigningKey:
            continue
    if not old:
        return []
    return [
        Warning(
            f"{old} private keys are not encrypted with the newest key-encryption key.",
            hint="Run: manage.py rewrap_signing_keys",
            id=CheckId.OLD_KEY_ENCRYPTION_KEY,
        )
    ]


_RUN: Final = "Run: manage.py rotate_signing_keys"


def check_rotation(**_kwargs: Any) -> list[CheckMessage]:
    """Every algorithm in use has a key and a next one, and each key is published for as long as its tokens live."""
    if not issues_tokens() or not readable() or policy_problems():
        return []
    keys = [row.times for row in signing_key_rows() or []]
    if not keys:
        # There is a check of its own for a table without keys, or none at all.
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
        # That a key ends where one begins that is missing yet has been said.
        if before[after.kid].retained_at is not None or after.retained_at not in starts:
            problem = _wrong_times(before[after.kid], after, settings.signing_algorithms)
            messages.append(Warning(problem, hint=f"{_RUN}.", id=CheckId.WRONG_KEY_TIMES))
    return messages


def _missing(keys: Sequence[KeyTimes], algorithm: str, now: datetime) -> str | None:
    """Return what is wrong where a rotation would make a key, or ``None`` where the daily run is still in time."""
    usable = [key for key in keys if is_usable(key, now)]
    if not usable:
        return f"{algorithm} is in AT_JWT['SIGNING_ALGORITHMS'], and there is no key for it."
    announced = [key for key in usable if key.state_at(now) is KeyState.ANNOUNCED]
    if not announced or len(announced) == len(usable) == 1:
        return f"No next key is announced for {algorithm}."
    last = max(key.signing_at for key in announced)
    if last <= now + app_settings().propagation_time:
        return f"The last announced key for {algorithm} signs from {last}, and none is announced after it yet."
    return None


def _wrong_times(before: KeyTimes, after: KeyTimes, in_use: Sequence[str]) -> str:
    """Say what is wrong with a key that a rotation would change."""
    kid = f"Signing key {before.kid}"
    if before.algorithm not in in_use:
        return (
            f"{kid} is for {before.algorithm}, which AT_JWT['SIGNING_ALGORITHMS'] has not any more, and may still sign."
        )
    if before.retained_at is None:
        return f"{kid} signs without end, although another key for {before.algorithm} follows it."
    if before.retained_at != after.retained_at:
        return f"{kid} signs until {before.retained_at}, and should until {after.retained_at or 'further notice'}."
    return f"{kid} is published until {before.retired_at}, and its tokens may live until {after.retired_at}."
