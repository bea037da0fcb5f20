"""Fields that choose clients, found by searching. Clients are stored by their client ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_access_token_model, get_application_model

from django_at_jwt.core.quotation import is_storable

from .base import ModelAdmin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.utils.safestring import SafeString

    _Search = AutocompleteSelect
else:
    _Search = object

# Names Django's search boxes after their fields, for screen readers.
SEARCH_LABELS: Final = forms.Media(js=["django_at_jwt/search_labels.js"])
_PER_PAGE: Final = 20
# Each word adds conditions to the query; a thousand take minutes, or are more than SQLite allows.
_LONGEST_TERM: Final = 255


def client_label(client_id: str, name: str) -> str:
    """Return the name of a client with its client ID, or the ID alone if it has no name."""
    return f"{name} ({client_id})" if name else client_id


def _labels(client_ids: Iterable[str]) -> dict[str, str]:
    """Return the labels of clients by client id, in the given order. A deleted client is labelled as such."""
    wanted = list(client_ids)
    rows = get_application_model()._default_manager.filter(client_id__in=filter(is_storable, wanted))
    names = dict(rows.values_list("client_id", "name"))
    gone = gettext("%(client)s (no such client)")
    return {each: client_label(each, names[each]) if each in names else gone % {"client": each} for each in wanted}


class _SearchMixin(_Search):
    """Django's search box. Without JavaScript, the chosen clients are listed, and others are added by their ids."""

    typing_widget: type[forms.Widget]
    typing_label: Any

    def __init__(self, url: str = "") -> None:
        # Django's own search reads the relation and the site; this one has its own URL.
        super().__init__(get_access_token_model()._meta.get_field("application"), admin.site)
        self._url = url

    @property
    def media(self) -> forms.Media:
        """The scripts of the search box, and one that names it."""
        return super().media + SEARCH_LABELS

    def get_url(self) -> str:
        """Return the URL of the search."""
        return self._url

    def optgroups(self, name: str, value: Sequence[str], attr: dict[str, Any] | None = None) -> list[Any]:
        """Return the chosen clients as options. JavaScript adds those that it finds."""
        empty = [] if self.allow_multiple_selected else [("", "---------")]
        self.choices = [*empty, *_labels(filter(None, value)).items()]
        return forms.Select.optgroups(self, name, list(value), attr)

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """Return the HTML, with a text field for browsers without JavaScript."""
        typing = self.typing_widget(attrs={"aria-label": self.typing_label, "placeholder": self.typing_label})
        field = typing.render(_typed(name), "", renderer=renderer)
        return format_html("{}<noscript>{}</noscript>", super().render(name, value, attrs, renderer), field)


class ClientWidget(_SearchMixin, AutocompleteSelect):
    """A search box for one client."""

    typing_widget = forms.TextInput
    typing_label = _("Another client ID")

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the typed client id, or else the chosen one."""
        return data.get(_typed(name), "").strip() or super().value_from_datadict(data, files, name)


class ClientsWidget(_SearchMixin, AutocompleteSelectMultiple):
    """A search box for several clients."""

    typing_widget = forms.Textarea
    typing_label = _("More client IDs, one per line")

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the chosen client ids, then the typed ones."""
        typed = [line.strip() for line in data.get(_typed(name), "").splitlines()]
        return list(dict.fromkeys([*(super().value_from_datadict(data, files, name) or ()), *filter(None, typed)]))


def _typed(name: str) -> str:
    return f"{name}-typed"


class _ClientMixin(forms.ChoiceField):
    """Accepts the client ids of existing clients."""

    search_widget: type[_SearchMixin]
    conditions: Mapping[str, Any] = {}
    _stored: Iterable[str] = ()

    def search_at(self, url: str, *, stored: Iterable[str] = (), **conditions: Any) -> None:
        """Show a search box.

        Args:
            url: the URL of the search.
            stored: client ids that stay valid if the client was deleted, until an administrator removes them.
            conditions: lookups of DOT's application model that limit the clients.
        """
        self._stored, self.conditions = stored, conditions
        # One for each form: its script depends on the language.
        self.widget = self.search_widget(url)
        self.widget.is_required = self.required

    def validate(self, value: Any) -> None:
        """Check that the clients exist."""
        wanted = value if isinstance(value, list) else [value]
        # PostgreSQL does not take other texts.
        storable = [each for each in wanted if is_storable(each)]
        rows = get_application_model()._default_manager.filter(client_id__in=storable, **self.conditions)
        known = {*rows.values_list("client_id", flat=True), *self._stored}
        self.choices = [(client_id, client_id) for client_id in known]
        super().validate(value)


class ClientField(_ClientMixin):
    """One client, by its client id."""

    search_widget = ClientWidget


class ClientsField(_ClientMixin, forms.MultipleChoiceField):
    """Several clients, by their client ids."""

    search_widget = ClientsWidget


class ClientSearchMixin(ModelAdmin):
    """Adds the search that the fields of the form use, for users who may open the form."""

    # Lookups of DOT's application model that limit the clients.
    client_conditions: ClassVar[dict[str, Any]] = {}

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with that of the search."""
        view = self.admin_site.admin_view(self.clients_view)
        return [path("clients/", view, name=self._clients_url_name()), *super().get_urls()]

    def _clients_url_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_clients"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's own
        """Return the form, which knows the URL of the search."""
        form = super().get_form(request, obj, change, **kwargs)
        url = reverse(f"admin:{self._clients_url_name()}", current_app=self.admin_site.name)
        return type(form.__name__, (form,), {"client_search_url": url})

    def clients_view(self, request: HttpRequest) -> JsonResponse:
        """Return a page of the clients whose names or client ids contain all words, as Django's search boxes expect.

        Of a longer term, the first 255 characters count.
        """
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        rows = get_application_model()._default_manager.filter(**self.client_conditions).order_by("name", "client_id")
        for word in request.GET.get("term", "")[:_LONGEST_TERM].replace("\0", "").split():
            rows = rows.filter(Q(name__icontains=word) | Q(client_id__icontains=word))
        page = Paginator(rows.values_list("client_id", "name"), _PER_PAGE).get_page(request.GET.get("page"))
        results = [{"id": client_id, "text": client_label(client_id, name)} for client_id, name in page]
        return JsonResponse({"results": results, "pagination": {"more": page.has_next()}})
