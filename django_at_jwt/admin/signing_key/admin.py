"""The signing keys in the admin: looked at, rotated and revoked, and never made, edited or deleted by a form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import Error as AnyDatabaseError
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.authorization_server.keys.affected_tokens import live_tokens
from django_at_jwt.authorization_server.keys.revocation import revoke_issued_tokens, revoke_signing_key
from django_at_jwt.authorization_server.keys.rotation import is_spent, rotate_signing_keys, safe_to_purge_after
from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import KeyChangeRefused, NoSigningKey
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import SigningKey

from .revocation import RevocationForm, after_revocation
from .timeline import is_drawn, timeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from django.db.models import QuerySet
    from django.utils.functional import _StrPromise as StrPromise

    _ModelAdmin = admin.ModelAdmin[SigningKey]
else:
    _ModelAdmin = admin.ModelAdmin  # It is generic to the type checker alone.


# What may keep the keys from being changed, and from being looked at before that.
_REFUSALS: Final = (KeyChangeRefused, NoSigningKey, AnyDatabaseError, TimeoutError)


@admin.register(SigningKey)
class SigningKeyAdmin(_ModelAdmin):
    """Signing keys with their states. The private half is in no page."""

    change_list_template = "admin/django_at_jwt/signingkey/change_list.html"
    change_form_template = "admin/django_at_jwt/signingkey/change_form.html"
    list_display = (
        "short_kid",
        "algorithm",
        "state",
        "live_tokens",
        "last_expiry",
        "signs_from",
        "signs_until",
        "published_until",
    )
    search_fields = ("kid",)
    actions = ("rotate_selected", "revoke_selected")
    fields = readonly_fields = (
        "kid",
        "algorithm",
        "state",
        "announced_at",
        "signing_at",
        "retained_at",
        "retired_at",
        "live_tokens",
        "last_token_expires_at",
        "safe_to_purge_after",
        "revoked_at",
        "revocation_reason",
        "public_key",
    )

    @admin.display(description=_("kid"), ordering="kid")
    def short_kid(self, key: SigningKey) -> str:
        """Give the beginning of the kid, with the whole of it at hand."""
        return format_html('<code title="{}">{}…</code>', key.kid, key.kid[:12])

    @admin.display(description=_("state"))
    def state(self, key: SigningKey) -> str:
        """Give the present state."""
        return format_html(
            '<span class="at-jwt-state at-jwt-{}">{}</span>', key.state_at(timezone.now()).value, key.state_name()
        )

    @admin.display(description=_("tokens alive, at most"))
    def live_tokens(self, key: SigningKey) -> int:
        """Count the unexpired tokens that the key may have signed; a key of the past costs no query for ever."""
        now = timezone.now()
        state = key.state_at(now)
        if state in {KeyState.ANNOUNCED, KeyState.RETIRED} or (state is not KeyState.SIGNING and is_spent(key, now)):
            return 0
        return live_tokens(key.times, now).count()

    @admin.display(description=_("last token expires"), ordering="last_token_expires_at")
    def last_expiry(self, key: SigningKey) -> str:
        """Give the instant at which the last token expires."""
        return _in_short(key.last_token_expires_at)

    @admin.display(description=_("signs from"), ordering="signing_at")
    def signs_from(self, key: SigningKey) -> str:
        """Give the instant from which the key signs."""
        return gettext("never") if _never_signed(key) else _in_short(key.signing_at)

    @admin.display(description=_("signs until"), ordering="retained_at")
    def signs_until(self, key: SigningKey) -> str:
        """Give the instant from which another key signs."""
        return "-" if _never_signed(key) else _in_short(_end(key, key.retained_at))

    @admin.display(description=_("published until"), ordering="retired_at")
    def published_until(self, key: SigningKey) -> str:
        """Give the instant from which the key is not in the JWK set."""
        return _in_short(_end(key, key.retired_at))

    @admin.display(description=_("safe to purge after"))
    def safe_to_purge_after(self, key: SigningKey) -> datetime | str:
        """Give the instant from which no token of the key can be alive."""
        return safe_to_purge_after(key) or gettext("not planned yet: no key follows it")

    @admin.display(description=_("public JWK"))
    def public_key(self, key: SigningKey) -> str:
        """Give the public JWK in readable form."""
        return format_html('<pre class="at-jwt-jwk">{}</pre>', json.dumps(key.public_jwk, indent=2))

    def get_queryset(self, request: HttpRequest) -> QuerySet[SigningKey]:
        """Leave the private half in the database: no page needs it."""
        return super().get_queryset(request).defer("private_jwe")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse: the list has no filters, and one by the private half would give it away letter by letter."""
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: rotations make keys."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: SigningKey | None = None) -> bool:
        """Refuse: rotations change keys."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SigningKey | None = None) -> bool:
        """Refuse: a key goes when nothing that it signed can be alive any more."""
        return False

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may rotate keys."""
        return request.user.has_perm("django_at_jwt.rotate_signingkey")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may revoke keys."""
        return request.user.has_perm("django_at_jwt.revoke_signingkey")

    def get_urls(self) -> list[URLPattern]:
        """Add the pages that ask before keys are changed."""
        view = self.admin_site.admin_view
        rotate, revoke = _outside_transactions(view(self.rotate_view)), _outside_transactions(view(self.revoke_view))
        return [
            path("rotate/", rotate, name="django_at_jwt_signingkey_rotate"),
            path("<int:pk>/revoke/", revoke, name="django_at_jwt_signingkey_revoke"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list with the timeline above it."""
        now = timezone.now()
        rows = list(SigningKey.objects.defer("private_jwe"))
        drawn = [row.times for row in rows if is_drawn(row, now)]
        context = {
            "timeline": timeline(drawn, now),
            "not_drawn": len(rows) - len(drawn),
            "may_rotate": self.has_rotate_permission(request),
            "timeline_states": ("announced", "signing", "retained"),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one key, with the way to revoke it."""
        key = self.get_object(request, object_id)
        usable = key is not None and key.state_at(timezone.now()) not in {KeyState.REVOKED, KeyState.RETIRED}
        context = {"may_revoke": usable and self.has_revoke_permission(request)}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.action(description=_("Rotate the keys of these algorithms now…"), permissions=["rotate"])
    def rotate_selected(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> HttpResponse:
        """Ask before the announced keys of the selected algorithms sign early."""
        algorithms = urlencode([("algorithm", name) for name in sorted({key.algorithm for key in queryset})])
        return HttpResponseRedirect(f"{reverse('admin:django_at_jwt_signingkey_rotate')}?{algorithms}")

    @admin.action(description=_("Revoke this key…"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> HttpResponse | None:
        """Ask before the one selected key is revoked."""
        keys = list(queryset[:2])
        if len(keys) != 1:
            self.message_user(request, _("Select exactly one key to revoke."), messages.ERROR)
            return None
        return HttpResponseRedirect(reverse("admin:django_at_jwt_signingkey_revoke", args=[keys[0].pk]))

    def rotate_view(self, request: HttpRequest) -> HttpResponse:
        """Show what a rotation would do now; do it when that is confirmed."""
        if not self.has_rotate_permission(request):
            raise PermissionDenied
        chosen = request.GET.getlist("algorithm")
        early = [name for name in app_settings().signing_algorithms if not chosen or name in chosen]
        try:
            rotation = rotate_signing_keys(early=early, dry_run=request.method != "POST")
        except _REFUSALS as error:
            return self._refused(request, _("The signing keys were not rotated: %(problem)s"), error)
        if request.method == "POST":
            for row in rotation.keys:
                if row in rotation.made:
                    self.log_addition(request, row, "Made by a rotation.")
                elif any(times.kid == row.kid for times in rotation.plan.changed):
                    self.log_change(request, row, "Rescheduled by a rotation.")
            text = _("The signing keys were rotated.") if rotation.plan else _("There was nothing to do.")
            self.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:django_at_jwt_signingkey_changelist"))
        return self._page(request, "rotate", {"title": _("Rotate the signing keys now"), "rotation": rotation})

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show whom the revocation of a key would concern; do it when that is confirmed."""
        key = self.get_object(request, str(pk))
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        if key is None:
            self.message_user(request, _("There is no such signing key any more."), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:django_at_jwt_signingkey_changelist"))
        form = RevocationForm(request.POST if request.method == "POST" else None)
        confirmed = form.is_valid()
        reason = form.cleaned_data["reason"] if confirmed else ""
        try:
            revocation = revoke_signing_key(key.kid, reason=reason, dry_run=not confirmed)
        except _REFUSALS as error:
            return self._refused(request, _("The key was not revoked: %(problem)s"), error)
        if confirmed:
            after_revocation(request, revocation, form.cleaned_data)
            return HttpResponseRedirect(reverse("admin:django_at_jwt_signingkey_changelist"))
        context = {"title": _("Revoke a signing key"), "key": key, "form": form, "preview": revocation}
        context |= {
            "state": key.state_at(timezone.now()).value,
            "tokens": revoke_issued_tokens(revocation, dry_run=True),
        }
        return self._page(request, "revoke", context)

    def _refused(self, request: HttpRequest, undone: StrPromise, error: Exception) -> HttpResponse:
        text = str(error) if isinstance(error, KeyChangeRefused) else undone % {"problem": error}
        self.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:django_at_jwt_signingkey_changelist"))

    def _page(self, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media, **context}
        return TemplateResponse(request, f"admin/django_at_jwt/signingkey/{name}.html", whole)


def _outside_transactions(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Exempt a view from ``ATOMIC_REQUESTS``, whichever database has the keys.

    A change to them counts at once, and what is noted of it stays, whatever the request comes to.
    """
    for database in connections:
        view = transaction.non_atomic_requests(database)(view)
    return view


def _end(key: SigningKey, planned: datetime | None) -> datetime | None:
    """Give the end of a state: a revocation comes before whatever was planned."""
    return min((at for at in (planned, key.times.revoked_at) if at is not None), default=None)


def _never_signed(key: SigningKey) -> bool:
    """Whether the key was revoked, or withdrawn, before it got to sign."""
    end = _end(key, key.retained_at)
    return end is not None and end <= key.signing_at


def _in_short(instant: datetime | None) -> str:
    """Write an instant in few letters, on two lines if need be; the timeline above the list names the time zone."""
    if instant is None:
        return "-"
    local = localtime(instant) if is_aware(instant) else instant
    return format_html('<span class="at-jwt-day">{}</span> {}', f"{local:%Y-%m-%d}", f"{local:%H:%M}")
