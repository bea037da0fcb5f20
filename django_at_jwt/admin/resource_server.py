"""The resource servers in the admin: registered, changed and switched off by an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_field, flatten_fieldsets
from django.contrib.admin.widgets import AdminTextareaWidget, FilteredSelectMultiple
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model
from oauth2_provider.scopes import get_scopes_backend

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.conf import app_settings
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.resource_servers import read_scopes
from django_at_jwt.models import ResourceServer

from .confirmation import ConfirmingAdmin
from .optimistic_lock import VersionedForm

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

    from django_at_jwt.authorization_server.claims.configuration import ClaimConfiguration


class ScopesField(forms.CharField):
    """Scopes as text: one on each line, and after a space what it lets a client do."""

    widget = AdminTextareaWidget

    def prepare_value(self, value: Any) -> Any:
        """Write scopes as lines; a row that came from a fixture may have a list of them."""
        if isinstance(value, list):
            value = dict.fromkeys(map(str, value), "")
        if not isinstance(value, dict):
            return value
        return "\n".join(f"{scope} {text}".rstrip() for scope, text in value.items())

    def to_python(self, value: Any) -> Any:
        """Read lines as scopes; ``None`` where there is none.

        Raises:
            ValidationError: a line cannot be read, or the site has no such scope.
        """
        lines = [line.split(None, 1) for line in str(super().to_python(value)).splitlines() if line.strip()]
        named = [line[0] for line in lines]
        twice = sorted({scope for scope in named if named.count(scope) > 1})
        if twice:
            raise ValidationError(_("Write each scope on one line only; twice there: %s") % ", ".join(twice))
        try:
            scopes = read_scopes({line[0]: line[1].strip() if len(line) > 1 else "" for line in lines})
        except ValueError as error:
            raise ValidationError(str(error)) from None
        known = get_scopes_backend().get_all_scopes()
        unknown = [scope for scope in scopes if scope not in known]
        if unknown:
            raise ValidationError(
                _("No client can ask for %(unknown)s: this site has the scopes %(known)s (OAUTH2_PROVIDER['SCOPES'])."),
                params={"unknown": ", ".join(unknown), "known": ", ".join(known)},
            )
        return dict(scopes) or None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Tell whether other scopes were written."""
        return str(self.prepare_value(initial) or "").split() != str(data or "").split()


class ClientsWidget(FilteredSelectMultiple):
    """Django's two lists, in an element of their own: its script puts them first in the one around them."""

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        """Give the list as HTML; without JavaScript it is one list with several choices."""
        return format_html('<div class="related-widget-wrapper">{}</div>', super().render(*args, **kwargs))


class ResourceServerForm(VersionedForm):
    """The form of a resource server, with the site's own scopes, algorithms and clients to choose from."""

    scopes = ScopesField(
        label=_("Scopes"),
        required=False,
        help_text=_(
            "One scope on each line, and after a space what it lets a client do here, for the consent page: "
            "reports:read Read reports. Without any: the scopes that no other API names."
        ),
    )
    algorithm = forms.ChoiceField(
        label=_("Algorithm"), required=False, help_text=ResourceServer._meta.get_field("algorithm").help_text
    )
    clients = forms.MultipleChoiceField(
        label=_("Clients"),
        required=False,
        widget=ClientsWidget(_("clients"), is_stacked=False),
        help_text=ResourceServer._meta.get_field("clients").help_text,
    )

    class Meta:  # noqa: D106 - Django's own
        model = ResourceServer
        fields: ClassVar = [
            "identifier",
            "name",
            "description",
            "enabled",
            "scopes",
            "is_default",
            "isolated",
            "open_to_all_clients",
            "clients",
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
        rows = get_application_model()._default_manager.order_by("name", "client_id").values_list("client_id", "name")
        labels = {client_id: f"{name} ({client_id})" if name else client_id for client_id, name in rows}
        # A row that came from a fixture may have anything, and this is where it is mended.
        stored = self.instance.clients if isinstance(self.instance.clients, list) else []
        named = [each for each in stored if isinstance(each, str)]
        if named != self.instance.clients:
            self.initial["clients"] = named
        for client_id in named:
            # Somebody deleted the client; the name stays until it is taken out here.
            labels.setdefault(client_id, gettext("%(client)s (no such client)") % {"client": client_id})
        self.fields["clients"].choices = labels.items()  # type: ignore[attr-defined]


def _with_size(algorithm: str) -> str:
    """Name an algorithm, and say how long its tokens are where that is more than many servers allow."""
    size = ALGORITHMS[algorithm].large_token_bytes if algorithm in ALGORITHMS else None
    return algorithm if size is None else _("%s (tokens of about %d bytes)") % (algorithm, size)


@admin.register(ResourceServer)
class ResourceServerAdmin(ConfirmingAdmin):
    """Resource servers, and above them those that the settings declare."""

    form = ResourceServerForm
    change_list_template = "admin/django_at_jwt/resourceserver/change_list.html"
    list_display = (
        "name",
        "identifier",
        "enabled",
        "default",
        "scope_names",
        "whose",
        "kind",
        "lifetime_or_default",
    )
    list_display_links = ("name", "identifier")
    list_filter = ("enabled", "token_format")
    search_fields = ("name", "identifier", "description")
    fieldsets = (
        (None, {"fields": ("identifier", "name", "description", "enabled")}),
        (_("Who may ask for it, and how"), {"fields": ("open_to_all_clients", "clients", "is_default", "isolated")}),
        (_("Its tokens"), {"fields": ("scopes", "lifetime", "token_format", "algorithm", "version")}),
    )

    def apply_change(
        self, now: ClaimConfiguration, *, before: list[ResourceServer], after: list[ResourceServer]
    ) -> ClaimConfiguration:
        """Give the arrangement after some resource servers were replaced."""
        then = now.with_server(None, in_place_of={row.identifier for row in before})
        for row in after:
            then = then.with_server(row)
        return then

    def described(self, row: ResourceServer) -> list[tuple[Any, str]]:
        """Give the fields of a row in words."""
        names = flatten_fieldsets(self.fieldsets)
        fields = [field for field in row._meta.fields if field.name in names]
        return [(field.verbose_name, display_for_field(getattr(row, field.name), field, "")) for field in fields]

    @admin.display(description=_("default"), boolean=True)
    def default(self, server: ResourceServer) -> bool:
        """Tell whether tokens are for it where nobody asks for any; the settings have the last word."""
        return server.identifier == registry.latest().default

    @admin.display(description=_("scopes"))
    def scope_names(self, server: ResourceServer) -> str:
        """Give the scopes by their names; of a row that cannot be read, why there are no tokens for it."""
        try:
            scopes = server.registered.scopes
        except ValueError as error:
            return str(_("No tokens, since the row cannot be read: %s") % error)
        if scopes is None:
            return str(_("those that no other API names"))
        return format_html_join(" ", "<code>{}</code>", ((scope,) for scope in scopes))

    @admin.display(description=_("lifetime"), ordering="lifetime")
    def lifetime_or_default(self, server: ResourceServer) -> str:
        """Give the lifetime of the tokens."""
        return str(_("the site's")) if server.lifetime is None else f"{server.lifetime} s"

    @admin.display(description=_("tokens"))
    def kind(self, server: ResourceServer) -> str:
        """Give the format, and the algorithm if it is not the site's."""
        return f"{server.token_format} {server.algorithm}".strip()

    @admin.display(description=_("clients"))
    def whose(self, server: ResourceServer) -> str:
        """Say how many clients may ask for it."""
        if server.open_to_all_clients:
            return str(_("all"))
        return str(len(server.clients)) if isinstance(server.clients, list) else ""

    def save_model(self, request: HttpRequest, obj: ResourceServer, form: Any, change: bool) -> None:  # noqa: FBT001
        """Store it, and say which scopes it takes from APIs that name none: their next tokens are without these."""
        before = registry.latest()
        super().save_model(request, obj, form, change)
        itself = {obj.identifier, form.initial.get("identifier")}
        without = [server for server in before if server.scopes is None and server.identifier not in itself]
        losing = [server for server in without if any(before.has_meaning(scope, server) for scope in obj.scopes or ())]
        taken = [scope for scope in obj.scopes or () if any(before.has_meaning(scope, server) for server in losing)]
        if taken:
            text = _(
                "%(api)s has taken %(scopes)s from the APIs that name no scopes: new tokens for %(others)s will not "
                "have it. An API that still needs such a scope has to name it too."
            )
            others = ", ".join(server.identifier for server in losing)
            messages.warning(request, text % {"api": obj, "scopes": ", ".join(taken), "others": others})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, with what the settings declare above it."""
        settings = app_settings()
        context = {"declared": settings.resource_servers, "declared_default": settings.default_resource}
        return super().changelist_view(request, {**context, **(extra_context or {})})
