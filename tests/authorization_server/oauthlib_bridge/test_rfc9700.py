"""The profile for new sites (RFC 9700), and which grants a client may use whatever its registration says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model

from django_at_jwt import oauth2_provider_settings
from tests.conftest import REDIRECT_URI
from tests.openid_connect import OPENID_CONNECT

pytestmark = pytest.mark.django_db


@pytest.fixture
def profile(settings):
    """A new site, whose OAUTH2_PROVIDER begins with the profile."""
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **oauth2_provider_settings(profile="rfc9700")}
    return settings


@pytest.fixture
def public(make_client):
    return make_client(client_type="public")


@pytest.mark.usefixtures("profile", "signing_keys")
class TestProfile:
    @pytest.mark.compliance("9700-1")
    def test_refresh_tokens_rotate_and_their_reuse_ends_the_family(self, public, user):
        first = public.code_flow(user).json()
        second = public.token("refresh_token", refresh_token=first["refresh_token"]).json()
        assert second["refresh_token"] != first["refresh_token"]
        get_refresh_token_model().objects.filter(revoked__isnull=False).update(
            revoked=timezone.now() - timedelta(seconds=11)
        )
        for refresh_token in (first["refresh_token"], second["refresh_token"]):
            refused = public.token("refresh_token", refresh_token=refresh_token)
            assert refused.json()["error"] == "invalid_grant"
        assert not get_access_token_model().objects.exists()

    @pytest.mark.compliance("9700-1")
    def test_refresh_may_be_repeated_for_ten_seconds(self, public, user, monkeypatch):
        now = timezone.now()
        monkeypatch.setattr(timezone, "now", lambda: now)
        first = public.code_flow(user).json()
        for _ in range(2):
            repeated = public.token("refresh_token", refresh_token=first["refresh_token"])
            assert repeated.status_code == 200
        get_refresh_token_model().objects.filter(revoked__isnull=False).update(
            revoked=timezone.now() - timedelta(seconds=11)
        )
        refused = public.token("refresh_token", refresh_token=first["refresh_token"])
        assert refused.json()["error"] == "invalid_grant"

    @pytest.mark.compliance("9700-1")
    @pytest.mark.parametrize(("days", "status"), [(29, 200), (31, 400)])
    def test_unused_refresh_token_expires_after_thirty_days(self, days, status, public, user):
        token = public.code_flow(user).json()
        get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=days))
        assert public.token("refresh_token", refresh_token=token["refresh_token"]).status_code == status

    @pytest.mark.compliance("9700-2")
    @pytest.mark.parametrize("method", ["plain", None])
    def test_only_s256_before_consent(self, method, public, user):
        answer = public.authorize(user, code_challenge="a" * 43, code_challenge_method=method)
        assert answer["error"] == "invalid_request"
        assert "S256" in answer["error_description"]
        assert answer["state"] == "a state"
        assert not get_grant_model().objects.exists()

    @pytest.mark.compliance("9700-2")
    @pytest.mark.parametrize("client_type", ["public", "confidential"])
    def test_code_without_a_challenge(self, client_type, make_client, user):
        client = make_client(client_type=client_type)
        answer = client.authorize(user, code_challenge=None, code_challenge_method=None)
        assert answer["error"] == "invalid_request"

    @pytest.mark.compliance("9700-3")
    def test_responses_name_the_issuer(self, public, user, profile, client):
        issuer = profile.OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"]
        assert public.authorize(user)["iss"] == issuer
        assert public.authorize(user, scope="made-up")["iss"] == issuer
        metadata = client.get("/o/.well-known/oauth-authorization-server").json()
        assert metadata["authorization_response_iss_parameter_supported"] is True

    @pytest.mark.compliance("9700-4")
    def test_no_implicit_grant(self, make_client, user):
        answer = make_client("implicit").authorize(user, response_type="token")
        assert answer["error"] == "unauthorized_client"
        assert "access_token" not in answer

    @pytest.mark.compliance("9700-4")
    def test_no_password_grant(self, make_client, user):
        refused = make_client("password").token("password", username=user.username, password="correct horse")
        assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")

    @pytest.mark.compliance("9700-4")
    @pytest.mark.parametrize("response_type", ["code token", "code id_token token"])
    def test_no_access_token_from_the_authorization_endpoint(self, response_type, make_client, user, profile, client):
        profile.OAUTH2_PROVIDER = {**profile.OAUTH2_PROVIDER, **OPENID_CONNECT}
        hybrid = make_client("openid-hybrid", algorithm="RS256")
        answer = hybrid.authorize(user, response_type=response_type, scope="openid read")
        assert answer["error"] == "unauthorized_client"
        assert "code" in hybrid.authorize(user, response_type="code id_token", scope="openid read")
        assert not get_access_token_model().objects.exists()

    @pytest.mark.compliance("9700-5")
    def test_metadata_announces_what_is_allowed(self, make_client, profile, client):
        profile.OAUTH2_PROVIDER = {**profile.OAUTH2_PROVIDER, **OPENID_CONNECT}
        make_client("openid-hybrid", algorithm="RS256")
        for document in ("oauth-authorization-server", "openid-configuration"):
            metadata = client.get(f"/o/.well-known/{document}").json()
            assert set(metadata["response_types_supported"]) == {"code", "code id_token"}
            assert not {"implicit", "password"} & set(metadata["grant_types_supported"])
            assert metadata["code_challenge_methods_supported"] == ["S256"]

    @pytest.mark.compliance("9700-5")
    @pytest.mark.parametrize("uri", [f"{REDIRECT_URI}/more", f"{REDIRECT_URI}?x=1", REDIRECT_URI.upper()])
    def test_redirect_uris_match_exactly(self, uri, public, user):
        public.browser.force_login(user)
        query = {"client_id": public.application.client_id, "response_type": "code", "redirect_uri": uri}
        assert public.browser.get("/o/authorize/", query).status_code == 400


class TestWithoutProfile:
    @pytest.mark.filterwarnings("ignore:The PKCE:DeprecationWarning")
    def test_plain_and_the_hybrid_grant_stay(self, signing_keys, web, make_client, user, settings):
        answer = web.authorize(user, code_challenge="a" * 43, code_challenge_method="plain")
        assert "code" in answer
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}
        hybrid = make_client("openid-hybrid", algorithm="RS256")
        assert "access_token" in hybrid.authorize(user, response_type="code token", scope="openid read")

    @pytest.mark.compliance("9700-2")
    def test_verifier_of_a_code_without_a_challenge(self, signing_keys, web, user, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "PKCE_REQUIRED": False}
        answer = web.authorize(user, code_challenge=None, code_challenge_method=None)
        assert web.exchange(answer["code"]).json()["error"] == "invalid_grant"

    def test_unknown_profile(self):
        with pytest.raises(ImproperlyConfigured, match=r"must be \"rfc9700\" or None \(got 'fapi'\)"):
            oauth2_provider_settings(profile="fapi")

    def test_profile_is_a_keyword(self):
        with pytest.raises(TypeError):
            oauth2_provider_settings("rfc9700")


class TestPublicClients:
    @pytest.mark.parametrize("secret", ["the client's secret", ""])
    def test_get_no_token_for_themselves(self, secret, signing_keys, make_client):
        client = make_client("client-credentials", client_type="public", client_secret=secret)
        answer = client.post("/o/token/", {"grant_type": "client_credentials", "client_secret": secret})
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
        assert not get_access_token_model().objects.exists()
