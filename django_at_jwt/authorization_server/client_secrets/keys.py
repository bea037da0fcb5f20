"""The keys of the hasher for client secrets. Requests read them; only ``rotate_signing_keys`` creates one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import Error as AnyDatabaseError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from jwcrypto.common import base64url_decode
from jwcrypto.jwk import JWK

from django_at_jwt.authorization_server.keys.encryption import (
    CLIENT_SECRET_KEY,
    decrypt_private_key,
    encrypt_private_key,
)
from django_at_jwt.authorization_server.keys.lock import signing_key_lock
from django_at_jwt.authorization_server.row_cache import RowCache, usual_age_unless_empty
from django_at_jwt.conf import CLIENT_SECRET_HASHER, app_settings, register_process_cache, toolkit_model
from django_at_jwt.core.errors import KeysUnavailable, NoSigningKey
from django_at_jwt.core.quotation import single_line
from django_at_jwt.models import ClientSecretKey
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class HashKey:
    """A key that hashes client secrets."""

    kid: str
    key: bytes = field(repr=False)


class ClientSecretKeys:
    """The keys in the database, shared by the threads of this process."""

    def __init__(self) -> None:
        self._rows: RowCache[Mapping[str, str]] = RowCache(ClientSecretKey, _read, max_age=usual_age_unless_empty)
        self._opened: dict[tuple[str, str], HashKey] = {}

    def clear(self) -> None:
        """Discard everything read so far, as in a new process."""
        self._rows.clear()
        self._opened = {}

    def newest(self) -> HashKey | None:
        """Return the key for new hashes, or ``None`` if none exists.

        Raises:
            KeysUnavailable: the keys cannot be read, or the newest one cannot be decrypted.
        """
        rows = self._current()
        return next((self._open(kid, encrypted) for kid, encrypted in rows.items()), None)

    def find(self, kid: str) -> HashKey | None:
        """Return the key that a hash names, or ``None`` if it does not exist.

        Raises:
            KeysUnavailable: the keys cannot be read, or this one cannot be decrypted.
        """
        encrypted = self._current().get(kid) or self._current(latest=True).get(kid)
        return None if encrypted is None else self._open(kid, encrypted)

    def _current(self, *, latest: bool = False) -> Mapping[str, str]:
        try:
            return self._rows.latest() if latest else self._rows.current()
        except AnyDatabaseError as error:
            raise KeysUnavailable(f"the client secret keys cannot be read: {single_line(error)}") from error

    @sensitive_variables()
    def _open(self, kid: str, encrypted: str) -> HashKey:
        opened = self._opened.get((kid, encrypted))
        if opened is None:
            try:
                jwk = decrypt_private_key(encrypted, kid=kid, kind=CLIENT_SECRET_KEY)
            except NoSigningKey as error:
                raise KeysUnavailable(str(error)) from None
            opened = self._opened[kid, encrypted] = HashKey(kid, base64url_decode(jwk.export(as_dict=True)["k"]))
        return opened


def _read(_database: str) -> Mapping[str, str]:
    return dict(primary_rows(ClientSecretKey).order_by("-created_at", "-pk").values_list("kid", "private_jwe"))


client_secret_keys = ClientSecretKeys()
register_process_cache(client_secret_keys.clear)


@sensitive_variables()
def create_client_secret_key(database: str, *, key_encryption_key_lost: bool, dry_run: bool) -> str | None:
    """Create the key if none exists, while the caller holds ``signing_key_lock``.

    Args:
        key_encryption_key_lost: also create one if the newest cannot be decrypted.
        dry_run: create none.

    Returns:
        The kid of the new key, or ``None`` if none was due.

    Raises:
        NoSigningKey: the key could not be encrypted, or the newest one cannot be decrypted.
    """
    newest = ClientSecretKey.objects.using(database).order_by("-created_at", "-pk").first()
    if newest is not None:
        try:
            decrypt_private_key(newest.private_jwe, kid=newest.kid, kind=CLIENT_SECRET_KEY)
        except NoSigningKey as error:
            if not key_encryption_key_lost:
                raise NoSigningKey(
                    f"{error}. If it is lost, run rotate_signing_keys --key-encryption-key-lost"
                ) from None
        else:
            return None
    kid = secrets.token_hex(8)
    private_jwe = encrypt_private_key(JWK.generate(kty="oct", size=256), kid=kid, kind=CLIENT_SECRET_KEY)
    if not dry_run:
        ClientSecretKey.objects.using(database).create(kid=kid, private_jwe=private_jwe)
    return kid


def purge_client_secret_keys(*, dry_run: bool = False) -> tuple[str, ...]:
    """Delete former keys that no stored client secret names, and return their kids.

    None is deleted before each process has the newest key, since another could still store a hash of a former one.

    Raises:
        TimeoutError: another change to the keys is running.
    """
    settings = app_settings()
    known_everywhere = timezone.now() - timedelta(seconds=settings.key_ring_max_stale + settings.key_ring_max_age)
    with signing_key_lock(dry_run=dry_run) as database:
        rows = list(ClientSecretKey.objects.using(database).order_by("-created_at", "-pk"))
        if not rows or rows[0].created_at > known_everywhere:
            return ()
        clients = primary_rows(toolkit_model("APPLICATION_MODEL"))
        unused = [
            row
            for row in rows[1:]
            if not clients.filter(client_secret__startswith=f"{CLIENT_SECRET_HASHER}${row.kid}$").exists()
        ]
        if not dry_run:
            for row in unused:
                row.delete(using=database)
    return tuple(row.kid for row in unused)
