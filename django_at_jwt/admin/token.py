"""Access and refresh tokens in the admin, in place of django-oauth-toolkit's own classes.

Django-oauth-toolkit's admin imports these classes by ``OAUTH2_PROVIDER["ACCESS_TOKEN_ADMIN_CLASS"]`` and
``OAUTH2_PROVIDER["REFRESH_TOKEN_ADMIN_CLASS"]``, so this package does not import them itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from django_at_jwt.authorization_server.revocation.authorizations import (
    authorizations_of_access_tokens,
    authorizations_of_refresh_tokens,
    lock_authorizations,
)
from django_at_jwt.authorization_server.revocation.issued_tokens import is_live, link_of_row, links_of
from django_at_jwt.authorization_server.revocation.revoke import one_transaction

from .conflicts import ConflictMessageMixin
from .revocation.pages import REVOKE_PERMISSION
from .toolkit_admin import AccessTokenAdmin as ToolkitAccessTokenAdmin
from .toolkit_admin import RefreshTokenAdmin as ToolkitRefreshTokenAdmin

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse


class _TokenAdmin(ConflictMessageMixin):
    def has_revoke_tokens_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may revoke tokens, or change these rows; viewing them is not enough."""
        return request.user.has_perm(REVOKE_PERMISSION) or self.has_change_permission(request)


class AccessTokenAdmin(_TokenAdmin, ToolkitAccessTokenAdmin):
    """Django-oauth-toolkit's admin of access tokens, which also finds them by ``jti`` and shows it."""

    change_form_template = "admin/django_at_jwt/tokens/access_token_page.html"
    # DOT's form would list all ID tokens and all clients.
    raw_id_fields = (*ToolkitAccessTokenAdmin.raw_id_fields, "application", "id_token")
    search_help_text = _("A jti, the identifier of an authorization, a client ID, the name of a client or a user.")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the token with a ``jti`` or the latest of an authorization, else what DOT finds."""
        keys = [link.access_token for link in links_of(search_term.strip()) if link.access_token]
        if keys:
            return queryset.filter(pk__in=keys), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
        return found

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return DOT's fields and the ``jti``."""
        return (*super().get_readonly_fields(request, obj), "token_id")

    @admin.display(description=_("token ID (jti)"))
    def token_id(self, row: Any) -> str:
        """Return the ``jti`` of a token, whose first part is its authorization."""
        link = link_of_row(row)
        return "-" if link is None else format_html('<code class="at-jwt-value">{}</code>', link.token_id)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return the page of a token, with a link that revokes it."""
        link = None if context["original"] is None else link_of_row(context["original"])
        context["revocable"] = "" if link is None or not is_live(link) else link.token_id
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("Revoke selected access tokens"), permissions=["revoke_tokens"])
    def revoke_tokens(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Revoke the selected tokens and their authorizations."""
        with one_transaction():
            lock_authorizations(authorizations_of_access_tokens(queryset.values_list("pk", flat=True)))
            super().revoke_tokens(request, queryset)
        return None


class RefreshTokenAdmin(_TokenAdmin, ToolkitRefreshTokenAdmin):
    """Django-oauth-toolkit's admin of refresh tokens."""

    raw_id_fields = (*ToolkitRefreshTokenAdmin.raw_id_fields, "application")

    @admin.action(description=_("Revoke selected refresh tokens"), permissions=["revoke_tokens"])
    def revoke_tokens(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Revoke the selected tokens and their authorizations."""
        with one_transaction():
            lock_authorizations(authorizations_of_refresh_tokens(queryset.values_list("pk", flat=True)))
            super().revoke_tokens(request, queryset)
        return None
