"""Actions that revoke tokens, for the admin classes of users and clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import router, transaction
from django.utils.translation import gettext_lazy as _

from django_at_jwt.admin.conflicts import ConflictMessageMixin, answering_conflicts

from .pages import REVOKE_PERMISSION, confirm_client_revocation, confirm_log_out_everywhere

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse


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
        return confirm_log_out_everywhere(request, self.admin_site, queryset, back=request.get_full_path())

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
        return confirm_client_revocation(request, self.admin_site, queryset, back=request.get_full_path())
