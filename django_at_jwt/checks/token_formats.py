"""The check for opaque tokens that this project issues and its own views refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import app_settings
from django_at_jwt.core.quotation import quote
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.resource_server.protected_resources import named_by_views

from .ids import UNREADABLE, CheckId, issues_tokens, settings_valid, system_check, views_take_access_tokens
from .resource_servers import registered_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_NAMED = 3


@system_check(issues_tokens, settings_valid, views_take_access_tokens)
def check_opaque_tokens_are_accepted(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the views of this project accept the opaque tokens that clients get for them."""
    if app_settings().accept_opaque_tokens:
        return []
    return [
        Warning(
            f"{clients} opaque tokens for {identifier}, which this project's own views with AccessTokenAuthentication "
            "or access_token_required refuse.",
            hint=f'Set AT_JWT["ACCEPT_OPAQUE_TOKENS"] to True, or {remedy}.',
            id=CheckId.OPAQUE_TOKENS_REFUSED,
        )
        for identifier, clients, remedy in _refused()
    ]


def _refused() -> Iterator[tuple[str, str, str]]:
    """Yield the audiences of views, which clients get opaque tokens for them, and how to change that."""
    from django_at_jwt.authorization_server.resource_servers import is_open_to  # noqa: PLC0415 - as below

    own = {*app_settings().local_audiences, *named_by_views()}
    chosen = _clients_with_opaque_tokens()
    for server in registered_servers() or ():
        if server.identifier not in own or not server.enabled:
            continue
        if server.token_format is TokenFormat.OPAQUE:
            yield server.identifier, "Clients get", "change the format of the API"
        elif named := [
            client_id
            for client_id, source in chosen
            if not server.isolated and is_open_to(server, client_id=client_id, registration_source=source)
        ]:
            more = len(named) - _MOST_NAMED
            clients = ", ".join(map(quote, named[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")
            is_one = len(named) == 1
            verb = "Client {} gets" if is_one else "Clients {} get"
            yield server.identifier, verb.format(clients), f"change the format of the client{'' if is_one else 's'}"


def _clients_with_opaque_tokens() -> list[tuple[str, str]]:
    """Return the client ids, and how each client was registered."""
    from oauth2_provider.models import get_application_model  # noqa: PLC0415 - not always installed

    from django_at_jwt.authorization_server.client_options import token_formats_by_key  # noqa: PLC0415 - needs tables

    try:
        chosen = token_formats_by_key()
        keys = [key for key, token_format in chosen.items() if token_format is TokenFormat.OPAQUE]
        rows = get_application_model()._default_manager.filter(pk__in=keys)
        return sorted(rows.values_list("client_id", "registration_source")) if keys else []
    except UNREADABLE:
        return []
