"""The preview of access tokens on the index of the admin, for whoever may see nothing else of this app, too."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.urls import URLPattern, path

from django_at_jwt.models import TokenPreview

from .preview import PERMISSION, preview_page

if TYPE_CHECKING:
    from django.http import HttpRequest

    _ModelAdmin = admin.ModelAdmin[TokenPreview]
else:
    _ModelAdmin = admin.ModelAdmin  # It is generic to the type checker alone.


@admin.register(TokenPreview)
class TokenPreviewAdmin(_ModelAdmin):
    """One page, which is about users, clients, APIs and mappers alike; in place of a list there is the preview."""

    def get_urls(self) -> list[URLPattern]:
        """Give the page under the name of the links to it, and under the name that the index looks for."""
        view = self.admin_site.admin_view(partial(preview_page, admin_site=self.admin_site))
        names = ("django_at_jwt_preview", f"{self.opts.app_label}_{self.opts.model_name}_changelist")
        return [path("", view, name=name) for name in names]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Tell whether the index has a line for it."""
        return request.user.has_perm(PERMISSION)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tell whether somebody may preview tokens."""
        return request.user.has_perm(PERMISSION)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """There is nothing to add."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is nothing to change."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is nothing to delete."""
        return False
