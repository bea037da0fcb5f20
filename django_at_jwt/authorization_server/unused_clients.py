"""When clients that registered themselves were last used, and the deletion of those that are not used any more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import router, transaction
from django.db.models import Q
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.conf import app_settings
from django_at_jwt.models.change_times import change_times
from django_at_jwt.models.primary import primary_rows

from .registration import RegistrationSource, registered_itself
from .resource_servers import registry
from .revocation.authorizations import authorizations_of_clients, forget_clients, lock_authorizations
from .revocation.entries import GREATEST_LEEWAY
from .revocation.reasons import without_revocation
from .revocation.revoke import one_transaction
from .revocation.rows import expire_access_tokens, rows_in_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

_PRECISION: Final = timedelta(days=1)
_BATCH: Final = 200


def record_use(client: Any) -> None:
    """Store as a change that a client which registered itself got a token, at most once a day.

    It is stored after the transaction of the token, which holds a lock on the row of the client: two of them could wait
    for each other.
    """
    if not registered_itself(client):
        return
    times = change_times(type(client))
    if not times or getattr(client, times[0]) > timezone.now() - _PRECISION:
        return

    def update() -> None:
        now = timezone.now()
        unchanged = Q(pk=client.pk, **{f"{times[0]}__lt": now - _PRECISION})
        primary_rows(get_application_model()).filter(unchanged).update(**dict.fromkeys(times, now))

    transaction.on_commit(update, using=router.db_for_write(get_application_model()), robust=True)


def purge_unused_clients(*, dry_run: bool = False, progress: Callable[[str, int], None] | None = None) -> int:
    """Delete clients that registered themselves and are not used any more, and return their number.

    A client that registered by RFC 7591 is deleted ``AT_JWT["UNUSED_CLIENT_RETENTION"]`` after it registered, last got
    a token, or was changed. One with a metadata document is deleted as soon as its document has expired, as by DOT's
    ``clearcimdapplications``, because its next request registers it again. Both are kept while a token, a code, a
    device code or an authorization can still be used. The registration access token does not count.

    With nothing to delete, it takes one statement. Clients are deleted two hundred at a time, each batch in a
    transaction and with a number of statements that does not depend on its size. Tokens can be issued meanwhile: the
    client of a new token is not deleted.

    Args:
        dry_run: only count.
        progress: called after each batch with the plural name of the rows and how many of them were deleted so far.

    Raises:
        django.db.Error: the database failed. Batches before the error are deleted.
    """
    retention, now, total = app_settings().unused_client_retention, timezone.now(), 0
    if not retention:
        return 0
    model = get_application_model()
    if not primary_rows(model).filter(_unused(now, retention)).exists():
        return 0
    # A token without a row and without a user leaves no other trace.
    longest = timedelta(seconds=registry.longest_lifetime()) + GREATEST_LEEWAY + _PRECISION
    unused = _unused(now, max(retention, longest))
    rows = primary_rows(model).filter(unused).values_list("pk", "client_id", named=True)
    for batch in rows_in_batches(rows, size=_BATCH):
        if dry_run:
            total += len(batch) - len(_in_use(batch, now))
            continue
        total += _delete([row.pk for row in batch], unused, now)
        if progress is not None:
            progress(str(model._meta.verbose_name_plural), total)
    return total


def _unused(now: datetime, retention: timedelta) -> Q:
    has_document = Q(registration_source=RegistrationSource.CIMD, cimd_expires_at__lt=now)
    times = change_times(get_application_model())
    if not times:
        # Rows don't tell which clients are used.
        return has_document
    return has_document | Q(registration_source=RegistrationSource.DCR, **{f"{times[0]}__lt": now - retention})


def _delete(keys: Sequence[Any], unused: Q, now: datetime) -> int:
    model = get_application_model()
    with one_transaction(), transaction.atomic(using=router.db_for_write(model)):
        # In this order, as token requests do. Inserting a token locks the row of its client.
        lock_authorizations(authorizations_of_clients(keys))
        rows = primary_rows(model).filter(unused, pk__in=keys)
        locked = list(rows.select_for_update().order_by("pk").values_list("pk", "client_id", named=True))
        used = _in_use(locked, now)
        deleted = [row.pk for row in locked if row.pk not in used]
        if not deleted:
            return 0
        forget_clients(deleted)
        # Only registration access tokens are left that have not expired.
        expire_access_tokens(Q(application__in=deleted))
        with without_revocation():
            primary_rows(model).filter(pk__in=deleted).delete()
    return len(deleted)


def _in_use(clients: Sequence[Any], now: datetime) -> set[Any]:
    """Return the primary keys of those clients for which something can still be used."""
    keys = [row.pk for row in clients]
    ends_after = now - GREATEST_LEEWAY
    device_code = get_device_grant_model()
    access_tokens = primary_rows(get_access_token_model()).exclude(scope=oauth2_settings.DCR_REGISTRATION_SCOPE)
    used: set[Any] = set()
    for rows in (
        access_tokens.filter(expires__gt=ends_after),
        primary_rows(get_id_token_model()).filter(expires__gt=ends_after),
        primary_rows(get_grant_model()).filter(expires__gt=ends_after),
        primary_rows(get_refresh_token_model()).filter(revoked__isnull=True),
    ):
        used.update(rows.filter(application__in=keys).values_list("application", flat=True))
    by_name = {row.client_id: row.pk for row in clients}
    pending = primary_rows(device_code).filter(client_id__in=by_name, expires__gt=ends_after)
    used.update(by_name[name] for name in pending.values_list("client_id", flat=True) if name in by_name)
    by_text = {str(key): key for key in keys}
    live = authorizations_of_clients(keys).filter(Q(tokens_expire_at__gt=ends_after) | Q(expires_at__gt=ends_after))
    used.update(by_text[key] for key in live.values_list("client_key", flat=True))
    return used
