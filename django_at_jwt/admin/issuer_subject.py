"""The subjects of issuers in the admin: which user each of them is, looked at and cut off, and added by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from django_at_jwt.models import IssuerSubject

if TYPE_CHECKING:
    from django.http import HttpRequest

    _ModelAdmin = admin.ModelAdmin[IssuerSubject]
else:
    _ModelAdmin = admin.ModelAdmin  # It is generic to the type checker alone.


@admin.register(IssuerSubject)
class IssuerSubjectAdmin(_ModelAdmin):
    """Which user a subject of an issuer is. A row is added or deleted, and never changed into another person's."""

    list_display = ("subject", "issuer", "user", "created_at")
    list_select_related = ("user",)
    search_fields = ("subject", "issuer")
    fields = ("issuer", "subject", "user", "created_at")
    readonly_fields = ("created_at",)
    raw_id_fields = ("user",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow superusers alone: a row lets its subject in as that user, whoever the user is."""
        return bool(getattr(request.user, "is_superuser", False)) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: IssuerSubject | None = None) -> bool:
        """Refuse: who may change it could give anybody's subject to any account, and nobody would see from what."""
        return False
