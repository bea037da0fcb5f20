"""The list of signing keys: to be looked at, since rotations are what changes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from django_at_jwt.models import SigningKey

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    _ModelAdmin = admin.ModelAdmin[SigningKey]
else:
    _ModelAdmin = admin.ModelAdmin  # It is generic to the type checker alone.


@admin.register(SigningKey)
class SigningKeyAdmin(_ModelAdmin):
    """Signing keys with their states. The private half is in no page."""

    list_display = ("kid", "algorithm", "state", "announced_at", "signing_at", "retained_at", "retired_at")
    list_filter = ("algorithm",)
    search_fields = ("kid",)
    fields = readonly_fields = (
        "kid",
        "algorithm",
        "state",
        "announced_at",
        "signing_at",
        "retained_at",
        "retired_at",
        "revoked_at",
        "revocation_reason",
        "public_key",
    )

    @admin.display(description=_("state"))
    def state(self, key: SigningKey) -> str:
        """Give the present state."""
        return key.state_name()

    @admin.display(description=_("public JWK"))
    def public_key(self, key: SigningKey) -> str:
        """Give the public JWK in readable form."""
        return format_html("<pre>{}</pre>", json.dumps(key.public_jwk, indent=2))

    def get_queryset(self, request: HttpRequest) -> QuerySet[SigningKey]:
        """Leave the private half in the database: no page needs it."""
        return super().get_queryset(request).defer("private_jwe")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: rotations make keys."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: SigningKey | None = None) -> bool:
        """Refuse: rotations change keys."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SigningKey | None = None) -> bool:
        """Refuse: a key goes when nothing that it signed can be alive any more."""
        return False
