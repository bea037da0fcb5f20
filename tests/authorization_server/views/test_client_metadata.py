"""Clients that are identified by a metadata document: from the authorization request to the token."""

from __future__ import annotations

from contextlib import nullcontext
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_application_model

from tests import settings as site
from tests.admin.pages import text_of
from tests.client_documents import PUBLISHED
from tests.conftest import decoded

from .public_clients import (
    CHATGPT,
    CLAUDE,
    CLAUDE_CODE,
    OPENCODE,
    RETURNS_TO,
    VSCODE,
    PublicClient,
    expire,
    is_stored,
    stored,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


@pytest.mark.compliance("CIMD-1")
class TestPublishedClients:
    def test_is_refused_where_the_grant_is_not_offered(self, library, user, settings):
        offered = ["client_credentials", "refresh_token"]
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_GRANT_TYPES_SUPPORTED": offered}
        assert PublicClient(CLAUDE, RETURNS_TO[CLAUDE]).page(user).status_code == 400

    @pytest.mark.parametrize("client_id", PUBLISHED)
    def test_gets_a_token_that_it_can_refresh(self, client_id, library, user):
        client = PublicClient(client_id, RETURNS_TO[client_id])
        answer = client.agree(client.page(user))
        assert (answer["state"], answer["iss"]) == ("a state", site.ISSUER)
        response = client.exchange(answer["code"])
        assert response.status_code == 200, response.content
        header, claims = decoded(response.json()["access_token"])
        assert (header["typ"], claims["aud"], claims["client_id"]) == ("at+jwt", site.API, client_id)
        refresh = {"grant_type": "refresh_token", "refresh_token": response.json()["refresh_token"]}
        assert client.post("/o/token/", **refresh).status_code == 200

    @pytest.mark.parametrize("client_id", PUBLISHED)
    def test_is_a_public_client_with_one_grant(self, client_id, library, user):
        PublicClient(client_id, RETURNS_TO[client_id]).page(user)
        row = stored(client_id)
        assert (row.client_type, row.authorization_grant_type) == ("public", "authorization-code")
        assert (row.registration_source, row.user, row.skip_authorization) == ("cimd", None, False)
        assert row.redirect_uris.split() == PUBLISHED[client_id]["redirect_uris"]

    def test_does_not_get_the_other_grants_of_its_document(self, library, user):
        client = PublicClient(VSCODE, RETURNS_TO[VSCODE])
        client.page(user)
        started = client.post("/o/device-authorization/", scope="read")
        assert (started.status_code, "device_code" in started.json()) == (400, False), started.content
        for grant in ("client_credentials", "password"):
            refused = client.post(
                "/o/token/", grant_type=grant, username="alice", password="correct horse", scope="read"
            )
            assert refused.status_code in {400, 401}
            assert refused.json()["error"] in {"invalid_client", "unauthorized_client", "unsupported_grant_type"}

    def test_must_use_pkce_with_s256(self, library, user):
        client = PublicClient(CLAUDE, RETURNS_TO[CLAUDE])
        for parameters in ({"code_challenge": ""}, {"code_challenge_method": "plain"}, {"code_challenge_method": ""}):
            page = client.page(user, **parameters)
            assert page["Location"].startswith(f"{RETURNS_TO[CLAUDE]}?error=invalid_request&"), parameters

    def test_can_revoke_its_token_but_not_introspect(self, library, user):
        client = PublicClient(CLAUDE, RETURNS_TO[CLAUDE])
        token = client.token(user)["access_token"]
        assert client.post("/o/introspect/", token=token).status_code in {401, 403}
        assert client.post("/o/revoke_token/", token=token).status_code == 200
        assert not get_access_token_model().objects.exists()


class TestMetadata:
    @pytest.mark.parametrize("with_openid", [False, True], ids=["OAuth", "OpenID Connect"])
    def test_announces_what_clients_look_for(self, with_openid, mcp_site):
        mcp_site.OAUTH2_PROVIDER = {**mcp_site.OAUTH2_PROVIDER, "OIDC_ENABLED": with_openid}
        document = Client().get("/.well-known/oauth-authorization-server/o").json()
        assert document["client_id_metadata_document_supported"] is True
        assert document["authorization_response_iss_parameter_supported"] is True
        assert document["code_challenge_methods_supported"] == ["S256"]
        methods = ["client_secret_basic", "client_secret_post", "none"]
        assert document["token_endpoint_auth_methods_supported"] == methods
        # Public clients may revoke their tokens, and introspect none.
        assert document["revocation_endpoint_auth_methods_supported"] == methods
        assert document["introspection_endpoint_auth_methods_supported"] == methods[:2]

    def test_announces_nothing_without_the_profile(self):
        document = Client().get("/.well-known/oauth-authorization-server/o").json()
        assert document["client_id_metadata_document_supported"] is False
        assert "none" not in document["token_endpoint_auth_methods_supported"]


@pytest.mark.compliance("CIMD-1")
class TestRedirectUri:
    @pytest.mark.parametrize(
        ("registered", "sent"),
        [
            ("http://127.0.0.1:33418/", "http://127.0.0.1:1/"),
            ("http://127.0.0.1/callback", "http://127.0.0.1:65535/callback"),
            ("http://[::1]/callback", "http://[::1]:8080/callback"),
            ("http://localhost:3000/callback", "http://localhost:8080/callback"),
            ("http://localhost/callback", "http://localhost/callback"),
            ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback"),
        ],
    )
    def test_of_a_native_client_may_have_any_port(self, registered, sent, documents, user):
        client = PublicClient(documents.publish(redirect_uris=[registered]), sent)
        answer = client.agree(client.page(user))
        assert client.exchange(answer["code"]).status_code == 200

    @pytest.mark.parametrize(
        "sent",
        [
            "http://127.0.0.1:8080/other",
            "http://127.0.0.1:8080/callback/",
            "http://127.0.0.1:8080/callback?more=1",
            "http://127.0.0.2:8080/callback",
            "http://localhost:8080/callback",
            "http://[::1]:8080/callback",
            "https://127.0.0.1:8080/callback",
            "http://127.0.0.1.example.com:8080/callback",
            "http://user@127.0.0.1:8080/callback",
            "http://127.0.0.1:99999/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://client.example.com/callback",
        ],
    )
    def test_other_than_the_document_has_is_refused(self, sent, documents, user):
        page = PublicClient(documents.publish(redirect_uris=["http://127.0.0.1/callback"]), sent).page(user)
        assert page.status_code == 400
        assert "redirect" in page.content.decode()

    @pytest.mark.parametrize(
        "unusable",
        [
            "http://client.example.com/callback",
            "http://127.0.0.2/callback",
            "http://localhost.example.com/callback",
            "vscode://vscode.github-authentication/did-authenticate",
            "javascript://client.example.com/%0aalert(1)",
            "data:text/html,x",
            "https://*.example.com/callback",
            "https://user@client.example.com/callback",
            "https://client.example.com/callback#fragment",
            "https://client.example.com/ javascript://client.example.com/",
            "https://client.example.com\\@other.example.com/",
            "https://client.example.com%2eother.example.com/",
            "https:///callback",
            "callback",
            "",
            17,
        ],
    )
    def test_that_no_client_may_have_is_left_out(self, unusable, documents, user, settings):
        # Even where administrators may register wildcards.
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ALLOW_URI_WILDCARDS": True}
        client = PublicClient(documents.publish(redirect_uris=[unusable, "http://127.0.0.1/callback"]))
        assert client.page(user).status_code == 200
        assert stored(client.client_id).redirect_uris == "http://127.0.0.1/callback"

    def test_document_without_a_usable_one_is_refused(self, documents, user, caplog):
        client = PublicClient(documents.publish(redirect_uris=["zed://callback"]), "zed://callback")
        assert client.page(user).status_code == 400
        assert not is_stored(client.client_id)
        [record] = [each for each in caplog.records if each.name == "django_at_jwt"]
        assert "has the scheme 'zed', which ALLOWED_REDIRECT_URI_SCHEMES does not list" in record.getMessage()


class TestConsentPage:
    def test_shows_the_host_of_the_document_and_where_the_browser_returns_to(self, library, user):
        page = text_of(PublicClient(CHATGPT, RETURNS_TO[CHATGPT]).page(user))
        assert "Authorize ChatGPT?" in page
        assert "The name of this application is from chatgpt.com ." in page
        assert "Your browser then returns to chatgpt.com ." in page
        assert "can pretend to be this application" not in page

    def test_shows_both_hosts_if_they_differ(self, library, user):
        library[CHATGPT]["redirect_uris"] = ["https://attacker.example.com/callback"]
        page = text_of(PublicClient(CHATGPT, "https://attacker.example.com/callback").page(user))
        assert "The name of this application is from chatgpt.com ." in page
        assert "Your browser then returns to attacker.example.com ." in page

    def test_shows_the_port_of_the_document(self, documents, user):
        page = PublicClient(documents.publish()).page(user)
        assert f"is from {urlsplit(documents.root).netloc} ." in text_of(page)

    @pytest.mark.parametrize("client_id", [CLAUDE_CODE, VSCODE, OPENCODE])
    def test_warns_if_any_app_on_the_device_can_receive_the_answer(self, client_id, library, user):
        page = text_of(PublicClient(client_id, RETURNS_TO[client_id]).page(user))
        assert "Any app on this device can pretend to be this application." in page
        assert "Your browser then returns to an app on this device ." in page

    def test_does_not_warn_if_an_administrator_registered_the_client(self, user, make_client):
        client = make_client(client_type="public", redirect_uris="http://127.0.0.1/callback")
        page = text_of(PublicClient(client.application.client_id).page(user))
        assert "Your browser then returns to an app on this device ." in page
        assert "can pretend to be this application" not in page

    def test_escapes_the_name(self, documents, user):
        page = PublicClient(documents.publish(client_name="<script>alert(1)</script>")).page(user).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page

    @pytest.mark.compliance("8252-1")
    @pytest.mark.parametrize("client_id", [CLAUDE_CODE, VSCODE])
    def test_is_shown_each_time_to_a_client_that_can_be_impersonated(self, client_id, library, user, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ENABLED": True}
        client = PublicClient(client_id, RETURNS_TO[client_id])
        client.token(user)
        assert client.page(user, approval_prompt="auto").status_code == 200
        silent = client.page(user, prompt="none", scope="openid read")
        assert "error=consent_required" in silent["Location"]

    def test_is_skipped_after_consent_if_the_answer_goes_to_the_host_of_the_document(self, library, user):
        client = PublicClient(CLAUDE, RETURNS_TO[CLAUDE])
        client.token(user)
        assert client.page(user, approval_prompt="auto").status_code == 302

    def test_is_shown_again_if_the_answer_goes_to_another_host(self, library, user):
        """A document can change after the user has agreed."""
        client = PublicClient(CLAUDE, RETURNS_TO[CLAUDE])
        client.token(user)
        elsewhere = "https://attacker.example.com/callback"
        library[CLAUDE]["redirect_uris"].append(elsewhere)
        expire(CLAUDE)
        assert PublicClient(CLAUDE, elsewhere).page(user, approval_prompt="auto").status_code == 200


class TestRegistrationByAdministrators:
    """The scheme http is needed for loopback redirect URIs, and opens no other host."""

    @pytest.mark.parametrize(
        ("redirect_uris", "is_allowed"),
        [
            ("http://127.0.0.1/callback http://localhost:8000/ http://[::1]/", True),
            ("https://client.example.com/", True),
            ("http://client.example.com/", False),
            ("https://client.example.com/ http://127.0.0.2/", False),
        ],
    )
    @pytest.mark.parametrize("is_mcp", [True, False])
    def test_http_is_for_loopback_hosts(self, is_mcp, redirect_uris, is_allowed, request):
        if is_mcp:
            request.getfixturevalue("mcp_site")
        client = get_application_model()(
            name="A client",
            client_type="public",
            authorization_grant_type="authorization-code",
            redirect_uris=redirect_uris,
        )
        is_refused = is_mcp and not is_allowed
        with pytest.raises(ValidationError, match="must be 127") if is_refused else nullcontext():
            client.full_clean(exclude=["client_secret"])
