"""Carrying out a rotation: the plan of :mod:`django_at_jwt.core.lifecycle`, applied in one transaction."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connections, router, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from django_at_jwt.conf import app_settings
from django_at_jwt.core.algorithms import ALGORITHMS
from django_at_jwt.core.keys import public_members
from django_at_jwt.core.lifecycle import NewKey, RotationPlan, plan_rotation
from django_at_jwt.models import SigningKey

from .keystore import key_store
from .protection import encrypt_private_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """What a rotation did, or would do: the plan, and the rows as they are after it."""

    plan: RotationPlan
    made: tuple[SigningKey, ...]
    keys: tuple[SigningKey, ...]
    at: datetime


def rotate_signing_keys(*, early: Collection[str] = (), dry_run: bool = False) -> Rotation:
    """Bring the signing keys to where the policy wants them; do nothing where they are there already.

    Args:
        early: algorithms whose announced key shall sign as soon as it has been announced for the propagation time.
        dry_run: say what would be done, and change nothing.

    Only one rotation runs at a time, on each supported database; a second one waits, then finds nothing to do.
    """
    settings = app_settings()
    with _alone(router.db_for_write(SigningKey)) as database:
        now = timezone.now()
        rows = {row.kid: row for row in SigningKey.objects.using(database).order_by("signing_at", "kid")}
        plan = plan_rotation(
            [row.times for row in rows.values()],
            policy=settings.rotation_policy,
            algorithms=settings.signing_algorithms,
            now=now,
            early=early,
        )
        made: tuple[SigningKey, ...] = ()
        if plan and not dry_run:
            for times in plan.changed:
                row = rows[times.kid]
                row.signing_at, row.retained_at, row.retired_at = times.signing_at, times.retained_at, times.retired_at
                row.save(using=database, update_fields=["signing_at", "retained_at", "retired_at"])
            made = tuple(_make(new) for new in plan.new)
            for row in made:
                row.save(using=database, force_insert=True)
                rows[row.kid] = row
    if plan and not dry_run:
        key_store.forget()
    return Rotation(plan=plan, made=made, keys=tuple(rows.values()), at=now)


@sensitive_variables("private_jwk")
def _make(new: NewKey) -> SigningKey:
    private_jwk = ALGORITHMS[new.algorithm].generate_key()
    kid = private_jwk.thumbprint()
    return SigningKey(
        kid=kid,
        algorithm=new.algorithm,
        public_jwk=public_members(private_jwk),
        private_jwe=encrypt_private_key(private_jwk, kid=kid),
        announced_at=new.announced_at,
        signing_at=new.signing_at,
        retained_at=new.retained_at,
        retired_at=new.retired_at,
    )


@contextmanager
def _alone(database: str) -> Iterator[str]:
    """Hold a lock of the database's own while a rotation runs, so that two of them cannot both find a key missing.

    Locking rows would not do: the first rotation has none to lock.
    """
    connection = connections[database]
    match connection.vendor:
        case "postgresql":
            with transaction.atomic(using=database), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [_LOCK])
                yield database
        case "mysql":
            with connection.cursor() as cursor:
                # Taken before the transaction and given back after it: what others then read is committed.
                cursor.execute("SELECT GET_LOCK(%s, %s)", [_LOCK, _PATIENCE_SECONDS])
                if cursor.fetchone() != (1,):
                    raise TimeoutError("another rotation has been running for a minute")
                try:
                    with transaction.atomic(using=database):
                        yield database
                finally:
                    cursor.execute("SELECT RELEASE_LOCK(%s)", [_LOCK])
        case _:
            with transaction.atomic(using=database), connection.cursor() as cursor:
                # SQLite has one lock, for writing. A write that touches no row takes it before anything is read.
                table = connection.ops.quote_name(SigningKey._meta.db_table)
                cursor.execute(f"UPDATE {table} SET kid = kid WHERE 1 = 0")  # noqa: S608 - the name is the model's own
                yield database


_LOCK = "django_at_jwt.rotate_signing_keys"
_PATIENCE_SECONDS = 60
