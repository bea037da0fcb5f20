"""End django-oauth-toolkit's rows: refresh tokens, access tokens, codes and device codes.

Each function takes a constant number of statements, unless the site has swapped the model and overrides ``revoke()``,
or several live refresh tokens are equal.

Call them in a transaction, refresh tokens before access tokens: django-oauth-toolkit locks them in that order.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db import IntegrityError, connections, router, transaction
from django.db.models import BigIntegerField, IntegerField, Q
from django.db.models.functions import Abs, Cast
from django.db.models.lookups import Exact
from django.utils import timezone
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractRefreshToken,
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.models.change_times import change_times
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from django.db.models import Model, QuerySet

    from django_at_jwt.models import IssuedToken

_T = TypeVar("_T")
BATCH: Final = 1000
"""Values in a statement, few enough for the parameters that each database allows."""
# A tenth of the rows of a page fits into the tenth that the fill factor of authorizations keeps free.
_INTERLEAVED: Final = 10


def has_own_revoke() -> bool:
    """Return whether the site's models override ``revoke()``, so that it is called for each refresh token."""
    return (
        get_refresh_token_model().revoke is not AbstractRefreshToken.revoke
        or get_access_token_model().revoke is not AbstractAccessToken.revoke
    )


def revoke_refresh_tokens(condition: Q) -> int:
    """Revoke the live refresh tokens that meet a condition, and return their number."""
    rows: QuerySet[Any] = primary_rows(get_refresh_token_model()).filter(condition, revoked__isnull=True)
    if has_own_revoke():
        return _revoke_each(rows)
    now = timezone.now()
    try:
        with transaction.atomic(using=rows.db):
            # cleartokens keeps an access token for as long as a refresh token refers to it.
            return rows.update(revoked=now, access_token=None, **dict.fromkeys(change_times(rows.model), now))
    except IntegrityError:
        # The checksum is unique together with the instant, so live rows with one checksum need different instants.
        keys = list(rows.values_list("pk", flat=True))
        return sum(rows.filter(pk=key).update(revoked=timezone.now(), access_token=None) for key in keys)


def expire_access_tokens(condition: Q) -> None:
    """Expire the access tokens that meet a condition. Deleting them would load each row, for signals and relations."""
    now = timezone.now()
    rows: QuerySet[Any] = primary_rows(get_access_token_model()).filter(condition, expires__gt=now)
    if get_access_token_model().revoke is not AbstractAccessToken.revoke:
        _revoke_each(rows)
    else:
        rows.update(expires=now, **dict.fromkeys(change_times(rows.model), now))


def _revoke_each(rows: QuerySet[Any]) -> int:
    revoked = 0
    for keys in in_batches(list(rows.order_by("pk").values_list("pk", flat=True))):
        for row in rows.filter(pk__in=keys):
            row.revoke()
            revoked += 1
    return revoked


def delete_codes(condition: Q) -> None:
    """Delete the authorization codes that meet a condition."""
    primary_rows(get_grant_model()).filter(condition).delete()


def end_device_codes(condition: Q) -> None:
    """End the device codes that meet a condition, whether or not they have been approved."""
    model = get_device_grant_model()
    usable = primary_rows(model).filter(condition, status__in=[model.AUTHORIZED, model.AUTHORIZATION_PENDING])
    usable.update(status=model.EXPIRED)


def of_users(model: type[Model], users: Collection[Any]) -> Q:
    """Return the condition for rows of a model that belong to users.

    No row matches if ``model.user`` refers to another model than that of the users, whose primary keys may be equal.
    """
    related = user_model_of(model)
    return Q(user__in=[getattr(user, related._meta.pk.attname) for user in users if isinstance(user, related)])


def access_tokens_of_users(users: Collection[Any]) -> Q:
    """Return the condition for the access tokens that end with the authorizations of users.

    A registration access token (RFC 7592) is not a login of the user who registered the client, and cannot be replaced,
    so it ends only if the user is inactive.
    """
    model = get_access_token_model()
    active = [user for user in users if getattr(user, "is_active", True)]
    kept = of_users(model, active) & Q(scope=oauth2_settings.DCR_REGISTRATION_SCOPE)
    return of_users(model, users) & ~kept


def user_model_of(model: type[Model]) -> Any:
    """Return the concrete model that ``model.user`` refers to."""
    related: Any = model._meta.get_field("user").related_model
    return related._meta.concrete_model


def access_token_keys(links: QuerySet[IssuedToken]) -> QuerySet[Any, Any] | list[Any]:
    """Return the primary keys of the access tokens of links: a subquery, as far as databases can compare the keys."""
    model = get_access_token_model()
    is_integer = isinstance(model._meta.pk, IntegerField)
    if is_integer and links.db == router.db_for_write(model):
        return links.annotate(key=Cast("access_token", BigIntegerField())).values_list("key", flat=True)
    return list(links.values_list("access_token", flat=True))


def access_tokens_with(condition: Q, *, lock: bool = False) -> list[Any]:
    """Return the primary keys of the access tokens of live refresh tokens that meet a condition.

    Args:
        lock: lock the refresh tokens.
    """
    rows = primary_rows(get_refresh_token_model()).filter(condition, revoked__isnull=True, access_token__isnull=False)
    return list((rows.select_for_update() if lock else rows).values_list("access_token", flat=True))


def in_batches(values: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield lists of at most :data:`BATCH` values."""
    iterator = iter(values)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def values_for(model: type[Model], values: QuerySet[Any, _T] | list[_T]) -> QuerySet[Any, _T] | list[_T]:
    """Return values for an ``in`` condition on rows of a model: a subquery remains one, if it has the same database.

    MariaDB and MySQL can evaluate the subquery of an UPDATE again for each row, so they get the values.
    """
    if isinstance(values, list):
        return values
    database = router.db_for_write(model)
    return values if values.db == database and connections[database].vendor != "mysql" else list(values)


def interleaved_batches(rows: QuerySet[Any], *, size: int) -> Iterator[Q]:
    """Yield conditions that divide rows into batches of about ``size`` rows, with a query for each ten batches.

    A batch is every tenth row of a range of primary keys, so it changes few rows of each page of authorizations, which
    have about the same order. PostgreSQL then writes the new versions to free space of the same page, and to no index.

    Args:
        rows: the rows to divide. The conditions limit primary keys only, so apply them to ``rows``.
        size: rows in a batch.
    """
    keys = rows.order_by("pk").values_list("pk", flat=True)
    found = list(keys[: _INTERLEAVED * size])
    while found:
        batches = -(-len(found) // size)
        for number in range(batches):
            if isinstance(rows.model._meta.pk, IntegerField):
                # The remainder of a negative number is negative.
                yield Q(Exact(Abs("pk") % batches, number), pk__gte=found[0], pk__lte=found[-1])
            else:
                yield Q(pk__in=found[number::batches])
        found = list(keys.filter(pk__gt=found[-1])[: _INTERLEAVED * size])


def rows_in_batches(rows: QuerySet[Any], *, size: int) -> Iterator[list[Any]]:
    """Yield the rows of a queryset in lists of at most ``size``, ordered by primary key, with a query for each list.

    The rows may be model instances or named tuples with ``pk``.
    """
    batch = list(rows.order_by("pk")[:size])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1].pk).order_by("pk")[:size])
