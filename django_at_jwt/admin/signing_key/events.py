"""The history of all signing keys, deleted ones included, in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from django_at_jwt.admin.base import ReadOnlyModelAdmin
from django_at_jwt.models import SigningKeyEvent

from .display import short_kid, two_lines

if TYPE_CHECKING:
    from django.http import HttpRequest


@admin.register(SigningKeyEvent)
class SigningKeyEventAdmin(ReadOnlyModelAdmin):
    """What was done to the signing keys, newest first, for users who may view signing keys."""

    list_display = ("instant", "key", "action", "description", "by", "reason")
    list_display_links = None
    list_filter = ("action", "algorithm")
    search_fields = ("kid", "actor", "source", "reason")
    fields = ("at", "kid", "algorithm", "action", "description", "actor", "source", "reason")
    readonly_fields = fields

    class Media:
        """The style of the pages of signing keys."""

        css = {"all": ["django_at_jwt/signing_keys.css", "django_at_jwt/wide_lists.css"]}

    @admin.display(description=_("at"), ordering="at")
    def instant(self, event: SigningKeyEvent) -> str:
        """Return when it was done."""
        return two_lines(event.at)

    @admin.display(description=_("signing key"), ordering="kid")
    def key(self, event: SigningKeyEvent) -> str:
        """Return the algorithm and the kid, linked by a search: the key may have been deleted."""
        site = self.admin_site.name
        keys = reverse("admin:django_at_jwt_signingkey_changelist", query={"q": event.kid}, current_app=site)
        return format_html('<a href="{}">{} {}</a>', keys, event.algorithm, short_kid(event.kid))

    @admin.display(description=_("by"), ordering="actor")
    def by(self, event: SigningKeyEvent) -> str:
        """Return who did it, and through what."""
        return event.by

    def has_view_permission(self, request: HttpRequest, obj: SigningKeyEvent | None = None) -> bool:
        """Return whether the user may view signing keys."""
        return request.user.has_perm("django_at_jwt.view_signingkey")
