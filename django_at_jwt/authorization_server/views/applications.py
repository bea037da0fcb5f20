"""The page where users register clients themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import get_application_model

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
        response: HttpResponse = super().dispatch(request, *args, **kwargs)
        return response
