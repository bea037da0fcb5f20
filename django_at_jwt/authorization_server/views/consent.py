"""The content of the consent page: the APIs that a client wants to use, and what it may do there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils import timezone
from oauth2_provider.models import get_refresh_token_model, refresh_token_expire_timedelta
from oauth2_provider.scopes import get_scopes_backend

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.models import Authorization
from django_at_jwt.models.authorization import reference_to
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django_at_jwt.core.audience import Audience


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentedServer:
    """A resource server on a consent page; ``scopes`` are descriptions of what the client may do there."""

    name: str
    identifier: str
    description: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Consent:
    """The content of a consent page; ``own_scopes`` are descriptions of the issuer's own scopes, such as ``openid``."""

    servers: tuple[ConsentedServer, ...]
    own_scopes: tuple[str, ...]

    @classmethod
    def to(cls, audience: Audience) -> Consent:
        """Return the consent that a token for an audience needs."""
        known = registry.current()
        general: dict[str, Any] = get_scopes_backend().get_all_scopes()
        servers = []
        for server in audience.servers:
            meant = [scope for scope in audience.scopes if known.has_meaning(scope, server)]
            texts = ((server.scopes or {}).get(scope) or general.get(scope) or scope for scope in meant)
            servers.append(
                ConsentedServer(
                    name=str(server),
                    identifier=server.identifier,
                    description=server.description,
                    scopes=tuple(str(text) for text in texts),
                )
            )
        own = (scope for scope in audience.scopes if scope in known.issuer_scopes)
        return cls(servers=tuple(servers), own_scopes=tuple(str(general.get(scope) or scope) for scope in own))

    @property
    def texts(self) -> Iterable[str]:
        """Descriptions of everything that the client may do, for a page with a single list."""
        return [*self.own_scopes, *(text for server in self.servers for text in server.scopes)]


def has_agreed(user: Any, client: Any, audience: Audience) -> bool:
    """Return whether the user has consented to an audience before: a live authorization of the client covers it.

    It must cover the resources as well as the scopes. It is live while it has not ended, and one of its access tokens
    is not expired or one of its refresh tokens can be used.
    """
    if not user.is_authenticated:
        return False
    (user_model, user_key), (client_model, client_key) = reference_to(user), reference_to(client)
    now = timezone.now()
    rows = primary_rows(Authorization).filter(
        Q(tokens_expire_at__gt=now) | Q(family__isnull=False),
        user_model=user_model,
        user_key=user_key,
        client_model=client_model,
        client_key=client_key,
        ended_at__isnull=True,
    )
    resources, scopes = set(audience.identifiers), set(audience.scopes)
    # A refresh token from before this app was installed has no resource and counts as one for the default.
    default = [registry.current().default]
    covering = [row for row in rows if resources <= set(row.resources or default) and scopes <= set(row.scopes.split())]
    if any(row.tokens_expire_at is not None and row.tokens_expire_at > now for row in covering):
        return True
    return _can_be_refreshed([row.family for row in covering], now)


def _can_be_refreshed(families: Sequence[Any], now: datetime) -> bool:
    """Return whether a family has a refresh token that DOT accepts."""
    if not families:
        return False
    refresh_tokens = primary_rows(get_refresh_token_model()).filter(
        token_family__in=families, revoked__isnull=True, access_token__isnull=False
    )
    lifetime = refresh_token_expire_timedelta()
    if lifetime is not None:
        # It is counted from the end of the access token.
        refresh_tokens = refresh_tokens.filter(access_token__expires__gt=now - lifetime)
    return bool(refresh_tokens.exists())
