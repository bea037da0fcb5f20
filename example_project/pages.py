"""The HTML pages: an overview, and an authorization to try out without writing a client."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.views.generic import TemplateView, View

from .resource_servers import resource_servers
from .seed import WEB, endpoints

if TYPE_CHECKING:
    from django.http import HttpResponse

_PENDING = "example_authorization"


class Start(TemplateView):
    template_name = "example_project/start.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"endpoints": endpoints(), "resource_servers": resource_servers()}


class TryTheWebClient(View):
    """Redirect the browser to the consent page, as the web client would."""

    def get(self, request: HttpRequest) -> HttpResponse:
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        request.session[_PENDING] = {"code_verifier": verifier, "state": state}
        digest = hashlib.sha256(verifier.encode()).digest()
        notes, _reports = resource_servers()
        parameters = {
            "response_type": "code",
            "client_id": WEB.client_id,
            "redirect_uri": WEB.redirect_uri,
            "scope": " ".join(("openid", "profile", *notes.scopes)),
            "resource": notes.identifier,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return HttpResponseRedirect(f"{reverse('oauth2_provider:authorize')}?{urlencode(parameters)}")


class Callback(TemplateView):
    """The web client's redirect URI. A real client would exchange the code; this page shows how."""

    template_name = "example_project/callback.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        answer = self.request.GET
        pending = self.request.session.get(_PENDING, {})
        # If this browser did not start the request, only show the answer, without the code verifier.
        ours = pending if pending and answer.get("state") == pending["state"] else None
        return super().get_context_data(**kwargs) | {
            "answer": answer,
            "client": WEB,
            "code_verifier": ours and ours["code_verifier"],
            "token_endpoint": settings.BASE_URL + reverse("oauth2_provider:token"),
        }
