"""Resource servers in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_field, flatten_fieldsets
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.conf import app_settings
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.resource_servers import TokenFormat, canonical_identifier
from django_at_jwt.models import ResourceServer

from .aliases_field import AliasesField
from .change_review import ConfirmingAdmin
from .lifetime import LifetimeField, lifetime_in_words
from .optimistic_lock import VersionedForm
from .scopes_field import ScopesField
from .search_fields import MultipleSearchField, SearchAdminMixin
from .searchable import Clients

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse

    from django_at_jwt.authorization_server.claims.configuration import ClaimConfiguration


class ResourceServerForm(VersionedForm):
    """The form of a resource server, with the site's scopes, algorithms and clients as choices."""

    search_urls: ClassVar[Mapping[str, str]]
    aliases = AliasesField(
        label=_("Former identifiers"),
        required=False,
        help_text=_(
            "One per line, if the API has moved. Requests may still name them, and existing refresh tokens keep "
            "working, but the aud claim of new tokens contains the identifier above."
        ),
    )
    scopes = ScopesField(
        label=_("Scopes"),
        required=False,
        help_text=_(
            "Those that apply to this API, each with a description for its part of the consent page. If empty: the "
            "scopes that no other API names."
        ),
    )
    lifetime = LifetimeField(
        label=_("Lifetime"),
        required=False,
        help_text=_("Such as “1 hour”, “90 minutes” or a number of seconds. If empty: the site's default."),
    )
    algorithm = forms.ChoiceField(
        label=_("Algorithm"), required=False, help_text=ResourceServer._meta.get_field("algorithm").help_text
    )
    clients = MultipleSearchField(
        Clients(),
        label=_("Clients"),
        required=False,
        help_text=ResourceServer._meta.get_field("clients").help_text,
    )
    introspection_clients = MultipleSearchField(
        Clients(),
        label=_("Introspecting clients"),
        required=False,
        help_text=ResourceServer._meta.get_field("introspection_clients").help_text,
    )

    class Meta:  # noqa: D106 - Django's own
        model = ResourceServer
        fields: ClassVar = [
            "identifier",
            "aliases",
            "name",
            "description",
            "enabled",
            "scopes",
            "is_default",
            "isolated",
            "open_to_all_clients",
            "open_to_registered_clients",
            "clients",
            "introspection_clients",
            "lifetime",
            "token_format",
            "algorithm",
        ]
        widgets: ClassVar = {"identifier": forms.URLInput(attrs={"class": "vURLField"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = [self.instance.algorithm] if self.instance.algorithm else []
        names = dict.fromkeys((*app_settings().signing_algorithms, *chosen))
        algorithms = [("", _("the site's default")), *((name, _with_size(name)) for name in names)]
        self.fields["algorithm"].choices = algorithms  # type: ignore[attr-defined]
        default = app_settings().default_resource
        # The form of a page without change permission has no such field.
        if default is not None and "is_default" in self.fields:
            self.fields["is_default"].help_text = _('AT_JWT["DEFAULT_RESOURCE"] sets the default: %s.') % default
        for field in ("clients", "introspection_clients"):
            # A row loaded from a fixture may hold anything; the form is where it is corrected.
            stored = getattr(self.instance, field)
            named = [each for each in stored if isinstance(each, str)] if isinstance(stored, list) else []
            if named != stored:
                self.initial[field] = named
            self.fields[field].search_at(self.search_urls["clients"], stored=named)  # type: ignore[attr-defined]


def _displayed(row: ResourceServer, field: Any) -> str:
    """Return a field of a row for the review page."""
    value = getattr(row, field.name)
    if field.name == "scopes" and isinstance(value, dict):
        return ", ".join(f"{scope} ({text})" if text else scope for scope, text in value.items())
    if field.name == "aliases":
        return "\n".join(row.names[1:])
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return lifetime_in_words(value) if field.name == "lifetime" and value else display_for_field(value, field, "")


def _with_size(algorithm: str) -> str:
    """Return the name of an algorithm, with the size of its tokens if many servers reject tokens of that size."""
    size = ALGORITHMS[algorithm].large_token_bytes if algorithm in ALGORITHMS else None
    if size is None:
        return algorithm
    return gettext("%(algorithm)s (tokens of about %(size)d bytes)") % {"algorithm": algorithm, "size": size}


@admin.register(ResourceServer)
class ResourceServerAdmin(SearchAdminMixin, ConfirmingAdmin):
    """Resource servers, listed below those declared in the settings."""

    form = ResourceServerForm
    searches: ClassVar = {"clients": Clients()}
    change_form_template = "admin/django_at_jwt/resourceserver/change_form.html"
    change_list_template = "admin/django_at_jwt/resourceserver/change_list.html"
    list_display = (
        "name",
        "identifier",
        "enabled",
        "default",
        "scope_names",
        "allowed_clients",
        "tokens",
    )
    list_display_links = ("name", "identifier")
    list_filter = ("enabled", "token_format", "open_to_all_clients", "open_to_registered_clients", "isolated")
    list_per_page = 30
    search_fields = ("name", "identifier", "description")
    fieldsets = (
        (None, {"fields": ("identifier", "aliases", "name", "description", "enabled")}),
        (
            _("Access"),
            {"fields": ("open_to_all_clients", "open_to_registered_clients", "clients", "is_default", "isolated")},
        ),
        (
            _("Tokens"),
            {"fields": ("scopes", "lifetime", "token_format", "algorithm", "introspection_clients", "version")},
        ),
    )

    class Media:
        """The style of the scopes."""

        css: ClassVar = {"all": ["django_at_jwt/resource_servers.css", "django_at_jwt/wide_lists.css"]}

    def apply_change(
        self, now: ClaimConfiguration, *, before: list[ResourceServer], after: list[ResourceServer]
    ) -> ClaimConfiguration:
        """Return the configuration with some resource servers replaced."""
        then = now.with_server(None, in_place_of={row.identifier for row in before})
        for row in after:
            then = then.with_server(row)
        return then

    def consequences(self, before: list[ResourceServer], after: list[ResourceServer]) -> list[str]:
        """Return what happens to tokens that are already issued."""
        rows = {row.pk: row for row in after}
        texts = []
        for row in before:
            new = rows.get(row.pk)
            if row.enabled and (new is None or not new.enabled):
                texts.append(gettext("Access tokens that are already issued for %(api)s are revoked.") % {"api": row})
            if new is not None and new.identifier != row.identifier:
                is_known = canonical_identifier(row.identifier) in {canonical_identifier(name) for name in new.names}
                text = (
                    gettext(
                        "Access tokens that are already issued keep the audience %(identifier)s, and new ones get "
                        "%(new)s. The API must accept both until the issued ones have expired."
                    )
                    if is_known
                    else gettext(
                        "Access tokens that are already issued keep the audience %(identifier)s, and new ones get "
                        "%(new)s. The API must accept both until the issued ones have expired. Users are asked for "
                        "consent again. To keep refresh tokens and consent, add %(identifier)s to the former "
                        "identifiers."
                    )
                )
                texts.append(text % {"identifier": row.identifier, "new": new.identifier})
        return texts

    def describe(self, row: ResourceServer) -> list[tuple[Any, str]]:
        """Return the labels and displayed values of a row's fields."""
        names = flatten_fieldsets(self.fieldsets)
        fields = [field for field in row._meta.fields if field.name in names]
        return [(field.verbose_name, _displayed(row, field)) for field in fields]

    @admin.display(description=_("default"))
    def default(self, server: ResourceServer) -> str:
        """Return "yes" for the default audience; a default in the settings takes precedence."""
        return gettext("yes") if server.identifier == registry.latest().default else "-"

    @admin.display(description=_("scopes"))
    def scope_names(self, server: ResourceServer) -> str:
        """Return the names of the scopes, or why an invalid row gets no tokens."""
        try:
            scopes = server.registered.scopes
        except ValueError as error:
            return gettext("Invalid row, no tokens are issued: %(problem)s") % {"problem": error}
        if scopes is None:
            return gettext("those that no other API names")
        return format_html_join(" ", "<code>{}</code>", ((scope,) for scope in scopes))

    @admin.display(description=_("tokens"), ordering="lifetime")
    def tokens(self, server: ResourceServer) -> str:
        """Return the format, and the algorithm and the lifetime in words unless they are the site's defaults."""
        lifetime = "" if server.lifetime is None else lifetime_in_words(server.lifetime)
        algorithm = "" if server.token_format == TokenFormat.OPAQUE else server.algorithm
        return ", ".join(filter(None, [f"{server.token_format} {algorithm}".strip(), lifetime]))

    @admin.display(description=_("clients"))
    def allowed_clients(self, server: ResourceServer) -> str:
        """Return how many clients may request tokens for it, and whether self-registered clients may."""
        named = len(server.clients) if isinstance(server.clients, list) else 0
        open_to = gettext("all") if server.open_to_all_clients else str(named) if named else ""
        registered = gettext("self-registered") if server.open_to_registered_clients else ""
        return ", ".join(filter(None, (open_to, registered))) or gettext("none")

    def save_model(self, request: HttpRequest, obj: ResourceServer, form: Any, change: bool) -> None:  # noqa: FBT001
        """Save the row; warn if no client may request it, or if tokens that were issued before stay revoked."""
        super().save_model(request, obj, form, change)
        if change and obj.enabled and "enabled" in form.changed_data:
            text = _("Access tokens that were issued for %(api)s before it was disabled stay revoked.")
            messages.warning(request, text % {"api": obj})
        if not (obj.open_to_all_clients or obj.open_to_registered_clients or obj.clients):
            text = _('No client gets tokens for %(api)s yet. Choose its clients, or tick "open to all clients".')
            messages.warning(request, text % {"api": obj})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list below the resource servers declared in the settings."""
        settings = app_settings()
        context = {
            "declared": [
                (server, lifetime_in_words(server.lifetime) if server.lifetime else gettext("the site's default"))
                for server in settings.resource_servers
            ],
            "declared_default": settings.default_resource,
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})
