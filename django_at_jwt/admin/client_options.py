"""Options of clients, in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model

from django_at_jwt.models import ClientOptions
from django_at_jwt.models.authorization import reference_to, referenced_rows

from .base import ModelAdmin
from .search_fields import SearchAdminMixin, SearchField, value_label
from .searchable import Clients

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.http import HttpRequest

    _ModelForm = forms.ModelForm[ClientOptions]
else:
    _ModelForm = forms.ModelForm


class ClientOptionsForm(_ModelForm):
    """The options of one client, which is chosen when they are added."""

    search_urls: ClassVar[Mapping[str, str]]
    client_id = SearchField(Clients(), label=_("Client"))

    class Meta:  # noqa: D106 - Django's own
        model = ClientOptions
        fields: ClassVar = ["token_format", "store_access_tokens"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            del self.fields["client_id"]
        elif field := self.fields.get("client_id"):
            # Django shows no form to users who may only view the rows.
            field.search_at(self.search_urls["clients"])

    def clean_client_id(self) -> str:
        """Return the client ID, and set the client of the options."""
        client_id: str = self.cleaned_data["client_id"]
        client = get_application_model()._default_manager.get(client_id=client_id)
        self.instance.client = client
        self.instance.client_model, self.instance.client_key = reference_to(client)
        same = ClientOptions.objects.filter(
            client_model=self.instance.client_model, client_key=self.instance.client_key
        )
        if same.exists():
            raise forms.ValidationError(_("This client already has options. Change those."))
        return client_id


class _ChangeList(ChangeList):
    """Reads the clients of a page of the list in one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        _read_clients(self.result_list)


@admin.register(ClientOptions)
class ClientOptionsAdmin(SearchAdminMixin, ModelAdmin):
    """Options of single clients, which override the settings."""

    form = ClientOptionsForm
    searches: ClassVar = {"clients": Clients()}
    list_display = ("named_client", "token_format", "store_access_tokens")
    list_filter = ("token_format", "store_access_tokens")
    change_list_template = "admin/django_at_jwt/clientoptions/change_list.html"

    class Media:
        """The style of the empty list."""

        css: ClassVar = {"all": ["django_at_jwt/claim_mappers.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that reads the clients."""
        return _ChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ClientOptions | None:
        """Return the options with their client, which titles and messages name."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            _read_clients([row])
        return row

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return what a deletion deletes, with the clients of the options."""
        _read_clients(objs)
        return super().get_deleted_objects(objs, request)

    def get_fields(self, request: HttpRequest, obj: ClientOptions | None = None) -> Any:
        """Return the fields; the client of existing options cannot be changed."""
        return ["client_id" if obj is None else "named_client", "token_format", "store_access_tokens"]

    def get_readonly_fields(self, request: HttpRequest, obj: ClientOptions | None = None) -> list[str]:
        """Return the fields that are shown only."""
        return [] if obj is None else ["named_client"]

    @admin.display(description=_("client"))
    def named_client(self, row: ClientOptions) -> str:
        """Return the name and the client ID of the client."""
        return str(row) if row.client is None else value_label(row.client.client_id, row.client.name)


def _read_clients(rows: Iterable[ClientOptions]) -> None:
    """Set the clients of options, in one query; ``None`` for a deleted one or one of a former application model."""
    references = {(row.client_model, row.client_key): row for row in rows}
    clients = referenced_rows(get_application_model(), references)
    for reference, row in references.items():
        row.client = clients.get(reference)
