"""The check of client IDs and scopes in the settings that match nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import app_settings

from .ids import UNREADABLE, CheckId, issues_tokens, settings_valid, system_check

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


@system_check(issues_tokens, settings_valid)
def check_names_in_settings(*, databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """Check that the clients and scopes that the settings name exist; only with ``check --database``."""
    if not databases:
        return []
    try:
        clients = list(_unknown_clients())
        scopes = list(_unknown_scopes())
    except UNREADABLE:
        # "migrate" has yet to create the tables.
        return []
    return [
        *(
            _warning(where, f"client {name!r}", "Correct the client ID, which is case-sensitive, or remove it.")
            for where, name in clients
        ),
        *(
            _warning(where, f"scope {name!r}", 'Correct or remove it, or add it to OAUTH2_PROVIDER["SCOPES"].')
            for where, name in scopes
        ),
    ]


def _warning(where: str, what: str, hint: str) -> CheckMessage:
    return Warning(f"{where} names the {what}, which does not exist.", hint=hint, id=CheckId.UNKNOWN_NAME)


def _unknown_clients() -> Iterator[tuple[str, str]]:
    from django_at_jwt.authorization_server.client_metadata import is_document_address  # noqa: PLC0415 - it needs the toolkit

    settings = app_settings()
    named = [
        *(
            (f'AT_JWT["RESOURCE_SERVERS"]["{server.identifier}"]', name)
            for server in settings.resource_servers
            for name in sorted(server.client_ids or ())
        ),
        *((_mapper(rule.key), name) for rule in settings.claim_mappers for name in rule.conditions.clients),
    ]
    # A client with a metadata document is stored at its first request.
    named = [(where, name) for where, name in named if not is_document_address(name)]
    stored = _stored_clients({name for _, name in named})
    yield from ((where, name) for where, name in named if stored is not None and name not in stored)


def _stored_clients(client_ids: Collection[str]) -> set[str] | None:
    """Return those that exist, or ``None`` if no client is stored yet, as in a new database or that of tests."""
    from oauth2_provider.models import get_application_model  # noqa: PLC0415 - as above

    rows = get_application_model()._default_manager
    if not client_ids or not rows.exists():
        return None
    return set(rows.filter(client_id__in=client_ids).values_list("client_id", flat=True))


def _unknown_scopes() -> Iterator[tuple[str, str]]:
    from django_at_jwt.authorization_server.toolkit import get_scopes_backend  # noqa: PLC0415 - as above

    named = [(_mapper(rule.key), name) for rule in app_settings().claim_mappers for name in rule.conditions.scopes]
    known = get_scopes_backend().get_all_scopes() if named else {}
    yield from ((where, name) for where, name in named if name not in known)


def _mapper(name: str) -> str:
    return f'AT_JWT["CLAIM_MAPPERS"]: the mapper {name!r}'
