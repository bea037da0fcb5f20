"""Find, lock and delete the rows of authorizations: by identifier, user, client or token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Q
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from django_at_jwt.core.quotation import is_storable, quote
from django_at_jwt.models import Authorization, ClientOptions, IssuedToken
from django_at_jwt.models.authorization import label_of
from django_at_jwt.models.primary import primary_rows

from .rows import in_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import QuerySet


def find_authorization(identifier: str) -> Authorization:
    """Return the authorization with an identifier.

    Raises:
        Authorization.DoesNotExist: no such authorization.
    """
    row = primary_rows(Authorization).filter(identifier=identifier).first() if is_storable(identifier) else None
    if row is None:
        raise Authorization.DoesNotExist(f"no authorization has the identifier {quote(identifier)}")
    return row


def authorizations_of_users(users: Sequence[Any], model: Any) -> QuerySet[Authorization]:
    """Return all authorizations of users of one model."""
    meta = model._meta.concrete_model._meta
    keys = [str(getattr(user, meta.pk.attname)) for user in users]
    return primary_rows(Authorization).filter(user_model=meta.label, user_key__in=keys)


def live_authorizations_of_users(users: Sequence[Any], model: Any) -> QuerySet[Authorization]:
    """Return the authorizations of users of one model that have not ended."""
    return authorizations_of_users(users, model).filter(ended_at__isnull=True)


def authorizations_of_client(client: Any) -> QuerySet[Authorization]:
    """Return all authorizations of a client."""
    return authorizations_of_clients([client.pk])


def authorizations_of_clients(keys: Iterable[Any]) -> QuerySet[Authorization]:
    """Return all authorizations of clients by their primary keys."""
    return primary_rows(Authorization).filter(
        client_model=label_of(get_application_model()), client_key__in=[str(key) for key in keys]
    )


def live_authorizations_of_client(client: Any) -> QuerySet[Authorization]:
    """Return the authorizations of a client that have not ended."""
    return authorizations_of_client(client).filter(ended_at__isnull=True)


def authorizations_of_access_tokens(keys: Iterable[Any]) -> QuerySet[Authorization]:
    """Return the authorizations of access tokens by the primary keys of their rows."""
    found = Q(pk__in=[])
    for batch in in_batches(keys):
        links = primary_rows(IssuedToken).filter(access_token__in=[str(key) for key in batch])
        rows = primary_rows(get_access_token_model()).filter(pk__in=batch)
        # Tokens from before this app stored links are known by their refresh token.
        families = primary_rows(get_refresh_token_model()).filter(access_token__in=batch)
        found |= Q(identifier__in=list(links.values_list("authorization", flat=True)))
        found |= Q(first_token_checksum__in=list(rows.values_list("token_checksum", flat=True)))
        found |= Q(family__in=list(families.values_list("token_family", flat=True)))
    return primary_rows(Authorization).filter(found)


def authorizations_of_refresh_tokens(keys: Iterable[Any]) -> QuerySet[Authorization]:
    """Return the authorizations of refresh tokens by the primary keys of their rows."""
    found = Q(pk__in=[])
    for batch in in_batches(keys):
        families = primary_rows(get_refresh_token_model()).filter(pk__in=batch)
        found |= Q(family__in=list(families.values_list("token_family", flat=True)))
    return primary_rows(Authorization).filter(found)


def lock_authorizations(rows: QuerySet[Authorization]) -> QuerySet[Authorization]:
    """Lock authorizations in the order of their keys until the end of the transaction, and return the same query.

    Everything that changes authorizations locks them in this order, and before rows of users, clients and tokens. Else
    two of them could wait for each other. Outside a transaction, nothing is locked.
    """
    if connections[rows.db].in_atomic_block:
        for _key in rows.select_for_update().order_by("pk").values_list("pk", flat=True).iterator():
            pass
    return rows


def forget_authorizations(authorizations: QuerySet[Authorization]) -> None:
    """Delete authorizations and the links of their tokens, which the deny list names by value."""
    for identifiers in in_batches(list(authorizations.values_list("identifier", flat=True))):
        primary_rows(IssuedToken).filter(authorization__in=identifiers).delete()
    authorizations.delete()


def forget_clients(keys: Sequence[Any]) -> None:
    """Delete what is stored about clients by their primary keys. The deny list names their tokens by value."""
    options = primary_rows(ClientOptions).filter(client_model=label_of(get_application_model()))
    options.filter(client_key__in=[str(key) for key in keys]).delete()
    forget_authorizations(authorizations_of_clients(keys))
    own = primary_rows(get_access_token_model()).filter(application__in=keys, user__isnull=True)
    for tokens in in_batches(list(own.values_list("pk", flat=True))):
        primary_rows(IssuedToken).filter(access_token__in=[str(each) for each in tokens]).delete()
