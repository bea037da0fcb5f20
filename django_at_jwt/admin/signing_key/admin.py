"""Signing keys in the admin: list, rotate and revoke. No form creates, edits or deletes a key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import Error as AnyDatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.admin.base import ReadOnlyModelAdmin
from django_at_jwt.admin.dates import format_instant
from django_at_jwt.authorization_server.endpoint_urls import first_path, mounted_views
from django_at_jwt.authorization_server.keys.affected_tokens import count_in_indexes
from django_at_jwt.authorization_server.keys.history import ChangeOrigin
from django_at_jwt.authorization_server.keys.revocation import revoke_issued_tokens, revoke_signing_key
from django_at_jwt.authorization_server.keys.rotation import is_spent, rotate_signing_keys, safe_to_purge_after
from django_at_jwt.authorization_server.views.jwk_set import JwkSetView
from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import KeyChangeRefused, NoSigningKey
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.inbound.transactions import outside_transactions
from django_at_jwt.models import SigningKey, SigningKeyEvent

from .display import (
    end_in_two_lines,
    end_with_plan,
    never_signed,
    revocation_date,
    schedules,
    short_kid,
    two_lines,
    unopenable_keys,
    wait_until,
    with_copy_button,
)
from .filters import AlgorithmFilter, StateFilter
from .last_run import run_line
from .revocation import RevocationForm, after_revocation
from .rotation import RotationForm, takeover_sentences
from .timeline import is_drawn, timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.utils.functional import _StrPromise as StrPromise


# Errors that prevent a change of the keys, and its dry run.
_REFUSALS: Final = (KeyChangeRefused, NoSigningKey, AnyDatabaseError, TimeoutError)
# The events on a key's page of history; the list of events has all.
_RECENT_EVENTS: Final = 100


def _field(name: str, show: Callable[[SigningKey], str], label: Any = "") -> Callable[[SigningKey], str]:
    """Return a read-only field that shows a field of the row in another way, with its help text.

    Args:
        label: shown instead of the field's own.
    """

    @admin.display(description=label or SigningKey._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
    def shown(key: SigningKey) -> str:
        return show(key)

    # Django looks up the field's help text by this name.
    shown.__name__ = name
    return shown


def _kid(key: SigningKey) -> str:
    code = format_html('<code id="at-jwt-kid">{}</code>', key.kid)
    return with_copy_button(code, element="at-jwt-kid", label=gettext("Copy the kid"))


def _public_jwk(key: SigningKey) -> str:
    text = format_html('<pre class="at-jwt-jwk" id="at-jwt-jwk">{}</pre>', json.dumps(key.public_jwk, indent=2))
    return with_copy_button(text, element="at-jwt-jwk", label=gettext("Copy the public JWK"))


def _signs_from(key: SigningKey) -> str:
    return gettext("never") if never_signed(key) else format_instant(key.signing_at)


def _signs_until(key: SigningKey) -> str:
    return "-" if never_signed(key) else end_with_plan(key, key.retained_at)


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyModelAdmin):
    """Signing keys and their states. No page shows private keys; only rotations, revocations and purges change rows."""

    change_list_template = "admin/django_at_jwt/signingkey/change_list.html"
    change_form_template = "admin/django_at_jwt/signingkey/change_form.html"
    object_history_template = "admin/django_at_jwt/signingkey/object_history.html"
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
    list_filter = (StateFilter, AlgorithmFilter)
    list_per_page = 30
    search_fields = ("kid",)
    actions = ("rotate_selected", "revoke_selected")
    fields: ClassVar[Any] = (
        _field("kid", _kid, _("key ID (kid)")),
        "algorithm",
        "state",
        _field("announced_at", lambda key: format_instant(key.announced_at)),
        _field("signing_at", _signs_from),
        _field("retained_at", _signs_until),
        _field("retired_at", lambda key: end_with_plan(key, key.retired_at)),
        "live_tokens",
        _field("last_token_expires_at", lambda key: format_instant(key.last_token_expires_at)),
        "safe_to_purge_after",
        _field("revoked_at", revocation_date),
        "revocation_reason",
        _field("public_jwk", _public_jwk),
    )
    readonly_fields = fields

    class Media:
        """The style of the pages, and the buttons that copy."""

        css = {"all": ["django_at_jwt/signing_keys.css", "django_at_jwt/wide_lists.css"]}
        js = ["django_at_jwt/copy.js"]

    @admin.display(description=_("kid"), ordering="kid")
    def short_kid(self, key: SigningKey) -> str:
        """Return the first characters of the kid, with the full kid as a tooltip."""
        return short_kid(key.kid)

    @admin.display(description=_("state"))
    def state(self, key: SigningKey) -> str:
        """Return the current state."""
        return format_html(
            '<span class="at-jwt-state at-jwt-{}">{}</span>', key.state_at(timezone.now()).value, key.state_name()
        )

    @admin.display(description=_("live tokens (at most)"))
    def live_tokens(self, key: SigningKey) -> int:
        """Return how many unexpired tokens the key may have signed, including tokens that were revoked one by one.

        A revoked key has none. Keys without live tokens cost no query, others two, each of which reads only an index.
        """
        now = timezone.now()
        state = key.state_at(now)
        if state not in {KeyState.SIGNING, KeyState.RETAINED} or (state is KeyState.RETAINED and is_spent(key, now)):
            return 0
        tokens, _last = count_in_indexes(key.times, now)
        return tokens

    @admin.display(description=_("last token expires"), ordering="last_token_expires_at")
    def last_expiry(self, key: SigningKey) -> str:
        """Return when the last token expires."""
        return two_lines(key.last_token_expires_at)

    @admin.display(description=_("signs from"), ordering="signing_at")
    def signs_from(self, key: SigningKey) -> str:
        """Return when the key starts to sign."""
        return gettext("never") if never_signed(key) else two_lines(key.signing_at)

    @admin.display(description=_("signs until"), ordering="retained_at")
    def signs_until(self, key: SigningKey) -> str:
        """Return when the key stops signing."""
        return "-" if never_signed(key) else end_in_two_lines(key, key.retained_at)

    @admin.display(description=_("published until"), ordering="retired_at")
    def published_until(self, key: SigningKey) -> str:
        """Return when the key leaves the JWK set."""
        return end_in_two_lines(key, key.retired_at)

    @admin.display(description=_("safe to purge after"))
    def safe_to_purge_after(self, key: SigningKey) -> str:
        """Return when the last token of the key has expired, or why there is no such time."""
        instant = safe_to_purge_after(key)
        if instant is not None:
            return format_instant(instant)
        if key.state_at(timezone.now()) is KeyState.REVOKED:
            return gettext("never: the row records the revocation and is kept")
        return gettext("not planned yet: the key has no successor")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SigningKey]:
        """Return the rows without their private keys, which no page needs."""
        return super().get_queryset(request).defer("private_jwe")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow only the filters: one by the encrypted private key would reveal it character by character."""
        return lookup in {StateFilter.parameter_name, AlgorithmFilter.parameter_name}

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may rotate keys."""
        return request.user.has_perm("django_at_jwt.rotate_signingkey")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may revoke keys."""
        return request.user.has_perm("django_at_jwt.revoke_signingkey")

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with those of the pages that confirm a rotation or revocation."""
        view = self.admin_site.admin_view
        # A change of the keys takes effect at once: neither it nor its history may be rolled back with the request.
        rotate, revoke = outside_transactions(view(self.rotate_view)), outside_transactions(view(self.revoke_view))
        return [
            path("rotate/", rotate, name="django_at_jwt_signingkey_rotate"),
            path("<int:pk>/revoke/", revoke, name="django_at_jwt_signingkey_revoke"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the timeline above the list."""
        now, number = timezone.now(), SigningKey.objects.count()
        rows = list(SigningKey.objects.filter(SigningKey.not_retired(now)).defer("private_jwe", "public_jwk"))
        times = [row.times for row in rows]
        drawn = [row for row in rows if is_drawn(row, now)]
        context = {
            "schedules": schedules(times, app_settings().signing_algorithms, now) if number else [],
            "timeline": timeline(drawn, now),
            "not_drawn": number - len(drawn),
            "last_run": run_line(times, now),
            "unopenable": unopenable_keys(),
            "may_rotate": self.has_rotate_permission(request),
            "jwk_set": first_path(mounted_views(JwkSetView)),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one key, with a link to revoke it."""
        key = self.get_object(request, object_id)
        usable = key is not None and key.state_at(timezone.now()) not in {KeyState.REVOKED, KeyState.RETIRED}
        # Until its row is revoked too, the private key is kept.
        can_be_revoked = usable or (key is not None and key.is_revoked_by_setting)
        context = {
            "may_revoke": can_be_revoked and self.has_revoke_permission(request),
            "jwk_set": first_path(mounted_views(JwkSetView)),
        }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the recorded changes of a key, which include those by commands, in place of Django's own log."""
        key = self.get_object(request, object_id)
        events = SigningKeyEvent.objects.filter(kid=key.kid) if key is not None else SigningKeyEvent.objects.none()
        context = {"events": events[:_RECENT_EVENTS]}
        return super().history_view(request, object_id, {**context, **(extra_context or {})})

    @admin.action(description=_("Schedule early rotation…"), permissions=["rotate"])
    def rotate_selected(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> HttpResponse:
        """Redirect to the page that confirms an early rotation of the selected keys' algorithms."""
        algorithms = urlencode([("algorithm", name) for name in sorted({key.algorithm for key in queryset})])
        return HttpResponseRedirect(f"{self.page_url('rotate')}?{algorithms}")

    @admin.action(description=_("Revoke the selected key…"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[SigningKey]) -> HttpResponse | None:
        """Redirect to the page that confirms the revocation of the selected key."""
        keys = list(queryset[:2])
        if len(keys) != 1:
            self.message_user(request, _("Select exactly one key to revoke."), messages.ERROR)
            return None
        return HttpResponseRedirect(self.page_url("revoke", keys[0].pk))

    def rotate_view(self, request: HttpRequest) -> HttpResponse:
        """Show what an early rotation would change; apply it once that is confirmed."""
        if not self.has_rotate_permission(request):
            raise PermissionDenied
        chosen = request.GET.getlist("algorithm")
        early = [name for name in app_settings().signing_algorithms if not chosen or name in chosen]
        form = RotationForm(request.POST if request.method == "POST" else None)
        confirmed = form.is_valid()
        origin = _origin(request, form.cleaned_data["reason"] if confirmed else "")
        try:
            rotation = rotate_signing_keys(early=early, origin=origin, dry_run=not confirmed)
        except _REFUSALS as error:
            return self._refused(request, _("The signing keys were not rotated: %(problem)s"), error)
        if confirmed:
            # For Django's list of recent actions; the history of the keys was stored with the change.
            for row in rotation.keys:
                if row in rotation.made:
                    self.log_addition(request, row, gettext("Created by a rotation."))
                elif any(times.kid == row.kid for times in rotation.plan.changed):
                    self.log_change(request, row, gettext("Rescheduled by a rotation."))
            done = gettext("Early rotation scheduled.") if rotation.plan else gettext("There was nothing to change.")
            self.message_user(request, " ".join([done, *takeover_sentences(rotation, early)]), messages.SUCCESS)
            return HttpResponseRedirect(self.page_url("changelist"))
        takeovers = [(each, wait_until(each.at, rotation.at)) for each in rotation.takeovers(early)]
        context = {"title": _("Schedule early rotation"), "rotation": rotation, "takeovers": takeovers, "form": form}
        return self._page(request, "rotate", context)

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the tokens, clients and users affected by a revocation; revoke the key once that is confirmed."""
        key = self.get_object(request, str(pk))
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        if key is None:
            self.message_user(request, _("This signing key no longer exists."), messages.ERROR)
            return HttpResponseRedirect(self.page_url("changelist"))
        form = RevocationForm(request.POST if request.method == "POST" else None)
        confirmed = form.is_valid()
        reason = form.cleaned_data["reason"] if confirmed else ""
        origin = _origin(request, reason)
        try:
            revocation = revoke_signing_key(key.kid, reason=reason, origin=origin, dry_run=not confirmed)
        except _REFUSALS as error:
            return self._refused(request, _("The key was not revoked: %(problem)s"), error)
        if confirmed:
            self.log_change(request, key, gettext("Revoked: %(reason)s") % {"reason": reason})
            after_revocation(request, revocation, refresh_tokens=form.cleaned_data["refresh_tokens"], origin=origin)
            return HttpResponseRedirect(self.page_url("changelist"))
        context = {"title": _("Revoke a signing key"), "key": key, "original": key, "form": form, "preview": revocation}
        context |= {
            "state": key.state_at(timezone.now()).value,
            "tokens": revoke_issued_tokens(revocation, exact="exact" in request.GET, dry_run=True),
            "unopenable": unopenable_keys(),
        }
        return self._page(request, "revoke", context)

    def _refused(self, request: HttpRequest, message: StrPromise, error: Exception) -> HttpResponse:
        text = str(error) if isinstance(error, KeyChangeRefused) else message % {"problem": error}
        self.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(self.page_url("changelist"))

    def _page(self, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/django_at_jwt/signingkey/{name}.html", context)


def _origin(request: HttpRequest, reason: str) -> ChangeOrigin:
    return ChangeOrigin(actor=request.user.get_username(), source=gettext("admin site"), reason=reason)
