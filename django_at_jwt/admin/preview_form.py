"""The form that selects which token to preview: user, client, scopes, APIs and grant."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_access_token_model, get_application_model

from django_at_jwt.authorization_server.claims.lookup import find_client, find_user
from django_at_jwt.authorization_server.issuance import TokenRequest
from django_at_jwt.authorization_server.login.events import authentication_by_password
from django_at_jwt.authorization_server.oauthlib_bridge.client_policy import known_grants, usual_grant
from django_at_jwt.authorization_server.resource_servers import registered_or_disabled, registry
from django_at_jwt.authorization_server.toolkit import get_scopes_backend
from django_at_jwt.conf import token_user_model
from django_at_jwt.core.claims import Match
from django_at_jwt.core.grant_types import CLIENT_CREDENTIALS

from .search_fields import MultipleSearchField
from .searchable import ResourceServers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from django.contrib.admin import AdminSite
    from django.http import HttpRequest

    from django_at_jwt.core.claims import Conditions
    from django_at_jwt.models import ResourceServer

PREFIX = "preview"


class RowSelect(AutocompleteSelect):
    """Django's search box for a row. A value that cannot be a primary key shows as no choice, not as an error 500."""

    def optgroups(self, name: str, value: Sequence[str], attr: dict[str, Any] | None = None) -> list[Any]:
        """Return the chosen row as an option."""
        try:
            return super().optgroups(name, value, attr)
        except (ValueError, OverflowError, ValidationError):
            return super().optgroups(name, [], attr)


def request_for_mapper(conditions: Conditions) -> dict[str, Any]:
    """Return initial values of the form that meet a mapper's conditions, as far as this site has what they name.

    Not chosen: the user, whose claims are personal data.
    """
    scopes = _on_site(conditions.scopes, get_scopes_backend().get_all_scopes())
    return {
        "scopes": scopes if conditions.scopes_match is Match.ALL else scopes[:1],
        # One: several APIs do not always share a token.
        "resources": _on_site(conditions.resource_servers, registry.latest().by_identifier)[:1],
        "grant": next(iter(_on_site(conditions.grants, known_grants())), ""),
        **_first_client(conditions.clients),
    }


def request_for_resource_server(row: ResourceServer) -> dict[str, Any]:
    """Return initial values of the form for all scopes that a resource server names, and its first client."""
    server = registered_or_disabled(row)
    clients = [each for each in row.clients if each in server.client_ids] if server.client_ids else []
    return {
        "resources": [server.identifier],
        "scopes": _on_site(server.scopes or (), get_scopes_backend().get_all_scopes()),
        **_first_client(clients, machines_first=True),
    }


def _on_site(names: Iterable[str], known: Collection[str]) -> list[str]:
    return [name for name in names if name in known]


def _first_client(client_ids: Sequence[str], *, machines_first: bool = False) -> dict[str, Any]:
    """Return the first client, or the first one that gets tokens without a user if there is one."""
    model = get_application_model()
    rows = {row.client_id: row for row in model._default_manager.filter(client_id__in=client_ids)}
    found = [rows[client_id] for client_id in client_ids if client_id in rows]
    machines = [row for row in found if row.authorization_grant_type == model.GRANT_CLIENT_CREDENTIALS]
    first = next(iter([*(machines if machines_first else ()), *found]), None)
    return {} if first is None else {"client": first.pk, "client_id": first.client_id}


class PreviewForm(forms.Form):
    """The token request to preview. Without JavaScript, ``typed`` is sent, and names are typed instead of searched."""

    prefix = PREFIX
    typed = forms.BooleanField(required=False)
    user_name = forms.CharField(
        label=_("User (name or primary key)"),
        required=False,
        max_length=254,
        help_text=_("Leave empty for a client acting on its own behalf."),
    )
    user = forms.ModelChoiceField(
        label=_("User"),
        queryset=token_user_model()._base_manager.none(),
        required=False,
        help_text=_("Leave empty for a client acting on its own behalf."),
    )
    client_id = forms.CharField(label=_("Client (client_id)"), required=False, max_length=255)
    client = forms.ModelChoiceField(
        label=_("Client"), queryset=get_application_model()._default_manager.none(), required=False
    )
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Requested scopes. If none is selected: the site's default scopes."),
    )
    resources = MultipleSearchField(
        ResourceServers(),
        label=_("APIs"),
        required=False,
        help_text=_("Requested APIs. If none is selected: those implied by the scopes, or the default."),
    )
    grant = forms.ChoiceField(label=_("Grant"), required=False)
    logged_in = forms.BooleanField(label=_("the user has just logged in with a password"), required=False, initial=True)

    def __init__(self, *args: Any, request: HttpRequest, admin_site: AdminSite, search_url: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["user"].queryset = token_user_model()._base_manager.all()  # type: ignore[attr-defined]
        self.fields["client"].queryset = get_application_model()._default_manager.all()  # type: ignore[attr-defined]
        tokens = get_access_token_model()._meta
        self.can_search = {
            "user": self._search("user", tokens.get_field("user"), request, admin_site),
            "client": self._search("client", tokens.get_field("application"), request, admin_site),
        }
        scopes = get_scopes_backend().get_all_scopes()
        self.fields["scopes"].choices = [(scope, f"{scope} ({text})") for scope, text in scopes.items()]  # type: ignore[attr-defined]
        self.fields["resources"].search_at(search_url)  # type: ignore[attr-defined]
        grants = [("", _("the client's grant")), *((grant, grant) for grant in known_grants())]
        self.fields["grant"].choices = grants  # type: ignore[attr-defined]

    def _search(self, name: str, relation: Any, request: HttpRequest, admin_site: AdminSite) -> bool:
        """Make a field a search box if the user may view these rows in the admin; otherwise, remove the field."""
        registered = admin_site._registry.get(relation.remote_field.model)
        if registered is None or not registered.search_fields or not registered.has_view_permission(request):
            del self.fields[name]
            return False
        self.fields[name].widget = RowSelect(relation, admin_site)
        self.fields[name].widget.choices = self.fields[name].choices  # type: ignore[attr-defined]
        return True

    def clean(self) -> dict[str, Any]:
        """Look up the named rows, and check that the grant fits them."""
        cleaned = {**(super().clean() or {}), **self.cleaned_data}
        for name, chosen, find in (("user_name", "user", find_user), ("client_id", "client", find_client)):
            if not cleaned["typed"] and chosen in self.fields:
                continue
            cleaned[chosen] = None
            if cleaned.get(name):
                try:
                    cleaned[chosen] = find(cleaned[name])
                except LookupError as error:
                    self.add_error(name, str(error.args[0]))
        client, user = cleaned.get("client"), cleaned.get("user")
        if client is None:
            if not self.errors:
                is_typed = cleaned["typed"] or "client" not in self.fields
                self.add_error("client_id" if is_typed else "client", _("Choose a client."))
            return cleaned
        if not self.errors:
            cleaned["grant"] = cleaned.get("grant") or usual_grant(client, user)
            if (cleaned["grant"] == CLIENT_CREDENTIALS) != (user is None):
                text = _("The client_credentials grant takes no user; every other grant requires one.")
                self.add_error("grant", text)
        return cleaned

    def request(self) -> TokenRequest:
        """Return the token request of a valid form."""
        cleaned, now = self.cleaned_data, time.time()
        user = cleaned.get("user")
        return TokenRequest(
            client=cleaned["client"],
            grant=cleaned["grant"],
            now=now,
            user=user,
            authentication=authentication_by_password(user, now) if user is not None and cleaned["logged_in"] else None,
        )
