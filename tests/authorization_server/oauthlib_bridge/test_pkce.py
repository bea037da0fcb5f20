"""PKCE: values that are malformed, and a challenge that an attacker removed."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tests.conftest import REDIRECT_URI
from tests.docs.blocks import EXISTING_CLIENTS, blocks_of
from tests.openid_connect import OIDC_KEY

pytestmark = pytest.mark.django_db


class TestCodeChallenge:
    UNUSABLE = ("é" * 43, "c" * 42, "c" * 129, "c" * 42 + "=", "c" * 43 + "\n")

    @pytest.mark.parametrize("challenge", UNUSABLE)
    def test_in_the_request(self, challenge, signing_keys, web, user):
        answer = web.authorize(user, code_challenge=challenge)
        assert (answer["error"], answer["state"]) == ("invalid_request", "a state")

    @pytest.mark.parametrize("challenge", ["é" * 43, "c" * 129])
    def test_in_the_consent_form(self, challenge, signing_keys, web, user):
        web.browser.force_login(user)
        form = {
            "client_id": web.application.client_id,
            "response_type": "code",
            "redirect_uri": REDIRECT_URI,
            "scope": "read",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "allow": "on",
        }
        answer = web.browser.post("/o/authorize/", form)
        assert answer.status_code == 302
        assert "error=invalid_request" in answer["Location"]

    @pytest.mark.filterwarnings("ignore:The PKCE .plain. code_challenge_method:DeprecationWarning")
    @pytest.mark.parametrize("method", ["plain", "S256"])
    def test_verifier_that_is_not_ascii(self, method, signing_keys, web, user, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "COMPLIANT_BCP_RFC9700_PKCE_METHOD": False}
        code = web.authorize(user, code_challenge="c" * 43, code_challenge_method=method)["code"]
        web.verifier = "é" * 43
        answer = web.exchange(code)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


class TestCodeVerifier:
    """A code_challenge that an attacker removed from the request (RFC 9700 section 2.1.1)."""

    def exchange(self, web, user, verifier, **parameters):
        code = web.authorize(user, **parameters)["code"]
        verifier = web.verifier if verifier is None else verifier
        return web.token("authorization_code", code=code, redirect_uri=REDIRECT_URI, code_verifier=verifier)

    @pytest.mark.parametrize("openid", [True, False])
    def test_for_a_code_without_a_challenge(self, openid, signing_keys, web, user, settings):
        changed = {"PKCE_REQUIRED": False, "OIDC_ENABLED": openid, "OIDC_RSA_PRIVATE_KEY": OIDC_KEY}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **changed}
        web.application.algorithm = "RS256"
        web.application.save()
        without = {"code_challenge": None, "code_challenge_method": None, "scope": "openid read"}
        refused = self.exchange(web, user, "v" * 43, **without)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        # A parameter without a value counts as omitted (RFC 6749 section 3.2).
        assert self.exchange(web, user, "", **without).status_code == 200
        assert self.exchange(web, user, None, scope="openid read").status_code == 200
        assert self.exchange(web, user, "v" * 43, scope="openid read").json()["error"] == "invalid_grant"

    @pytest.mark.parametrize("challenge", [True, False])
    def test_that_a_site_ignores_for_one_client(self, challenge, signing_keys, web, user, settings, monkeypatch):
        validators, setting = blocks_of(EXISTING_CLIENTS)
        module = ModuleType("mysite.validators")
        exec(validators.text.replace("old-app", web.application.client_id), vars(module))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        changed = {**settings.OAUTH2_PROVIDER, "PKCE_REQUIRED": False}
        exec(setting.text, {"OAUTH2_PROVIDER": changed})
        settings.OAUTH2_PROVIDER = changed
        without = {} if challenge else {"code_challenge": None, "code_challenge_method": None}
        assert self.exchange(web, user, "v" * 43, **without).status_code == (400 if challenge else 200)
