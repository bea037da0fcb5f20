"""Public clients that are identified by a metadata document, with their browsers."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from django.core.cache import caches
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_application_model

from tests import settings as site
from tests.client_documents import PUBLISHED

VSCODE, CLAUDE_CODE, CLAUDE, CHATGPT, CODEX, OPENCODE, CURSOR = PUBLISHED
# What each client sends: a native one listens on a port that it finds free.
RETURNS_TO = {
    VSCODE: "http://127.0.0.1:51234/",
    CLAUDE_CODE: "http://localhost:3118/callback",
    CLAUDE: "https://claude.ai/api/mcp/auth_callback",
    CHATGPT: "https://chatgpt.com/connector_platform_oauth_redirect",
    CODEX: "http://127.0.0.1:33919/callback",
    OPENCODE: "http://127.0.0.1:19876/callback",
    CURSOR: "http://localhost:50001/callback",
}


@dataclass
class PublicClient:
    """A public client that knows only its client id and where the browser returns to."""

    client_id: str
    redirect_uri: str = "http://127.0.0.1:50123/callback"
    browser: Client = field(default_factory=Client)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def page(self, user, **parameters):
        """Open the authorization endpoint as a user who is logged in."""
        self.browser.force_login(user)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": "a state",
            "scope": "read",
            "resource": site.API,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **parameters,
        }
        return self.browser.get("/o/authorize/", query)

    def agree(self, page):
        """Agree on the consent page, and return the parameters of the redirect."""
        assert page.status_code == 200, page.content
        form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
        answer = self.browser.post(f"/o/authorize/?{page.wsgi_request.META['QUERY_STRING']}", {**form, "allow": "on"})
        assert answer.status_code == 302, answer.content
        assert answer["Location"].startswith(self.redirect_uri)
        return {name: value for name, [value] in parse_qs(urlsplit(answer["Location"]).query).items()}

    def post(self, path, **data):
        return Client().post(path, {"client_id": self.client_id, **data})

    def exchange(self, code, **data):
        return self.post(
            "/o/token/",
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.redirect_uri,
            code_verifier=self.verifier,
            resource=site.API,
            **data,
        )

    def token(self, user):
        response = self.exchange(self.agree(self.page(user))["code"])
        assert response.status_code == 200, response.content
        return response.json()


def stored(client_id):
    return get_application_model().objects.get(client_id=client_id)


def is_stored(client_id):
    return get_application_model().objects.filter(client_id=client_id).exists()


def expire(client_id, *, ago=timedelta(seconds=1)):
    get_application_model().objects.filter(client_id=client_id).update(cimd_expires_at=timezone.now() - ago)
    # DOT does not fetch a document again that it could not fetch shortly before.
    caches["default"].clear()
