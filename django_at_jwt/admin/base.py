"""The base class of the admin classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.urls import reverse

from django_at_jwt.core.quotation import is_storable

if TYPE_CHECKING:
    from django.http import HttpRequest

    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin  # Not generic at run time.


class ModelAdmin(_ModelAdmin):
    """Django's ``ModelAdmin``, in which a NUL character in the query string counts as an invalid filter.

    PostgreSQL rejects such text, so looking it up would be a server error.
    """

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the change list.

        Raises:
            IncorrectLookupParameters: the database cannot look up a value in the query. Django shows the whole list.
        """
        if not all(is_storable(value) for _name, values in request.GET.lists() for value in values):
            raise IncorrectLookupParameters
        return super().get_changelist_instance(request)

    def page_url(self, page: str, *arguments: Any) -> str:
        """Return the URL of a page of this admin, such as ``changelist``, in the admin site that it belongs to."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(name, args=arguments, current_app=self.admin_site.name)


class ReadOnlyModelAdmin(ModelAdmin):
    """An admin whose rows no form adds, changes or deletes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return ``False``."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return ``False``."""
        return False
