"""The sections about tokens on the pages of a user and of a client, which the template tags include."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.contrib.auth import get_permission_codename
from django.urls import NoReverseMatch, reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.activity import activity_of_client, clients_of, live_authorizations_of_user
from django_at_jwt.authorization_server.client_options import token_format_of
from django_at_jwt.authorization_server.registration import registered_itself
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.toolkit import get_scopes_backend
from django_at_jwt.conf import access_token_lifetime, app_settings, token_user_model
from django_at_jwt.core.audience import Audience
from django_at_jwt.core.login import AuthenticationEvent
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.models import Authorization, ClientOptions, ResourceServer
from django_at_jwt.models.authorization import reference_to
from django_at_jwt.models.instants import as_datetime

from .dates import format_instant
from .lifetime import lifetime_in_words
from .revocation.pages import REVOKE_PERMISSION, VIEW_AUTHORIZATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model
    from django.http import HttpRequest

    from django_at_jwt.core.resource_servers import ResourceServerConfig

_MOST_SHOWN: Final = 100


def user_section(request: HttpRequest, user: Any) -> dict[str, Any]:
    """Return the template context of the live authorizations of a user; empty without the permission.

    At most a hundred are shown, in at most three statements.
    """
    model = token_user_model()
    if not isinstance(user, model._meta.concrete_model or model) or not request.user.has_perm(VIEW_AUTHORIZATIONS):
        return {}
    live = live_authorizations_of_user(user)
    return {
        "is_shown": True,
        "lines": _lines(request, live.rows[:_MOST_SHOWN]),
        "count": _count(len(live.rows), is_exact=live.is_complete) if len(live.rows) > _MOST_SHOWN else "",
        "may_revoke": request.user.has_perm(REVOKE_PERMISSION),
    }


def client_section(request: HttpRequest, client: Any) -> dict[str, Any]:
    """Return the template context of a client's APIs and tokens, those that the administrator may view."""
    context: dict[str, Any] = {}
    if _may_view(request, ResourceServer):
        apis = _apis(request, client)
        context |= {"shows_apis": True, "apis": apis[:_MOST_SHOWN], "more_apis": max(0, len(apis) - _MOST_SHOWN)}
    if _may_view(request, ClientOptions):
        context |= {"shows_format": True, "token_format": token_format_of(client), **_options_link(request, client)}
    if request.user.has_perm(VIEW_AUTHORIZATIONS):
        found = activity_of_client(client)
        is_exact = found.authorizations_are_exact and found.access_tokens_are_exact
        context |= {
            "shows_tokens": True,
            "authorizations": _count(found.authorizations, is_exact=found.authorizations_are_exact),
            "access_tokens": _count(found.access_tokens, is_exact=found.access_tokens_are_exact),
            "last_token_at": None if found.last_token_at is None else format_instant(found.last_token_at),
            "is_exact": is_exact,
        }
    return context


def _options_link(request: HttpRequest, client: Any) -> dict[str, Any]:
    """Return the URL of the form that changes or adds the client's options, if the administrator may open it."""
    model, key = reference_to(client)
    row = ClientOptions.objects.filter(client_model=model, client_key=key).only("pk").first()
    action = "add" if row is None else "change"
    if not request.user.has_perm(f"django_at_jwt.{action}_clientoptions"):
        return {}
    if row is not None:
        return {"options_url": _address(request, "django_at_jwt_clientoptions_change", row.pk)}
    address = _address(request, "django_at_jwt_clientoptions_add")
    return {"options_url": address and f"{address}?{urlencode({'client_id': client.client_id})}"}


def _may_view(request: HttpRequest, model: type[Model]) -> bool:
    options = model._meta
    names = (get_permission_codename(action, options) for action in ("view", "change"))
    return any(request.user.has_perm(f"{options.app_label}.{name}") for name in names)


def _address(request: HttpRequest, name: str, *arguments: Any) -> str:
    """Return the address of a page of the current admin site; empty if the site has no such page."""
    try:
        return reverse(f"admin:{name}", args=arguments, current_app=getattr(request, "current_app", None))
    except NoReverseMatch:
        return ""


def _count(number: int, *, is_exact: bool) -> str:
    text = number_format(number, force_grouping=True)
    return text if is_exact else f"{text}+"


def _lines(request: HttpRequest, rows: Sequence[Authorization]) -> list[dict[str, Any]]:
    """Return live authorizations as texts. ``client_url`` is empty if the administrator may not open the client."""
    model = get_application_model()
    clients = clients_of(rows)
    may_view = _may_view(request, model)
    known = registry.current()
    lines = []
    for row in rows:
        client = clients.get(row.identifier)
        page = f"{model._meta.app_label}_{model._meta.model_name}_change"
        event = AuthenticationEvent.from_session(row.authentication, now=math.inf)
        line = {
            "client": _("(deleted client)") if client is None else client.name or client.client_id,
            "client_url": _address(request, page, client.pk) if client is not None and may_view else "",
            "apis": [str(known.named(each) or each) for each in known.or_default(row.resources)],
            "methods": () if event is None else event.methods,
            "logged_in_at": format_instant(None if event is None else as_datetime(event.authenticated_at)),
            "last_token_at": format_instant(row.last_token_at),
            "revoke_url": _address(request, "django_at_jwt_revoke_authorization", row.identifier),
        }
        lines.append(line)
    return lines


def _apis(request: HttpRequest, client: Any) -> list[dict[str, Any]]:
    """Return the APIs that a client may use, in one statement at most. ``url`` is empty if the settings declare it."""
    known = registry.for_client(registry.current(), client)
    servers = sorted((each for each in known if each.is_open_to(client.client_id)), key=str)
    declared = {each.identifier for each in app_settings().resource_servers}
    names = [each.identifier for each in servers if each.identifier not in declared][:_MOST_SHOWN]
    rows = ResourceServer.objects.filter(identifier__in=names).values_list("identifier", "pk")
    keys = dict(rows) if names else {}
    scopes = get_scopes_backend().get_available_scopes(application=client)
    chosen = token_format_of(client)
    return [
        {
            "name": str(server),
            "identifier": server.identifier,
            "url": _address(request, "django_at_jwt_resourceserver_change", keys[server.identifier])
            if server.identifier in keys
            else "",
            "access": _access(server, is_row=server.identifier in keys, is_self_registered=registered_itself(client)),
            "is_default": server.identifier == known.default,
            "is_isolated": server.isolated,
            "scopes": [scope for scope in scopes if known.has_meaning(scope, server)],
            "tokens": _tokens(server, Audience(servers=(server,), scopes=(), client_format=chosen).token_format),
            "lifetime": lifetime_in_words(server.lifetime or access_token_lifetime()),
        }
        for server in servers
    ]


def _access(server: ResourceServerConfig, *, is_row: bool, is_self_registered: bool) -> str:
    if server.client_ids is None and is_self_registered:
        if is_row:
            return _("open to clients that register themselves")
        return _("open to clients that register themselves, by the settings")
    if is_row:
        return _("open to all clients") if server.client_ids is None else _("lists this client")
    if server.client_ids is None:
        return _("open to all clients, by the settings")
    return _("lists this client, in the settings")


def _tokens(server: ResourceServerConfig, token_format: TokenFormat) -> str:
    if token_format is TokenFormat.OPAQUE:
        return token_format.value
    return f"{token_format.value} {server.algorithm or app_settings().signing_algorithms[0]}"
