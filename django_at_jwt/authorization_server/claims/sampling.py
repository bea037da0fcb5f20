"""Sample tokens that a change is likely to affect; the choice is deterministic."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.resource_servers import is_open_to
from django_at_jwt.authorization_server.toolkit import get_scopes_backend
from django_at_jwt.conf import token_user_model
from django_at_jwt.core.claims import TokensFor
from django_at_jwt.core.grant_types import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, IMPLICIT, PASSWORD, REFRESH_TOKEN
from django_at_jwt.models.mappable import groups_field

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from django.db.models import QuerySet

    from django_at_jwt.core.claims import Conditions
    from django_at_jwt.core.resource_servers import ResourceServerConfig

MOST_USERS: Final = 5
MOST_CLIENTS: Final = 5
MOST_TOKENS: Final = 200
# From DOT's grant types of clients to the ``grant_type`` of their first token request.
_MACHINES: Final = "client-credentials"
_GRANTS: Final = {
    "authorization-code": AUTHORIZATION_CODE,
    "openid-hybrid": AUTHORIZATION_CODE,
    "implicit": IMPLICIT,
    "password": PASSWORD,
    _MACHINES: CLIENT_CREDENTIALS,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SampledToken:
    """A token of a user at a client for an API, with every scope that the client may have."""

    user: Any
    client: Any
    server: ResourceServerConfig
    grant: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSample:
    """Sampled tokens, out of ``possible`` tokens of the same users and clients for the site's APIs."""

    tokens: tuple[SampledToken, ...]
    possible: int


def sample_tokens(
    conditions: Sequence[Conditions], servers: Sequence[ResourceServerConfig], *, named_clients: Collection[str] = ()
) -> TokenSample:
    """Sample tokens, at most :data:`MOST_TOKENS`.

    Args:
        conditions: the conditions of the changed mappers. Clients and groups that they name are sampled first.
        servers: the APIs, most relevant first.
        named_clients: further clients to sample first.
    """
    clients = _clients(conditions, named_clients)
    users = _users(conditions) if any(_is_for_users(client) for client in clients) else []
    groups = [
        _tokens(user, client, servers, conditions)
        for client in clients
        for user in (users if _is_for_users(client) else [None])
    ]
    return TokenSample(tokens=_round_robin(groups), possible=sum(map(len, groups)))


def _round_robin(groups: Sequence[Sequence[SampledToken]]) -> tuple[SampledToken, ...]:
    """Take one token of each group in turn up to the limit, and return them in their original order.

    Otherwise, on a site with many APIs, the tokens of the first client would fill the sample.
    """
    numbered = [(turn, place, token) for place, tokens in enumerate(groups) for turn, token in enumerate(tokens)]
    taken = sorted(numbered, key=itemgetter(0, 1))[:MOST_TOKENS]
    return tuple(token for _turn, _place, token in sorted(taken, key=itemgetter(1, 0)))


def _tokens(
    user: Any, client: Any, servers: Sequence[ResourceServerConfig], conditions: Sequence[Conditions]
) -> list[SampledToken]:
    scopes = tuple(get_scopes_backend().get_available_scopes(application=client))
    grant = _grant(client, conditions)
    return [
        SampledToken(user=user, client=client, server=server, grant=grant, scopes=scopes)
        for server in servers
        if is_open_to(server, client_id=client.client_id, registration_source=client.registration_source)
    ]


def _is_for_users(client: Any) -> bool:
    return bool(client.authorization_grant_type != _MACHINES)


def _grant(client: Any, conditions: Sequence[Conditions]) -> str:
    first = _GRANTS.get(client.authorization_grant_type, client.authorization_grant_type)
    named = {grant for each in conditions for grant in each.grants}
    # A mapper for refreshed tokens only does not apply to the first token.
    return REFRESH_TOKEN if first not in named and REFRESH_TOKEN in named and _is_for_users(client) else first


def _clients(conditions: Sequence[Conditions], named_clients: Collection[str]) -> list[Any]:
    rows = get_application_model()._default_manager.order_by("client_id")
    kinds = {each.tokens_for for each in conditions}
    if kinds == {TokensFor.MACHINES}:
        rows = rows.filter(authorization_grant_type=_MACHINES)
    elif kinds == {TokensFor.USERS}:
        rows = rows.exclude(authorization_grant_type=_MACHINES)
    named = {client_id for each in conditions for client_id in each.clients} | {*named_clients}
    first = list(rows.filter(client_id__in=named)[:MOST_CLIENTS])
    return [*first, *rows.exclude(client_id__in=named)[: MOST_CLIENTS - len(first)]]


def _users(conditions: Sequence[Conditions]) -> list[Any]:
    rows = _active(token_user_model()._default_manager.order_by("pk"))
    named = {group for each in conditions for group in each.groups}
    if not named or groups_field() is None:
        users = list(rows[:MOST_USERS])
    else:
        first = list(rows.filter(pk__in=rows.filter(groups__name__in=named).values("pk"))[:MOST_USERS])
        users = [*first, *rows.exclude(pk__in=[user.pk for user in first])[: MOST_USERS - len(first)]]
    return [user for user in users if getattr(user, "is_active", True)]


def _active(users: QuerySet[Any]) -> QuerySet[Any]:
    """Filter by ``is_active`` if it is a column; in Django's ``AbstractBaseUser`` it is a plain attribute."""
    names = {field.name for field in users.model._meta.concrete_fields}
    return users.filter(is_active=True) if "is_active" in names else users


def clients_concerned(conditions: Sequence[Conditions], servers: Sequence[ResourceServerConfig]) -> tuple[int, int]:
    """Return the number of clients whose tokens the conditions or resource servers may affect, and of all clients."""
    columns = ("client_id", "authorization_grant_type", "registration_source")
    rows = get_application_model()._default_manager.values_list(*columns)
    all_clients = list(rows)
    concerned = sum(
        any(_can_be_met(each, client_id, kind) for each in conditions)
        or any(is_open_to(server, client_id=client_id, registration_source=source) for server in servers)
        for client_id, kind, source in all_clients
    )
    return concerned, len(all_clients)


def _can_be_met(conditions: Conditions, client_id: str, kind: str) -> bool:
    if conditions.clients and client_id not in conditions.clients:
        return False
    is_machine = kind == _MACHINES
    if conditions.tokens_for is not None and (conditions.tokens_for is TokensFor.MACHINES) is not is_machine:
        return False
    grants = {_GRANTS.get(kind, kind)} | (set() if is_machine else {REFRESH_TOKEN})
    return not conditions.grants or not grants.isdisjoint(conditions.grants)
