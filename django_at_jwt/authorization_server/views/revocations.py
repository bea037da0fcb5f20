"""The document of revocations, for APIs in other projects."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe
from django.views.generic import View

from django_at_jwt.authorization_server.revocation.publication import publication
from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.revocation_document import MEDIA_TYPE
from django_at_jwt.inbound.cors import AnyOriginMixin

from .endpoint import EndpointMixin

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase


@method_decorator([login_not_required, require_safe], name="dispatch")
class RevocationsView(AnyOriginMixin, EndpointMixin, View):
    """The live entries of the deny list as a signed document, if ``AT_JWT["PUBLISH_REVOCATIONS"]`` is on.

    It names client ids and audiences, and random identifiers of tokens and authorizations. To restrict who may read it,
    subclass this view or configure the web server.
    """

    def get(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Answer with the document, or with 304 if the client has it.

        Raises:
            Http404: the setting is off, or no issuer is set.
        """
        if not app_settings().publish_revocations or not local_issuer():
            raise Http404('AT_JWT["PUBLISH_REVOCATIONS"] is off, or OIDC_ISS_ENDPOINT is not set.')
        published = publication.current()
        response = HttpResponse(published.text, content_type=MEDIA_TYPE)
        response["ETag"] = published.etag
        fresh = min(app_settings().revocation_max_age, published.expires_at - time.time())
        patch_cache_control(response, public=True, max_age=max(0, int(fresh)))
        return get_conditional_response(request, etag=published.etag, response=response) or response
