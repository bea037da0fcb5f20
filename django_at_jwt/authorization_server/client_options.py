"""Client options: chosen by an administrator for a client, else in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import Error as AnyDatabaseError
from oauth2_provider.models import get_application_model

from django_at_jwt.conf import app_settings, register_process_cache
from django_at_jwt.core.errors import IssuanceUnavailable
from django_at_jwt.core.quotation import single_line
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.models import ClientOptions
from django_at_jwt.models.authorization import label_of, reference_to

from .row_cache import RowCache

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Options(NamedTuple):
    """The options of a client; ``None`` for an option that is not set."""

    store_access_tokens: bool | None = None
    token_format: TokenFormat | None = None


def _read(database: str) -> Mapping[tuple[str, str], _Options]:
    rows = ClientOptions.objects.using(database).values_list(*_COLUMNS)
    return {(model, key): _Options(stores, _FORMATS.get(name)) for model, key, stores, name in rows}


_COLUMNS: Final = ("client_model", "client_key", "store_access_tokens", "token_format")
# Fixtures can store other values, which are ignored.
_FORMATS: Final[Mapping[str | None, TokenFormat]] = {each.value: each for each in TokenFormat}
_chosen: Final = RowCache(ClientOptions, _read)
register_process_cache(_chosen.clear)


def token_format_of(client: Any) -> TokenFormat | None:
    """Return the access token format of a client, or ``None`` if the API decides.

    Args:
        client: a row of DOT's application model.

    Raises:
        IssuanceUnavailable: client options cannot be read.
    """
    return _options_of(client).token_format


def token_formats_by_key() -> dict[str, TokenFormat]:
    """Return the access token formats of clients that have one, by the primary key of the client as text.

    Raises:
        django.db.Error: client options cannot be read.
    """
    label = label_of(get_application_model())
    return {
        key: options.token_format
        for (client_model, key), options in _chosen.current().items()
        if client_model == label and options.token_format is not None
    }


def stores_access_tokens(client: Any, *, has_user: bool) -> bool:
    """Return whether an ``at+jwt`` access token of a client gets a row in the database.

    Args:
        client: a row of DOT's application model.
        has_user: whether the token is for a user, not for the client itself.

    Raises:
        IssuanceUnavailable: client options cannot be read.
    """
    chosen = _options_of(client).store_access_tokens
    if chosen is not None:
        return chosen
    stores = app_settings().store_access_tokens
    return has_user if stores == "users" else bool(stores)


def some_tokens_are_unstored() -> bool:
    """Return whether the settings or the options of a client can leave access tokens without a row.

    Raises:
        django.db.Error: client options cannot be read.
    """
    chosen = (options.store_access_tokens for options in _chosen.current().values())
    return app_settings().store_access_tokens is not True or False in chosen


def _options_of(client: Any) -> _Options:
    try:
        return _chosen.current().get(reference_to(client), _Options())
    except AnyDatabaseError as error:
        raise IssuanceUnavailable(f"the client options cannot be read: {single_line(error)}") from None
