"""The metadata documents of protected resources (RFC 9728)."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_cache_control
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from django.views.generic import View

from django_at_jwt.conf import app_settings
from django_at_jwt.inbound.cors import AnyOriginMixin

from .protected_resources import document_for, identifier_at


@method_decorator([login_not_required, conditional_page], name="dispatch")
class ProtectedResourceMetadataView(AnyOriginMixin, View):
    """The metadata document of one of this project's APIs (RFC 9728 section 3), public and for any origin.

    The identifier's path follows the well-known part of the URL.
    """

    http_method_names = ["get", "head", "options"]

    def get(self, request: HttpRequest, resource_path: str = "") -> HttpResponse:
        """Return the document.

        Raises:
            Http404: no API of this project has its document here.
        """
        identifier = identifier_at(resource_path, request.META.get("QUERY_STRING", ""), host=request.get_host())
        if identifier is None:
            raise Http404("No protected resource has its metadata at this URL.")
        response = JsonResponse(document_for(identifier))
        patch_cache_control(response, public=True, max_age=int(app_settings().jwk_set_max_age.total_seconds()))
        return response
