"""Revoke tokens in the admin, of users, of clients and by ``jti``, and list the entries of the deny list."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.activity import clients_of
from django_at_jwt.authorization_server.revocation.authorizations import find_authorization
from django_at_jwt.authorization_server.revocation.impact import (
    TokenCounts,
    tokens_of_authorization,
    tokens_of_client,
    tokens_of_link,
    tokens_of_users,
)
from django_at_jwt.authorization_server.revocation.issued_tokens import UnknownToken, is_live, issued_token
from django_at_jwt.authorization_server.revocation.revoke import (
    revoke_authorization,
    revoke_client,
    revoke_token,
    revoke_users,
)
from django_at_jwt.authorization_server.revocation.rows import has_own_revoke
from django_at_jwt.conf import token_user_model
from django_at_jwt.core.deny_list import DenyKind
from django_at_jwt.models import Authorization, DenyListEntry
from django_at_jwt.models.authorization import label_of

from .base import ModelAdmin
from .confirmation import submitted_values
from .conflicts import ConflictMessageMixin, answering_conflicts
from .dates import format_instant
from .search_fields import value_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.contrib.admin import AdminSite
    from django.db.models import QuerySet

    from django_at_jwt.models import IssuedToken

# The template revocation/link.html, which other models' pages include, checks the same permission.
REVOKE_PERMISSION: Final = "django_at_jwt.revoke_tokens"
VIEW_AUTHORIZATIONS: Final = "django_at_jwt.view_authorization"
_TEMPLATE: Final = "admin/django_at_jwt/revocation/page.html"
# The name of the button that confirms a page.
_CONFIRM: Final = "_revoke"
# About a second. Where a site's models revoke refresh tokens one by one, more are left to the command.
_MOST_ONE_BY_ONE: Final = 100


class _RevokingAdmin(ConflictMessageMixin):
    def has_revoke_tokens_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may revoke tokens."""
        return request.user.has_perm(REVOKE_PERMISSION)


class LogOutEverywhereMixin(_RevokingAdmin):
    """Adds the action "Log out everywhere" to a site's own user admin, and the live authorizations to a user's page.

    A deadlock on its pages, those that delete a user or change a password included, shows a message.

    If your class sets ``actions``, include this one: ``actions = ("log_out_everywhere", ...)``. If it has its own
    ``change_form_template``, let that extend ``admin/django_at_jwt/tokens/user_page.html``.
    """

    change_form_template = "admin/django_at_jwt/tokens/user_page.html"
    actions = ("log_out_everywhere",)

    @admin.action(description=_("Log out everywhere…"), permissions=["revoke_tokens"])
    def log_out_everywhere(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Show what this revokes, and revoke all tokens of the selected users once that is confirmed."""
        return _log_out_everywhere(request, self.admin_site, queryset, back=request.get_full_path())

    @answering_conflicts
    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Change a user's password on the page of Django's ``UserAdmin``, and revoke the tokens in one transaction."""
        page_of_user_admin: Callable[..., HttpResponse] = super().user_change_password  # type: ignore[misc]
        with transaction.atomic(using=router.db_for_write(self.model)):
            return page_of_user_admin(request, *args, **kwargs)


class RevokeClientTokensMixin(_RevokingAdmin):
    """Adds the action "Revoke all tokens" to a site's own admin of clients, and its APIs and tokens to a client's page.

    For ``actions`` and ``change_form_template``, see :class:`LogOutEverywhereMixin`; the template to extend is
    ``admin/django_at_jwt/tokens/client_page.html``.
    """

    change_form_template = "admin/django_at_jwt/tokens/client_page.html"
    actions = ("revoke_client_tokens",)

    @admin.action(description=_("Revoke all tokens…"), permissions=["revoke_tokens"])
    def revoke_client_tokens(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Show what this revokes, and revoke all tokens of the selected clients once that is confirmed."""
        return _revoke_client_tokens(request, self.admin_site, queryset, back=request.get_full_path())


class TokenIdForm(forms.Form):
    """The ``jti`` of a token that the issuer stored."""

    token_id = forms.CharField(
        label=_("token ID (jti)"),
        help_text=_("The jti claim of the token, as in the log of an API."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True, "autocomplete": "off"}),
    )

    def clean_token_id(self) -> IssuedToken:
        """Return the link of the token."""
        token_id = self.cleaned_data["token_id"]
        try:
            link = issued_token(token_id)
        except UnknownToken:
            raise forms.ValidationError(_("No token with this jti is stored.")) from None
        if link is None or not is_live(link):
            raise forms.ValidationError(_("This token has expired or was revoked before."))
        return link


@admin.register(DenyListEntry)
class DenyListEntryAdmin(ModelAdmin):
    """The entries of the deny list, which no form changes. To add one is to revoke a token by its ``jti``."""

    change_list_template = "admin/django_at_jwt/revocation/change_list.html"
    list_display = ("kind", "breakable_value", "reason", "created", "expires")
    list_filter = ("kind", "reason", "created_at")
    search_fields = ("value__exact",)
    search_help_text = _("A jti, the identifier of an authorization, a client ID or an API.")
    fields = ("kind", "value", "reason", "issued_until_", "created", "expires")
    readonly_fields = fields
    show_full_result_count = False

    @admin.display(description=DenyListEntry._meta.get_field("value").verbose_name, ordering="value")
    def breakable_value(self, row: DenyListEntry) -> str:
        """Return the value for a narrow column."""
        return format_html('<code class="at-jwt-value">{}</code>', row.value)

    @admin.display(description=DenyListEntry._meta.get_field("issued_until").verbose_name, ordering="issued_until")
    def issued_until_(self, row: DenyListEntry) -> str:
        """Return up to when the tokens were issued."""
        return format_instant(row.issued_until)

    @admin.display(description=DenyListEntry._meta.get_field("created_at").verbose_name, ordering="created_at")
    def created(self, row: DenyListEntry) -> str:
        """Return when the tokens were revoked."""
        return format_instant(row.created_at)

    @admin.display(description=DenyListEntry._meta.get_field("expires_at").verbose_name, ordering="expires_at")
    def expires(self, row: DenyListEntry) -> str:
        """Return when the entry expires."""
        return format_instant(row.expires_at)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may revoke tokens."""
        return request.user.has_perm(REVOKE_PERMISSION)

    def has_change_permission(self, request: HttpRequest, obj: DenyListEntry | None = None) -> bool:
        """Return ``False``: a revocation is final."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: DenyListEntry | None = None) -> bool:
        """Return ``False``: a revocation is final. Expired entries are purged by a command."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs, with those of the pages that confirm a revocation."""
        view = self.admin_site.admin_view
        return [
            path("user/<path:object_id>/", view(self.user_view), name="django_at_jwt_revoke_user"),
            path("client/<path:object_id>/", view(self.client_view), name="django_at_jwt_revoke_client"),
            path(
                "authorization/<str:identifier>/",
                view(self.authorization_view),
                name="django_at_jwt_revoke_authorization",
            ),
            *super().get_urls(),
        ]

    @answering_conflicts
    def user_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what "Log out everywhere" revokes for one user; revoke it once that is confirmed."""
        users = self._row(request, token_user_model(), object_id)
        back = _address_of(self.admin_site, users)
        return _log_out_everywhere(request, self.admin_site, users, back=back) or HttpResponseRedirect(back)

    @answering_conflicts
    def client_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what "Revoke all tokens" revokes for one client; revoke it once that is confirmed."""
        clients = self._row(request, get_application_model(), object_id)
        back = _address_of(self.admin_site, clients)
        return _revoke_client_tokens(request, self.admin_site, clients, back=back) or HttpResponseRedirect(back)

    @answering_conflicts
    def authorization_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """Show what revoking one authorization of a user ends; revoke it once that is confirmed."""
        _require_permission(request)
        if not request.user.has_perm(VIEW_AUTHORIZATIONS):
            raise PermissionDenied
        try:
            authorization = find_authorization(identifier)
        except Authorization.DoesNotExist:
            raise Http404 from None
        model = token_user_model()
        if authorization.user_model != label_of(model):
            raise Http404
        [user] = users = self._row(request, model, authorization.user_key)
        back = _address_of(self.admin_site, users)
        if _CONFIRM in request.POST:
            if revoke_authorization(identifier):
                _record(request, users, gettext("An authorization was revoked."))
            messages.success(request, _("The authorization has ended."))
            return HttpResponseRedirect(back)
        context = {
            "title": _("Revoke an authorization"),
            "button": _("Revoke the authorization"),
            "explanation": _(
                "All tokens of this authorization are revoked, so the user has to log in again to this client. An API "
                "in another project may accept an access token until it expires."
            ),
            **_asked(request, _described(authorization, user), tokens_of_authorization(authorization), []),
        }
        return _page(request, self.admin_site, {**context, "back": back})

    def _row(self, request: HttpRequest, model: Any, object_id: str) -> list[Any]:
        """Return the row in a list, if the administrator may view it."""
        _require_permission(request)
        registered = self.admin_site._registry.get(model)
        row = None if registered is None else registered.get_object(request, object_id)
        if registered is None or row is None or not registered.has_view_permission(request, row):
            raise Http404
        return [row]

    @answering_conflicts
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for a ``jti``, show its token, and revoke it once that is confirmed."""
        _require_permission(request)
        # The page of a token links here with its jti.
        sent = request.POST if request.method == "POST" else request.GET if "token_id" in request.GET else None
        form = TokenIdForm(sent)
        context: dict[str, Any] = {"title": _("Revoke a token by its jti"), "form": form}
        if form.is_valid():
            link = form.cleaned_data["token_id"]
            if _CONFIRM in request.POST:
                return self._revoke_token(request, link)
            context |= {
                "button": _("Revoke the token"),
                "rows": [link.token_id],
                "counts": tokens_of_link(link),
                "explanation": _(
                    "The token and the refresh token issued with it are revoked. An API in another project may accept "
                    "the token until it expires."
                ),
                "sent": [("token_id", link.token_id)],
            }
        back = reverse("admin:django_at_jwt_denylistentry_changelist", current_app=self.admin_site.name)
        return _page(request, self.admin_site, {**context, "back": back, **(extra_context or {})})

    def _revoke_token(self, request: HttpRequest, link: IssuedToken) -> HttpResponse:
        if revoke_token(link.token_id):
            row = DenyListEntry.objects.get(kind=DenyKind.TOKEN, value=link.token_id)
            self.log_addition(request, row, gettext("Revoked by its jti."))
            self.message_user(request, _("The token was revoked."), messages.SUCCESS)
        address = reverse("admin:django_at_jwt_denylistentry_changelist", current_app=self.admin_site.name)
        return HttpResponseRedirect(address)


def _require_permission(request: HttpRequest) -> None:
    if not request.user.has_perm(REVOKE_PERMISSION):
        raise PermissionDenied


def _address_of(site: AdminSite, rows: list[Any]) -> str:
    meta = rows[0]._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[rows[0].pk], current_app=site.name)


def _described(authorization: Authorization, user: Any) -> list[str]:
    """Return the user, the client and the identifier of an authorization as lines."""
    client = clients_of([authorization]).get(authorization.identifier)
    names = {"user": user, "client": client.name or client.client_id if client else gettext("(deleted client)")}
    return [gettext("%(user)s at %(client)s") % names, authorization.identifier]


def _log_out_everywhere(
    request: HttpRequest, site: AdminSite, users: Iterable[Any], *, back: str
) -> HttpResponse | None:
    """Return the page that asks, or ``None`` once it has been confirmed and done."""
    _require_permission(request)
    found = list(users)
    model = type(found[0]) if found else token_user_model()
    if not issubclass(model, token_user_model()):
        messages.error(request, _("Access tokens are issued for users of another model."))
        return None
    counts = tokens_of_users(found, model)
    commands = [f"manage.py revoke_tokens --user={shlex.quote(str(user.pk))}" for user in found]
    if _CONFIRM not in request.POST or _is_left_to_commands(counts):
        context = {
            "title": _("Log out everywhere"),
            "explanation": ngettext(
                "All tokens of this user are revoked, so the user has to log in again to every client. Sessions on "
                "this site continue. An API in another project may accept an access token until it expires.",
                "All tokens of these users are revoked, so they have to log in again to every client. Sessions on "
                "this site continue. An API in another project may accept an access token until it expires.",
                len(found),
            ),
        }
        asked = _asked(request, [str(user) for user in found], counts, commands)
        return _page(request, site, {**context, **asked, "back": back})
    ended = revoke_users(found, model=model)
    _record(request, found, gettext("Logged out everywhere: all tokens were revoked."))
    messages.success(request, _number_ended(ended))
    return None


def _revoke_client_tokens(
    request: HttpRequest, site: AdminSite, clients: Iterable[Any], *, back: str
) -> HttpResponse | None:
    """Return the page that asks, or ``None`` once it has been confirmed and done."""
    _require_permission(request)
    found = list(clients)
    counts = TokenCounts(*map(sum, zip(*(tokens_of_client(client) for client in found), strict=True)))
    commands = [f"manage.py revoke_tokens --client={shlex.quote(client.client_id)}" for client in found]
    if _CONFIRM not in request.POST or _is_left_to_commands(counts):
        context = {
            "title": _("Revoke all tokens"),
            "explanation": ngettext(
                "All tokens issued to this client until now are revoked, so its users have to log in again. The client "
                "can request new tokens at once. An API in another project may accept an access token until it "
                "expires.",
                "All tokens issued to these clients until now are revoked, so their users have to log in again. The "
                "clients can request new tokens at once. An API in another project may accept an access token until "
                "it expires.",
                len(found),
            ),
        }
        names = [value_label(client.client_id, client.name) for client in found]
        return _page(request, site, {**context, **_asked(request, names, counts, commands), "back": back})
    ended = sum(revoke_client(client) for client in found)
    record_client_revocation(request, found)
    messages.success(request, " ".join([gettext("The tokens were revoked."), _number_ended(ended)]))
    return None


def record_client_revocation(request: HttpRequest, clients: list[Any]) -> None:
    """Record in the history of clients that all their tokens were revoked."""
    _record(request, clients, gettext("All tokens were revoked."))


def _number_ended(ended: int) -> str:
    text = ngettext("%(ended)d authorization has ended.", "%(ended)d authorizations have ended.", ended)
    return text % {"ended": ended}


def _is_left_to_commands(counts: TokenCounts) -> bool:
    return counts.refresh_tokens > _MOST_ONE_BY_ONE and has_own_revoke()


def _asked(request: HttpRequest, rows: list[str], counts: TokenCounts, commands: list[str]) -> dict[str, Any]:
    """Return the context of a page that asks to revoke the tokens of rows."""
    return {
        "rows": rows,
        "counts": counts,
        "commands": commands if _is_left_to_commands(counts) else [],
        # An action of a changelist is submitted again, with the same selection.
        "sent": [(name, value) for name, value in submitted_values(request) if name != _CONFIRM],
    }


def _record(request: HttpRequest, rows: list[Any], message: str) -> None:
    LogEntry.objects.log_actions(cast("int", request.user.pk), rows, CHANGE, message)


def _page(request: HttpRequest, site: AdminSite, context: dict[str, Any]) -> HttpResponse:
    context = {**site.each_context(request), "opts": DenyListEntry._meta, "confirm": _CONFIRM, **context}
    # Resolve "admin:" URLs in the template to this admin site.
    request.current_app = site.name
    return TemplateResponse(request, _TEMPLATE, context)
