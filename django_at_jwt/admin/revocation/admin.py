"""The deny list in the admin: its entries, and the pages that revoke tokens of one user, client or ``jti``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from oauth2_provider.models import get_access_token_model, get_application_model

from django_at_jwt.admin.base import ReadOnlyModelAdmin
from django_at_jwt.admin.conflicts import answering_conflicts
from django_at_jwt.admin.dates import format_instant
from django_at_jwt.authorization_server.activity import clients_of
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.revocation.authorizations import find_authorization
from django_at_jwt.authorization_server.revocation.impact import tokens_of_authorization, tokens_of_link
from django_at_jwt.authorization_server.revocation.issued_tokens import UnknownToken, is_live, issued_token
from django_at_jwt.authorization_server.revocation.revoke import revoke_authorization, revoke_token
from django_at_jwt.conf import token_user_model
from django_at_jwt.core.deny_list import DenyKind
from django_at_jwt.core.token_id import TokenId
from django_at_jwt.models import Authorization, DenyListEntry
from django_at_jwt.models.authorization import label_of
from django_at_jwt.models.primary import primary_rows
from django_at_jwt.resource_server.diagnosis import unverified_token_id

from .pages import (
    CONFIRM,
    REVOKE_PERMISSION,
    VIEW_AUTHORIZATIONS,
    change_page_url,
    confirm_client_revocation,
    confirm_log_out_everywhere,
    record_changes,
    render_page,
    require_permission,
    revocation_context,
)

if TYPE_CHECKING:
    from django_at_jwt.models import IssuedToken


class TokenIdInput(forms.TextInput):
    """A field for a ``jti``. If a token is entered instead, only its ``jti`` is kept. No page shows the token."""

    @sensitive_variables()
    def value_from_datadict(self, data: Any, files: Any, name: str) -> str | None:
        """Return the ``jti``."""
        text = super().value_from_datadict(data, files, name)
        return text and (unverified_token_id(text.strip().removeprefix("Bearer ")) or text)

    def format_value(self, value: Any) -> str | None:
        """Return a ``jti``, or ``None`` for other text, which may be an opaque or incomplete token."""
        return value if value and TokenId.parse(value) else None


class TokenIdForm(forms.Form):
    """The ``jti`` of a token that the issuer stored."""

    token_id = forms.CharField(
        label=_("token ID (jti)"),
        help_text=_("The jti claim of the token, as in the log of an API. Or enter the token, if it is a JWT."),
        widget=TokenIdInput(attrs={"class": "vTextField", "autofocus": True, "autocomplete": "off"}),
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
class DenyListEntryAdmin(ReadOnlyModelAdmin):
    """The entries of the deny list. To add one is to revoke a token by its ``jti``, which is final."""

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
        user = self._row(request, token_user_model(), object_id)
        back = change_page_url(self.admin_site, user)
        return confirm_log_out_everywhere(request, self.admin_site, [user], back=back) or HttpResponseRedirect(back)

    @answering_conflicts
    def client_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what "Revoke all tokens" revokes for one client; revoke it once that is confirmed."""
        client = self._row(request, get_application_model(), object_id)
        back = change_page_url(self.admin_site, client)
        return confirm_client_revocation(request, self.admin_site, [client], back=back) or HttpResponseRedirect(back)

    @answering_conflicts
    def authorization_view(self, request: HttpRequest, identifier: str) -> HttpResponse:
        """Show what revoking one authorization of a user ends; revoke it once that is confirmed."""
        require_permission(request)
        if not request.user.has_perm(VIEW_AUTHORIZATIONS):
            raise PermissionDenied
        try:
            authorization = find_authorization(identifier)
        except Authorization.DoesNotExist:
            raise Http404 from None
        model = token_user_model()
        if authorization.user_model != label_of(model):
            raise Http404
        user = self._row(request, model, authorization.user_key)
        back = change_page_url(self.admin_site, user)
        if CONFIRM in request.POST:
            if revoke_authorization(identifier):
                record_changes(request, [user], gettext("An authorization was revoked."))
            messages.success(request, _("The authorization has ended."))
            return HttpResponseRedirect(back)
        context = {
            "title": _("Revoke an authorization"),
            "button": _("Revoke the authorization"),
            "explanation": _(
                "All tokens of this authorization are revoked, so the user has to log in again to this client. An API "
                "in another project may accept an access token until it expires."
            ),
            **revocation_context(request, _described(authorization, user), tokens_of_authorization(authorization), []),
        }
        return render_page(request, self.admin_site, {**context, "back": back})

    def _row(self, request: HttpRequest, model: Any, object_id: str) -> Any:
        """Return the row of a user or client that the administrator may view.

        Raises:
            PermissionDenied: they may not revoke tokens.
            Http404: there is no such row, or they may not view it.
        """
        require_permission(request)
        row = self._visible_row(request, model, object_id)
        if row is None:
            raise Http404
        return row

    def _visible_row(self, request: HttpRequest, model: Any, object_id: Any) -> Any:
        """Return a user or client, or ``None`` if it does not exist or the administrator may not view it."""
        registered = self.admin_site._registry.get(model)
        if registered is None:
            return None
        row = registered.get_object(request, object_id)
        return row if row is not None and registered.has_view_permission(request, row) else None

    @method_decorator(sensitive_post_parameters("token_id"))
    @answering_conflicts
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for a ``jti``, show its token, and revoke it once that is confirmed."""
        require_permission(request)
        # The page of a token links here with its jti.
        sent = request.POST if request.method == "POST" else request.GET if "token_id" in request.GET else None
        form = TokenIdForm(sent)
        context: dict[str, Any] = {"title": _("Revoke a token by its jti"), "form": form}
        if form.is_valid():
            link = form.cleaned_data["token_id"]
            if CONFIRM in request.POST:
                return self._revoke_token(request, link)
            context |= {
                "button": _("Revoke the token"),
                "rows": [format_html("<code>{}</code>", link.token_id), *self._described_token(request, link)],
                "counts": tokens_of_link(link),
                "explanation": _(
                    "The token and the refresh token issued with it are revoked. An API in another project may accept "
                    "the token until it expires."
                ),
                "sent": [("token_id", link.token_id)],
            }
        context |= {"back": self._list_or_index(request), **(extra_context or {})}
        return render_page(request, self.admin_site, context)

    def _revoke_token(self, request: HttpRequest, link: IssuedToken) -> HttpResponse:
        if revoke_token(link.token_id):
            row = DenyListEntry.objects.get(kind=DenyKind.TOKEN, value=link.token_id)
            self.log_addition(request, row, gettext("Revoked by its jti."))
            self.message_user(request, _("The token was revoked."), messages.SUCCESS)
        return HttpResponseRedirect(self._list_or_index(request))

    def _list_or_index(self, request: HttpRequest) -> str:
        """Return the URL of the list, or of the index of the admin site if the user may not view the list."""
        if self.has_view_permission(request):
            return self.page_url("changelist")
        return reverse("admin:index", current_app=self.admin_site.name)

    def _described_token(self, request: HttpRequest, link: IssuedToken) -> list[str]:
        """Return the user, client and APIs of a token as lines, if the administrator may view them."""
        if not request.user.has_perm(VIEW_AUTHORIZATIONS):
            return []
        if not link.access_token:
            return self._described_authorization(request, link.token_id.partition(".")[0])
        rows = primary_rows(get_access_token_model()).select_related("user", "application")
        row = rows.filter(pk=link.access_token).first()
        if row is None:
            return []
        owner = row.user or row.application
        if owner is None or self._visible_row(request, type(owner), owner.pk) is None:
            return []
        if row.user is None:
            whose = gettext("%(client)s (acts for itself)") % {"client": _client_name(row.application)}
        else:
            whose = _user_and_client(row.user, row.application)
        known = registry.current()
        apis = ", ".join(str(known.named(each) or each) for each in known.or_default(row.resource))
        return [whose, gettext("API: %(apis)s") % {"apis": apis}]

    def _described_authorization(self, request: HttpRequest, identifier: str) -> list[str]:
        """Return the lines of an authorization, if the administrator may view its user."""
        authorization = primary_rows(Authorization).filter(identifier=identifier).first()
        model = token_user_model()
        if authorization is None or authorization.user_model != label_of(model):
            return []
        user = self._visible_row(request, model, authorization.user_key)
        return [] if user is None else _described(authorization, user)


def _described(authorization: Authorization, user: Any) -> list[str]:
    """Return the user, the client and the identifier of an authorization as lines."""
    return [_user_and_client(user, clients_of([authorization]).get(authorization.identifier)), authorization.identifier]


def _user_and_client(user: Any, client: Any) -> str:
    return gettext("%(user)s at %(client)s") % {"user": user, "client": _client_name(client)}


def _client_name(client: Any) -> str:
    return client.name or client.client_id if client else gettext("(deleted client)")
