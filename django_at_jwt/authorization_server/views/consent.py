"""The content of the consent page: the APIs that a client wants to use, and what it may do there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from django_at_jwt.authorization_server.activity import usable_families
from django_at_jwt.authorization_server.registration import (
    has_metadata_document,
    is_registered_by_request,
    registered_itself,
)
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.toolkit import get_scopes_backend
from django_at_jwt.core.subjects import displayed_host, is_on_own_device
from django_at_jwt.models import Authorization
from django_at_jwt.models.authorization import reference_to
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_at_jwt.core.audience import Audience
    from django_at_jwt.core.resource_servers import ResourceServerConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentedServer:
    """A resource server on a consent page.

    Attributes:
        name: its name or, without one, words with its host.
        identifier: its identifier.
        description: what it is for; may be empty.
        scopes: descriptions of what the client may do there.
    """

    name: str
    identifier: str
    description: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Consent:
    """The content of a consent page.

    Attributes:
        servers: the resource servers.
        own_scopes: descriptions of the issuer's own scopes, such as ``openid``.
        returns_to: the host that the browser returns to, or words for an app on the user's device. Empty if the browser
            stays here, as on the page of a device.
        described_by: the host of the client's metadata document, or empty without one. No administrator of this site
            has checked what the document says.
        can_be_impersonated: whether any app on the user's device can pretend to be the client, which no administrator
            of this site has registered.
    """

    servers: tuple[ConsentedServer, ...]
    own_scopes: tuple[str, ...]
    returns_to: str = ""
    described_by: str = ""
    can_be_impersonated: bool = False

    @classmethod
    def to(cls, audience: Audience, *, client: Any = None, redirect_uri: str = "") -> Consent:
        """Return the consent that a token for an audience needs.

        Args:
            client: the client, if the page describes it.
            redirect_uri: where the browser returns to, if it does.
        """
        known = registry.current()
        general: dict[str, Any] = get_scopes_backend().get_all_scopes()
        servers = []
        for server in audience.servers:
            meant = [scope for scope in audience.scopes if known.has_meaning(scope, server)]
            texts = ((server.scopes or {}).get(scope) or general.get(scope) or scope for scope in meant)
            servers.append(
                ConsentedServer(
                    name=server.name or _unnamed(server, audience.servers),
                    identifier=server.identifier,
                    description=server.description,
                    scopes=tuple(str(text) for text in texts),
                )
            )
        own = (scope for scope in audience.scopes if scope in known.issuer_scopes)
        return cls(
            servers=tuple(servers),
            own_scopes=tuple(str(general.get(scope) or scope) for scope in own),
            returns_to=_destination(redirect_uri) if redirect_uri else "",
            described_by=_described_by(client),
            can_be_impersonated=client is not None
            and registered_itself(client)
            and can_be_impersonated(client, redirect_uri),
        )

    @property
    def texts(self) -> Iterable[str]:
        """Descriptions of everything that the client may do, for a page with a single list."""
        return [*self.own_scopes, *(text for server in self.servers for text in server.scopes)]


def _unnamed(server: ResourceServerConfig, servers: Iterable[ResourceServerConfig]) -> str:
    """Return what a page calls an API without a name: by its host, and by its path too if the host has several."""
    parts = urlsplit(server.identifier)
    is_alone = all(urlsplit(each.identifier).netloc != parts.netloc or each is server for each in servers)
    return _("API at %(place)s") % {"place": parts.netloc if is_alone else parts.netloc + parts.path}


def _destination(redirect_uri: str) -> str:
    host = displayed_host(redirect_uri)
    if host is not None:
        return host
    scheme = urlsplit(redirect_uri).scheme
    if scheme in {"http", "https"}:
        return _("an app on this device")
    return _("the app on this device that opens %(scheme)s: links") % {"scheme": scheme}


def _described_by(client: Any) -> str:
    is_described = client is not None and has_metadata_document(client)
    return urlsplit(client.client_id).netloc.lower() if is_described else ""


def can_be_impersonated(client: Any, redirect_uri: str) -> bool:
    """Return whether another app on the user's device can impersonate a client (RFC 8252 section 8.6).

    This is so if the client has no secret, and the response goes to an app on the device.
    """
    return bool(client.client_type == client.CLIENT_PUBLIC and redirect_uri and is_on_own_device(redirect_uri))


def is_asked_each_time(client: Any, redirect_uri: str) -> bool:
    """Return whether to ask for consent again, because the response may go to another recipient than before.

    Another app can impersonate the client, or the client can change where the response goes: by a request (RFC 7592),
    or in its metadata document, unless the response goes to the host of the document.
    """
    if can_be_impersonated(client, redirect_uri) or is_registered_by_request(client):
        return True
    host = _described_by(client)
    return bool(host) and displayed_host(redirect_uri) != host


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
    resources, scopes, known = set(audience.identifiers), set(audience.scopes), registry.current()
    covering = [
        row
        for row in rows
        if resources <= {*known.registered(known.or_default(row.resources))} and scopes <= set(row.scopes.split())
    ]
    if any(row.tokens_expire_at is not None and row.tokens_expire_at > now for row in covering):
        return True
    return bool(usable_families((row.family for row in covering if row.family is not None), now))
