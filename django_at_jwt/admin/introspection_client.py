"""Clients that may introspect all tokens, in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import AbstractApplication

from django_at_jwt.models import IntrospectionClient

from .base import ModelAdmin
from .search_fields import SearchAdminMixin, SearchField
from .searchable import Clients

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

    _ModelForm = forms.ModelForm[IntrospectionClient]
else:
    _ModelForm = forms.ModelForm


_CLIENTS: Final = Clients(client_type=AbstractApplication.CLIENT_CONFIDENTIAL)


class IntrospectionClientForm(_ModelForm):
    """The form to add a client: one of the confidential clients."""

    search_urls: ClassVar[Mapping[str, str]]
    client_id = SearchField(
        _CLIENTS,
        label=_("Client"),
        help_text=IntrospectionClient._meta.get_field("client_id").help_text,
    )

    class Meta:  # noqa: D106 - Django's own
        model = IntrospectionClient
        fields: ClassVar = ["client_id"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Django shows no form to users who may only view the rows.
        if field := self.fields.get("client_id"):
            field.search_at(self.search_urls["clients"])  # type: ignore[attr-defined]


@admin.register(IntrospectionClient)
class IntrospectionClientAdmin(SearchAdminMixin, ModelAdmin):
    """The clients that may introspect all tokens. Rows are added and deleted, never changed."""

    form = IntrospectionClientForm
    searches: ClassVar = {"clients": _CLIENTS}
    change_list_template = "admin/django_at_jwt/introspectionclient/change_list.html"
    list_display = ("client_id",)
    search_fields = ("client_id",)

    class Media:
        """The style of the empty list."""

        css: ClassVar = {"all": ["django_at_jwt/claim_mappers.css"]}

    def has_change_permission(self, request: HttpRequest, obj: IntrospectionClient | None = None) -> bool:
        """Return ``False``: to name another client, delete the row and add one."""
        return False
