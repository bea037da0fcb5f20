"""The format of a client's tokens: which one it gets, and that a switch leaves every live token valid."""

from __future__ import annotations

import pytest
from django.test import Client
from oauth2_provider.models import get_access_token_model

from django_at_jwt.authorization_server.client_options import token_format_of
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.issuance import issue_access_token
from django_at_jwt.models import Authorization, ClientOptions, IssuedToken
from django_at_jwt.models.authorization import reference_to
from tests.conftest import decoded
from tests.openid_connect import OPENID_CONNECT
from tests.settings import API, REPORTS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

OPAQUE, AT_JWT = TokenFormat.OPAQUE, TokenFormat.AT_JWT
PLACES = ("AccessTokenAuthentication", "OAuth2Authentication", "ProtectedResourceView", "userinfo", "introspection")


def choose(client, token_format):
    model, key = reference_to(client.application)
    ClientOptions.objects.update_or_create(
        client_model=model, client_key=key, defaults={"token_format": token_format and token_format.value}
    )
    # QuerySet methods send no signal for rows that exist.
    ClientOptions.objects.get(client_model=model, client_key=key).save()


def format_of(token):
    return OPAQUE if "." not in token else AT_JWT


def servers(settings, **options):
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {**settings.AT_JWT["RESOURCE_SERVERS"], **options}}


@pytest.fixture
def _all_kinds_of_api(web, settings):
    settings.AT_JWT = {**settings.AT_JWT, "ACCEPT_OPAQUE_TOKENS": True}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}
    web.application.algorithm = "RS256"
    web.application.save()
    deny_list.renew()


def places_that_accept(token, client):
    """Return the places at which a token works now, by real requests."""
    headers = {"Authorization": f"Bearer {token}", "Host": "api.example.com"}
    paths = {"/whoami/": PLACES[0], "/toolkit-drf/": PLACES[1], "/toolkit-view/": PLACES[2], "/o/userinfo/": PLACES[3]}
    statuses = {place: Client().get(path, headers=headers, secure=True).status_code for path, place in paths.items()}
    assert {*statuses.values()} <= {200, 401, 403}
    accepted = [place for place, status in statuses.items() if status == 200]
    if client.post("/o/introspect/", {"token": token}).json()["active"]:
        accepted.append("introspection")
    return tuple(accepted)


class TestPrecedence:
    @pytest.mark.parametrize("of_api", [AT_JWT, OPAQUE], ids=["at+jwt", "opaque"])
    @pytest.mark.parametrize("of_client", [None, AT_JWT, OPAQUE], ids=["not chosen", "at+jwt", "opaque"])
    def test_format_of_the_client_overrides_that_of_the_api(self, of_api, of_client, service, settings):
        servers(settings, **{API: {"format": of_api.value}})
        choose(service, of_client)
        answer = service.token("client_credentials", scope="read").json()
        assert format_of(answer["access_token"]) is (of_client or of_api)

    @pytest.mark.parametrize("of_api", [AT_JWT, OPAQUE], ids=["at+jwt", "opaque"])
    @pytest.mark.parametrize("of_client", [AT_JWT, OPAQUE], ids=["at+jwt", "opaque"])
    def test_isolated_api_keeps_its_format(self, of_api, of_client, service, settings):
        servers(settings, **{REPORTS: {"scopes": ["reports:read"], "format": of_api.value, "isolated": True}})
        choose(service, of_client)
        answer = service.token("client_credentials", scope="reports:read", resource=REPORTS).json()
        assert format_of(answer["access_token"]) is of_api

    def test_other_clients_are_not_affected(self, service, web, user):
        choose(service, OPAQUE)
        assert format_of(web.code_flow(user).json()["access_token"]) is AT_JWT

    def test_tokens_from_code_and_of_the_front_channel_follow(self, web, make_client, user):
        choose(web, OPAQUE)
        issued = issue_access_token(client=web.application, user=user, scopes=["read"])
        assert (issued.token_format, format_of(issued.token)) == (OPAQUE, OPAQUE)
        implicit = make_client("implicit", client_type="public", client_secret="")
        choose(implicit, OPAQUE)
        assert format_of(implicit.authorize(user, response_type="token")["access_token"]) is OPAQUE

    def test_apis_with_different_formats_still_share_no_token(self, service, settings):
        """With "as the API" again, the client could not refresh such a token."""
        servers(settings, **{REPORTS: {"scopes": ["reports:read"], "format": "opaque"}})
        choose(service, AT_JWT)
        answer = service.token("client_credentials", resource=[API, REPORTS], scope="read reports:read")
        assert answer.json()["error"] == "invalid_target"

    def test_unknown_text_in_the_row_chooses_nothing(self, service):
        choose(service, OPAQUE)
        ClientOptions.objects.update(token_format="saml")
        ClientOptions.objects.get().save()
        assert token_format_of(service.application) is None


@pytest.mark.usefixtures("_all_kinds_of_api")
class TestSwitch:
    @pytest.mark.parametrize("stores", [True, False], ids=["with rows", "without rows"])
    @pytest.mark.parametrize("rotates", [True, False], ids=["rotation", "no rotation"])
    @pytest.mark.parametrize(("first", "second"), [(OPAQUE, AT_JWT), (AT_JWT, OPAQUE)], ids=["to at+jwt", "to opaque"])
    def test_live_tokens_work_everywhere_before_and_after(
        self, first, second, rotates, stores, web, user, settings, committing
    ):
        settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": stores}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": rotates}
        choose(web, first)
        kept, refreshed = (web.code_flow(user, scope="openid read").json() for _ in range(2))
        assert {format_of(each["access_token"]) for each in (kept, refreshed)} == {first}
        assert places_that_accept(kept["access_token"], web) == PLACES

        choose(web, second)
        assert places_that_accept(kept["access_token"], web) == PLACES
        assert places_that_accept(refreshed["access_token"], web) == PLACES
        with committing():
            answer = web.token("refresh_token", refresh_token=refreshed["refresh_token"])
        new = answer.json()["access_token"]
        assert format_of(new) is second
        assert places_that_accept(new, web) == PLACES
        assert places_that_accept(kept["access_token"], web) == PLACES
        # As with every refresh, the token that it replaces has ended.
        assert places_that_accept(refreshed["access_token"], web) == ()

        choose(web, first)
        assert places_that_accept(new, web) == PLACES
        with committing():
            back = web.token("refresh_token", refresh_token=answer.json()["refresh_token"]).json()
        assert format_of(back["access_token"]) is first
        assert places_that_accept(back["access_token"], web) == PLACES
        assert places_that_accept(kept["access_token"], web) == PLACES

    @pytest.mark.parametrize(("first", "second"), [(OPAQUE, AT_JWT), (AT_JWT, OPAQUE)], ids=["to at+jwt", "to opaque"])
    def test_code_that_was_issued_before_is_exchanged_for_the_new_format(self, first, second, web, user):
        choose(web, first)
        code = web.authorize(user, scope="openid read")["code"]
        choose(web, second)
        token = web.exchange(code).json()["access_token"]
        assert format_of(token) is second
        assert places_that_accept(token, web) == PLACES

    def test_tokens_of_both_formats_can_be_revoked(self, web, user, committing):
        for token_format in TokenFormat:
            choose(web, token_format)
            tokens = web.code_flow(user, scope="openid read").json()
            assert format_of(tokens["access_token"]) is token_format
            with committing():
                assert web.post("/o/revoke_token/", {"token": tokens["access_token"]}).status_code == 200
            assert places_that_accept(tokens["access_token"], web) == ()

    def test_token_from_before_the_app_keeps_working_and_refreshes_to_a_jwt(self, web, user):
        model = get_access_token_model()
        choose(web, OPAQUE)
        tokens = web.code_flow(user, scope="openid read").json()
        # As django-oauth-toolkit alone stored it.
        IssuedToken.objects.all().delete()
        Authorization.objects.all().delete()
        model.objects.update(resource=[])
        choose(web, None)
        assert places_that_accept(tokens["access_token"], web) == PLACES
        answer = web.token("refresh_token", refresh_token=tokens["refresh_token"]).json()
        assert decoded(answer["access_token"])[1]["aud"] == API
