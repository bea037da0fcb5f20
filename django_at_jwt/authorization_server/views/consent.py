"""The content of the consent page: the APIs that a client wants to use, and what it may do there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from oauth2_provider.models import get_access_token_model
from oauth2_provider.scopes import get_scopes_backend

from django_at_jwt.authorization_server.resource_servers import registry

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def has_agreed(user: Any, client_id: str, audience: Audience) -> bool:
    """Return whether the user has consented to an audience before: a live token of the client covers it.

    The token must cover the resources as well as the scopes.
    """
    if not user.is_authenticated:
        return False
    tokens = get_access_token_model().objects.filter(
        user=user, application__client_id=client_id, expires__gt=timezone.now()
    )
    wanted = set(audience.identifiers)
    # A token from before this app was installed has no resource and counts as one for the default.
    default = [registry.current().default]
    return any(wanted <= set(token.resource or default) and token.allow_scopes(audience.scopes) for token in tokens)
