"""Equivalent and former identifiers of APIs in requests (RFC 3986 section 6.2.3, RFC 8707)."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings
from django.test import Client
from oauth2_provider.models import (
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from django_at_jwt import TokenRejected, verify
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.issuance import InvalidTarget, issue_access_token
from django_at_jwt.models import Authorization, DenyListEntry, ResourceServer
from django_at_jwt.revocation import revoke_audience
from tests.conftest import DEVICE_CODE_GRANT, SECRET, decoded

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

API = django_settings.API
MCP = "https://mcp.example.com"
TOOLS = "https://tools.example.com/mcp"
FORMER = "https://former.example.com/mcp"
EQUIVALENT = ["https://mcp.example.com/", "HTTPS://MCP.Example.com", "https://mcp.example.com:443"]


def register(identifier=MCP, **fields):
    row = ResourceServer.objects.create(
        identifier=identifier, name="Tools", **{"open_to_all_clients": True, "scopes": {"read": ""}, **fields}
    )
    registry.clear()
    return row


def audience(response):
    assert response.status_code == 200, response.content
    return decoded(response.json()["access_token"])[1]["aud"]


def error(response):
    assert response.status_code == 400
    return response.json()["error"]


def stored():
    """The resources in all rows of tokens, codes, device codes and authorizations."""
    models = (get_access_token_model(), get_refresh_token_model(), get_grant_model())
    found = [row.resource for model in models for row in model.objects.all()]
    return [*found, *(row.resources for row in Authorization.objects.all())]


@pytest.mark.compliance("8707-1")
class TestEquivalentIdentifiers:
    @pytest.mark.parametrize("name", EQUIVALENT)
    def test_the_registered_one_is_in_the_token_and_in_all_rows(self, name, web, user):
        register()
        code = web.authorize(user, scope="read", resource=name)["code"]
        assert stored() == [[MCP], [MCP]]
        answer = web.exchange(code, resource=name)
        assert audience(answer) == MCP
        assert stored() == [[MCP]] * 3
        refreshed = web.token("refresh_token", refresh_token=answer.json()["refresh_token"], resource=name)
        assert audience(refreshed) == MCP
        assert all(each == [MCP] for each in stored())

    @pytest.mark.parametrize("name", EQUIVALENT)
    def test_client_that_acts_for_itself_can_use_them(self, name, service):
        register()
        assert audience(service.token("client_credentials", resource=name)) == MCP
        assert stored() == [[MCP]]

    def test_the_consent_page_shows_the_registered_one(self, web, user):
        register()
        web.browser.force_login(user)
        query = {"response_type": "code", "client_id": web.application.client_id, "resource": EQUIVALENT[0]}
        challenge = {"code_challenge": "c" * 43, "code_challenge_method": "S256"}
        page = web.browser.get("/o/authorize/", {**query, **challenge, "scope": "read"})
        assert page.context["consent"].servers[0].identifier == MCP
        assert page.context["form"].initial["resource"] == MCP

    def test_device_can_use_them(self, make_client, user):
        register()
        television = make_client(DEVICE_CODE_GRANT, client_type="public")
        started = television.post("/o/device-authorization/", {"scope": "read", "resource": EQUIVALENT[0]}).json()
        assert Authorization.objects.get().resources == [MCP]
        get_device_grant_model().objects.update(status="authorized", user=user)
        answer = television.token(DEVICE_CODE_GRANT, device_code=started["device_code"], resource=EQUIVALENT[1])
        assert audience(answer) == MCP
        assert stored() == [[MCP]] * len(stored())

    def test_code_of_the_site_can_use_them(self, service):
        register()
        issued = issue_access_token(client=service.application, resource=EQUIVALENT[0])
        assert issued.audience == (MCP,)
        with pytest.raises(InvalidTarget):
            issue_access_token(client=service.application, resource=f"{MCP}/mcp")

    def test_two_names_of_one_api_are_one_audience(self, service):
        register()
        assert audience(service.token("client_credentials", resource=[MCP, *EQUIVALENT])) == MCP

    @pytest.mark.parametrize(
        "name", [f"{TOOLS}/", TOOLS.upper(), TOOLS.replace("mcp", "%6Dcp"), "http://tools.example.com/mcp"]
    )
    def test_a_path_is_compared_exactly(self, name, service):
        register(TOOLS)
        assert error(service.token("client_credentials", resource=name)) == "invalid_target"

    def test_apis_that_differ_in_a_slash_stay_separate(self, service):
        register(TOOLS)
        register(f"{TOOLS}/", scopes={"write": ""})
        assert audience(service.token("client_credentials", resource=TOOLS)) == TOOLS
        assert audience(service.token("client_credentials", resource=f"{TOOLS}/")) == f"{TOOLS}/"

    def test_another_granted_api_is_still_refused(self, web, user):
        register()
        code = web.authorize(user, scope="read", resource=API)["code"]
        assert error(web.exchange(code, resource=EQUIVALENT[0])) == "invalid_target"

    def test_the_settings_are_compared_too(self, service, settings):
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {MCP: {}}}
        assert audience(service.token("client_credentials", resource=EQUIVALENT[0])) == MCP
        assert audience(service.token("client_credentials", resource="HTTPS://API.example.com")) == API

    def test_verifiers_compare_exactly(self, web, user):
        register()
        token = web.code_flow(user, scope="read", resource=EQUIVALENT[0]).json()["access_token"]
        assert verify(token, audience=MCP).auth["aud"] == MCP
        for name in EQUIVALENT:
            with pytest.raises(TokenRejected):
                verify(token, audience=name)


class TestFormerIdentifiers:
    def test_a_request_gets_the_identifier(self, web, user, service):
        register(TOOLS, aliases=[FORMER])
        assert audience(service.token("client_credentials", resource=FORMER)) == TOOLS
        assert audience(service.token("client_credentials", resource=FORMER.replace("former", "FORMER"))) == TOOLS
        assert audience(web.code_flow(user, scope="read", resource=FORMER)) == TOOLS
        assert all(each == [TOOLS] for each in stored())

    def test_refresh_token_from_before_the_move_stays_valid(self, web, user):
        row = register(FORMER)
        before = web.code_flow(user, scope="read", resource=FORMER)
        assert audience(before) == FORMER
        row.identifier, row.aliases = TOOLS, [FORMER]
        row.save()
        registry.clear()
        answer = web.token("refresh_token", refresh_token=before.json()["refresh_token"])
        assert audience(answer) == TOOLS
        assert get_refresh_token_model().objects.get(revoked__isnull=True).resource == [TOOLS]
        # Either name, from now on.
        for name in (FORMER, TOOLS):
            answer = web.token("refresh_token", refresh_token=answer.json()["refresh_token"], resource=name)
            assert audience(answer) == TOOLS
        assert Authorization.objects.get().resources == [TOOLS]
        # The former tokens were replaced, not left alive.
        assert get_access_token_model().objects.count() == 1

    def test_code_from_before_the_move_stays_valid(self, web, user):
        row = register(FORMER)
        code = web.authorize(user, scope="read", resource=FORMER)["code"]
        row.identifier, row.aliases = TOOLS, [FORMER]
        row.save()
        registry.clear()
        assert audience(web.exchange(code, resource=FORMER)) == TOOLS

    def test_without_the_alias_the_refresh_token_is_refused(self, web, user):
        row = register(FORMER)
        before = web.code_flow(user, scope="read", resource=FORMER)
        row.identifier = TOOLS
        row.save()
        registry.clear()
        assert error(web.token("refresh_token", refresh_token=before.json()["refresh_token"])) == "invalid_target"

    def test_consent_from_before_the_move_stays_valid(self, web, user, settings):
        row = register(FORMER)
        web.code_flow(user, scope="read", resource=FORMER)
        row.identifier, row.aliases = TOOLS, [FORMER]
        row.save()
        registry.clear()
        web.browser.force_login(user)
        query = {
            "response_type": "code",
            "client_id": web.application.client_id,
            "scope": "read",
            "approval_prompt": "auto",
            "code_challenge": "c" * 43,
            "code_challenge_method": "S256",
        }
        assert web.browser.get("/o/authorize/", {**query, "resource": TOOLS}).status_code == 302
        assert web.browser.get("/o/authorize/", {**query, "resource": API}).status_code == 200

    def test_a_closed_api_stays_closed(self, service):
        register(TOOLS, aliases=[FORMER], open_to_all_clients=False)
        assert error(service.token("client_credentials", resource=FORMER)) == "invalid_target"

    def test_revoking_the_api_revokes_tokens_with_both_names(self):
        register(TOOLS, aliases=[FORMER])
        for name in (FORMER, TOOLS):
            DenyListEntry.objects.all().delete()
            revoke_audience(name)
            assert {row.value for row in DenyListEntry.objects.all()} == {TOOLS, FORMER}

    @pytest.mark.parametrize("end", ["disable", "delete"])
    def test_closing_the_api_revokes_tokens_with_both_names(self, end):
        row = register(TOOLS, aliases=[FORMER])
        if end == "delete":
            row.delete()
        else:
            row.enabled = False
            row.save()
        assert {row.value for row in DenyListEntry.objects.all()} == {TOOLS, FORMER}

    def test_the_api_introspects_tokens_from_before_the_move(self, service, make_client):
        gateway = make_client("client-credentials")
        row = register(FORMER, introspection_clients=[gateway.application.client_id])
        token = service.token("client_credentials", resource=FORMER).json()["access_token"]
        row.identifier, row.aliases = TOOLS, [FORMER]
        row.save()
        registry.clear()
        sent = {"token": token, "client_id": gateway.application.client_id, "client_secret": SECRET}
        answer = Client().post("/o/introspect/", sent).json()
        assert (answer["active"], answer["aud"]) == (True, FORMER)

    def test_a_row_of_the_former_version_has_no_list(self, service):
        register(TOOLS, aliases=None)
        assert audience(service.token("client_credentials", resource=TOOLS)) == TOOLS
