"""The options of clients: chosen by an administrator for a client, else in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import Error as AnyDatabaseError

from django_at_jwt.conf import app_settings, register_process_cache
from django_at_jwt.core.errors import IssuanceUnavailable
from django_at_jwt.core.quotation import single_line
from django_at_jwt.models import ClientOptions
from django_at_jwt.models.authorization import reference_to

from .row_cache import RowCache

if TYPE_CHECKING:
    from collections.abc import Mapping


def _read(database: str) -> Mapping[tuple[str, str], bool]:
    rows = ClientOptions.objects.using(database).filter(store_access_tokens__isnull=False)
    return {(model, key): stores for model, key, stores in rows.values_list(*_COLUMNS)}


_COLUMNS: Final = ("client_model", "client_key", "store_access_tokens")
_chosen: Final = RowCache(ClientOptions, _read)
register_process_cache(_chosen.clear)


def stores_access_tokens(client: Any, *, has_user: bool) -> bool:
    """Return whether an ``at+jwt`` access token of a client gets a row in the database.

    Args:
        client: a row of DOT's application model.
        has_user: whether the token is for a user, not for the client itself.

    Raises:
        IssuanceUnavailable: the options of clients cannot be read.
    """
    try:
        chosen = _chosen.current().get(reference_to(client))
    except AnyDatabaseError as error:
        raise IssuanceUnavailable(f"the options of clients cannot be read: {single_line(error)}") from None
    if chosen is not None:
        return chosen
    stores = app_settings().store_access_tokens
    return has_user if stores == "users" else bool(stores)


def some_tokens_are_unstored() -> bool:
    """Return whether the settings or the options of a client can leave access tokens without a row.

    Raises:
        django.db.Error: the options of clients cannot be read.
    """
    return app_settings().store_access_tokens is not True or not all(_chosen.current().values())
