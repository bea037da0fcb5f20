"""django-oauth-toolkit's pages on which users register and edit clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.utils.translation import gettext_lazy as _
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.revocation.authorizations import (
    live_authorizations_of_client,
    lock_authorizations,
)
from django_at_jwt.authorization_server.revocation.revoke import revoke_client
from django_at_jwt.conf import app_settings

from .endpoint import EndpointMixin

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class ApplicationRegistrationView(EndpointMixin, toolkit_views.ApplicationRegistration):
    """DOT's page to register a client, for users who may add one, or for all with ``AT_JWT["SELF_REGISTRATION"]``."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer the request.

        Raises:
            PermissionDenied: the user may not add applications.
        """
        options = get_application_model()._meta
        permission = f"{options.app_label}.{get_permission_codename('add', options)}"
        is_open = app_settings().self_registration
        if request.user.is_authenticated and not (is_open or request.user.has_perm(permission)):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)


REVOKE_TOKENS: Final = "revoke_tokens"
"""The name of the checkbox."""


class RevokeTokensFormMixin(forms.Form):
    """Adds a checkbox to a form of a client. A new secret alone revokes nothing."""

    revoke_tokens = forms.BooleanField(
        label=_("Revoke all tokens of this client"),
        required=False,
        help_text=_("For instance because the former client secret may be known to others. Its users log in again."),
    )


class ApplicationUpdateView(EndpointMixin, toolkit_views.ApplicationUpdate):
    """The page on which the owner of a client edits it."""

    def get_form_class(self) -> Any:
        """Return the form with the checkbox that revokes the client's tokens."""
        form_class = super().get_form_class()
        return type(form_class.__name__, (RevokeTokensFormMixin, form_class), {})

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the client, and revoke its tokens if that is ticked."""
        with transaction.atomic(using=router.db_for_write(get_application_model())):
            if form.cleaned_data[REVOKE_TOKENS]:
                # Before the row of the client, as token requests do.
                lock_authorizations(live_authorizations_of_client(self.object))
            response: HttpResponse = super().form_valid(form)
            if form.cleaned_data[REVOKE_TOKENS]:
                revoke_client(self.object)
        return response
