"""Re-encrypt private keys with the newest key-encryption key."""

from __future__ import annotations

from dataclasses import dataclass

from django.views.decorators.debug import sensitive_variables

from django_at_jwt.core.errors import NoSigningKey
from django_at_jwt.events import KeysRewrapped, emit
from django_at_jwt.models import ClientSecretKey, SigningKey
from django_at_jwt.models.signing_key_event import KeyAction

from .encryption import CLIENT_SECRET_KEY, SIGNING_KEY, decrypt_private_key, encrypt_private_key, is_newest
from .history import UNKNOWN_ORIGIN, ChangeOrigin, key_event, record_events
from .lock import signing_key_lock
from .store import key_store


@dataclass(frozen=True, kw_only=True, slots=True)
class RewrapResult:
    """The kids that were re-encrypted, those that were up to date, and the reasons of failures."""

    rewrapped: tuple[str, ...]
    up_to_date: tuple[str, ...]
    failed: tuple[str, ...]


@sensitive_variables()
def rewrap_signing_keys(*, origin: ChangeOrigin = UNKNOWN_ORIGIN, dry_run: bool = False) -> RewrapResult:
    """Re-encrypt every private key with the newest key-encryption key; skip those that cannot be decrypted.

    The keys of the hasher for client secrets are re-encrypted too.

    Raises:
        TimeoutError: another change to the signing keys is running.
    """
    rewrapped, up_to_date, failed = [], [], []
    with signing_key_lock(dry_run=dry_run) as database:
        rows: list[SigningKey | ClientSecretKey] = [*SigningKey.objects.using(database).exclude(private_jwe="")]
        rows += ClientSecretKey.objects.using(database)
        for row in rows:
            kind = SIGNING_KEY if isinstance(row, SigningKey) else CLIENT_SECRET_KEY
            try:
                private = decrypt_private_key(row.private_jwe, kid=row.kid, kind=kind)
            except NoSigningKey as error:
                failed.append(error.detail)
                continue
            if is_newest(row.private_jwe):
                up_to_date.append(row.kid)
                continue
            rewrapped.append(row.kid)
            if not dry_run:
                row.private_jwe = encrypt_private_key(private, kid=row.kid, kind=kind)
                row.save(using=database, update_fields=["private_jwe"])
                if isinstance(row, SigningKey):
                    record_events([key_event(row.stored_times, KeyAction.REENCRYPTED, origin)], database)
    key_store.forget()
    if not dry_run:
        emit(KeysRewrapped(rewrapped=len(rewrapped), up_to_date=len(up_to_date), failed=len(failed)))
    return RewrapResult(rewrapped=tuple(rewrapped), up_to_date=tuple(up_to_date), failed=tuple(dict.fromkeys(failed)))
