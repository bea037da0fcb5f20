"""Clients in the admin, in place of django-oauth-toolkit's own class.

Django-oauth-toolkit's admin imports this class by ``OAUTH2_PROVIDER["APPLICATION_ADMIN_CLASS"]``, so this package does
not import it itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_at_jwt.authorization_server.revocation.authorizations import (
    live_authorizations_of_client,
    lock_authorizations,
)
from django_at_jwt.authorization_server.revocation.revoke import revoke_client
from django_at_jwt.authorization_server.toolkit import ApplicationForm
from django_at_jwt.authorization_server.views.applications import REVOKE_TOKENS, RevokeTokensFormMixin

from .revocation.mixins import RevokeClientTokensMixin
from .revocation.pages import report_client_revocation
from .toolkit_admin import ApplicationAdmin as ToolkitApplicationAdmin

if TYPE_CHECKING:
    from django.http import HttpRequest


class ClientForm(RevokeTokensFormMixin, ApplicationForm):
    """Django-oauth-toolkit's form, with a checkbox that revokes the client's tokens."""


class ApplicationAdmin(RevokeClientTokensMixin, ToolkitApplicationAdmin):
    """Django-oauth-toolkit's admin of clients, which can also revoke all tokens of a client."""

    form = ClientForm

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields; the checkbox follows the secret, if the client exists and the user may revoke tokens."""
        fields = [name for name in super().get_fields(request, obj) if name != REVOKE_TOKENS]
        if obj is not None and self.has_revoke_tokens_permission(request):
            secret = fields.index("hash_client_secret") + 1 if "hash_client_secret" in fields else len(fields)
            fields.insert(secret, REVOKE_TOKENS)
        return fields

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's own
        """Save the client, and revoke its tokens if that is ticked."""
        revokes = change and form.cleaned_data.get(REVOKE_TOKENS) and self.has_revoke_tokens_permission(request)
        if revokes:
            # Before the row of the client, as token requests do.
            lock_authorizations(live_authorizations_of_client(obj))
        super().save_model(request, obj, form, change)
        if revokes:
            report_client_revocation(request, [obj], revoke_client(obj))
