"""Issuer subjects in the admin: list, add and delete the links between subjects and users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from django_at_jwt.models import IssuerSubject

from .dates import format_instant

if TYPE_CHECKING:
    from django.http import HttpRequest

    _ModelAdmin = admin.ModelAdmin[IssuerSubject]
else:
    _ModelAdmin = admin.ModelAdmin  # Not generic at run time.


@admin.register(IssuerSubject)
class IssuerSubjectAdmin(_ModelAdmin):
    """The user of each subject. Rows are added and deleted, but never changed to another user."""

    list_display = ("subject", "issuer", "user", "created")
    list_select_related = ("user",)
    search_fields = ("subject", "issuer")
    fields = ("issuer", "subject", "user", "created")
    readonly_fields = ("created",)
    raw_id_fields = ("user",)

    @admin.display(description=IssuerSubject._meta.get_field("created_at").verbose_name, ordering="created_at")
    def created(self, row: IssuerSubject) -> str:
        """Return when the row was created."""
        return format_instant(row.created_at)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user is a superuser: a row lets its subject authenticate as any chosen user."""
        return bool(getattr(request.user, "is_superuser", False)) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: IssuerSubject | None = None) -> bool:
        """Return ``False``: a change could move a subject to another account without a trace of the former one."""
        return False
