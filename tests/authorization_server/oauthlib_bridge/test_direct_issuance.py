"""Access tokens that code of the site issues, by the steps of a token request."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import router, transaction
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.events import AccessTokenIssued, AccessTokenRefused
from django_at_jwt.issuance import (
    InvalidGrant,
    InvalidLifetime,
    InvalidScope,
    InvalidTarget,
    IssuanceError,
    IssuanceUnavailable,
    issue_access_token,
)
from django_at_jwt.models import Authorization, SigningKey
from django_at_jwt.revocation import revoke_authorization
from django_at_jwt.validators import OAuth2Validator
from tests.conftest import decoded
from tests.links import link_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

VARYING = {"jti", "iat", "exp", "auth_time", "amr", "acr"}


def configure(settings, **entries):
    settings.AT_JWT = {**settings.AT_JWT, **entries}


def is_accepted(token):
    headers = {"Authorization": f"Bearer {token}", "Host": "api.example.com"}
    answer = Client().get("/toolkit-drf/", headers=headers, secure=True)
    return {200: True, 401: False}[answer.status_code]


def mapper(**conditions):
    return {
        "name": "tier",
        "claim": "tier",
        "source": {"kind": "constant", "value": "gold"},
        "conditions": conditions,
    }


class TestToken:
    def test_is_that_of_a_request(self, settings, web, user):
        configure(settings, CLAIM_MAPPERS=[mapper()])
        requested = decoded(web.code_flow(user, scope="read").json()["access_token"])
        header, claims = decoded(issue_access_token(client=web.application, user=user, scopes=["read"]).token)
        assert header == requested[0]
        assert claims["tier"] == "gold"
        assert {name: claims[name] for name in claims if name not in VARYING} == {
            name: requested[1][name] for name in requested[1] if name not in VARYING
        }
        assert claims["exp"] - claims["iat"] == requested[1]["exp"] - requested[1]["iat"]

    def test_claims_no_login(self, web, user):
        assert "auth_time" in decoded(web.code_flow(user).json()["access_token"])[1]
        assert "auth_time" not in decoded(issue_access_token(client=web.application, user=user).token)[1]

    def test_facts_are_those_of_the_token_and_hide_it(self, settings, web, user):
        issued = issue_access_token(
            client=web.application, user=user, scopes=["reports:read"], resource=settings.REPORTS
        )
        claims = decoded(issued.token)[1]
        assert claims["aud"] == settings.REPORTS
        assert (issued.audience, issued.scopes) == ((settings.REPORTS,), ("reports:read",))
        assert (issued.token_id, issued.expires_at) == (claims["jti"], claims["exp"])
        assert issued.lifetime == claims["exp"] - claims["iat"]
        assert issued.token_id.partition(".")[0] == issued.authorization
        assert issued.token not in f"{issued!r} {issued}"

    def test_is_accepted_and_stored_without_a_refresh_token(self, web, user):
        issued = issue_access_token(client=web.application, user=user)
        assert is_accepted(issued.token)
        row = get_access_token_model().objects.get()
        assert (row.user, row.application, int(row.expires.timestamp())) == (user, web.application, issued.expires_at)
        assert link_of(issued.token_id).access_token == str(row.pk)
        assert Authorization.objects.get().identifier == issued.authorization
        assert not get_refresh_token_model().objects.exists()

    def test_ends_with_its_authorization(self, web, user, committing):
        issued = issue_access_token(client=web.application, user=user)
        assert is_accepted(issued.token)
        with committing():
            revoke_authorization(issued.authorization)
        deny_list.renew()
        assert not is_accepted(issued.token)

    def test_of_a_client_that_acts_for_itself(self, service):
        issued = issue_access_token(client=service.application, scopes=["read"])
        assert decoded(issued.token)[1]["sub"] == service.application.client_id
        assert issued.authorization is None
        assert is_accepted(issued.token)

    def test_gets_no_row_if_its_client_has_none(self, settings, service, events):
        configure(settings, STORE_ACCESS_TOKENS=False)
        issued = issue_access_token(client=service.application)
        assert [type(event) for event in events] == [AccessTokenIssued]
        assert is_accepted(issued.token)
        assert not get_access_token_model().objects.exists()

    def test_is_opaque_if_its_api_takes_opaque_tokens(self, settings, web, user):
        configure(settings, RESOURCE_SERVERS={settings.API: {"format": "opaque", "lifetime": 60}})
        before = timezone.now()
        issued = issue_access_token(client=web.application, user=user, scopes=["read"])
        assert (issued.token_format, issued.token_id, issued.lifetime) == ("opaque", None, 60)
        row = get_access_token_model().objects.get()
        assert before + timedelta(seconds=60) <= row.expires <= timezone.now() + timedelta(seconds=60)
        assert abs(row.expires.timestamp() - issued.expires_at) < 60
        assert is_accepted(issued.token)

    def test_is_not_stored_if_the_transaction_is_rolled_back(self, web, user):
        tokens = router.db_for_write(get_access_token_model())
        with transaction.atomic(using=tokens):
            issued = issue_access_token(client=web.application, user=user)
            transaction.set_rollback(True, using=tokens)
        assert not is_accepted(issued.token)

    def test_has_the_grant_direct_for_mappers_and_events(self, settings, web, user, events):
        configure(settings, CLAIM_MAPPERS=[mapper(grants=["direct"])])
        assert decoded(issue_access_token(client=web.application, user=user).token)[1]["tier"] == "gold"
        [issued] = events
        assert (issued.grant, issued.client_id) == ("direct", web.application.client_id)

    def test_request_cannot_use_the_grant_direct(self, web, events):
        response = web.token("direct")
        assert (response.status_code, response.json()["error"]) == (400, "unsupported_grant_type")
        [refused] = events
        assert (refused.endpoint, refused.grant) == ("token", "other")


class TestRefusal:
    def refusal(self, events, expected, **arguments):
        with pytest.raises(expected) as caught:
            issue_access_token(**arguments)
        assert not get_access_token_model().objects.exists()
        assert not Authorization.objects.exists()
        [refused] = events
        assert isinstance(refused, AccessTokenRefused)
        assert (refused.endpoint, refused.grant, refused.error) == ("direct", "direct", caught.value.code)
        assert refused.client_id == arguments["client"].client_id
        return caught.value

    @pytest.mark.parametrize("resource", ["", "https://unknown.example.com/", ["no URI"]])
    def test_of_an_unknown_api(self, web, user, events, resource):
        error = self.refusal(events, InvalidTarget, client=web.application, user=user, resource=resource)
        assert error.code == "invalid_target"

    def test_of_an_api_that_is_closed_to_the_client(self, settings, web, user, events):
        configure(settings, RESOURCE_SERVERS={settings.REPORTS: {"clients": ["another"]}})
        self.refusal(events, InvalidTarget, client=web.application, user=user, resource=settings.REPORTS)

    def test_of_scopes_of_different_apis(self, settings, web, user, events):
        servers = {settings.API: {"scopes": ["read"]}, settings.REPORTS: {"scopes": ["reports:read"]}}
        configure(settings, RESOURCE_SERVERS=servers)
        self.refusal(events, InvalidScope, client=web.application, user=user, scopes=["read", "reports:read"])

    def test_of_an_unknown_scope(self, web, user, events):
        error = self.refusal(events, IssuanceError, client=web.application, user=user, scopes=["fly"])
        assert error.code == "invalid_scope"

    def test_of_an_inactive_user(self, web, user, events):
        user.is_active = False
        self.refusal(events, InvalidGrant, client=web.application, user=user)

    def test_of_a_grant_that_is_not_the_clients(self, web, service, user, events):
        error = self.refusal(events, IssuanceError, client=web.application)
        assert error.code == "unauthorized_client"
        events.clear()
        self.refusal(events, IssuanceError, client=service.application, user=user)

    def test_of_a_public_client_for_itself(self, make_client, events):
        client = make_client("client-credentials", client_type="public").application
        assert self.refusal(events, IssuanceError, client=client).code == "unauthorized_client"

    def test_of_an_unusable_client(self, web, user, events, monkeypatch):
        monkeypatch.setattr(type(web.application), "is_usable", lambda self, request: False)
        assert self.refusal(events, IssuanceError, client=web.application, user=user).code == "invalid_client"

    def test_without_a_key(self, web, user, events):
        SigningKey.objects.all().delete()
        self.refusal(events, IssuanceUnavailable, client=web.application, user=user)

    def test_of_a_failed_mapper(self, settings, web, user, events):
        source = {"kind": "user", "path": "last_name"}
        required = {"name": "name", "claim": "family_name", "source": source, "when_missing": "fail", "required": True}
        configure(settings, CLAIM_MAPPERS=[required])
        self.refusal(events, IssuanceError, client=web.application, user=user)

    def test_by_the_sites_validator_while_storing(self, settings, web, user, events):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "OAUTH2_VALIDATOR_CLASS": f"{__name__}.StoringNothing",
        }
        error = self.refusal(events, IssuanceError, client=web.application, user=user)
        assert (error.code, error.__cause__) == ("access_denied", None)

    def test_while_storing_leaves_no_authorization(self, settings, web, user, events):
        validator = f"{__name__}.StoringNoAccessToken"
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_VALIDATOR_CLASS": validator}
        self.refusal(events, IssuanceError, client=web.application, user=user)
        # One would count as the user's consent.
        assert not Authorization.objects.exists()

    def test_within_a_token_request_does_not_hide_that_of_the_request(self, settings, service, events):
        validator = f"{__name__}.IssuingForAnUnknownApi"
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_VALIDATOR_CLASS": validator}
        assert service.token("client_credentials", scope="fly").status_code == 400
        assert [(event.endpoint, event.error) for event in events] == [
            ("direct", "invalid_target"),
            ("token", "invalid_scope"),
        ]

    @pytest.mark.parametrize(
        ("argument", "error"),
        [
            ({"client": "webshop"}, TypeError),
            ({"client": None}, TypeError),
            ({"user": "alice"}, TypeError),
            ({"user": AnonymousUser()}, TypeError),
            ({"scopes": "read"}, TypeError),
            ({"lifetime": "60"}, TypeError),
            ({"lifetime": True}, TypeError),
            ({"lifetime": 1.5}, TypeError),
            ({"lifetime": 0}, ValueError),
        ],
    )
    def test_of_arguments_of_the_wrong_kind(self, web, user, argument, error):
        with pytest.raises(error, match=next(iter(argument))):
            issue_access_token(**{"client": web.application, "user": user, **argument})


class IssuingForAnUnknownApi(OAuth2Validator):
    def validate_grant_type(self, client_id, grant_type, client, request, *args, **kwargs):
        if "fly" in str(request.scope):
            with pytest.raises(InvalidTarget):
                issue_access_token(client=client, resource="https://unknown.example.com/")
        return super().validate_grant_type(client_id, grant_type, client, request, *args, **kwargs)


class StoringNothing(OAuth2Validator):
    def save_bearer_token(self, token, request, *args, **kwargs):
        from oauthlib.oauth2 import AccessDeniedError

        raise AccessDeniedError


class StoringNoAccessToken(OAuth2Validator):
    def _create_access_token(self, *args, **kwargs):
        from oauthlib.oauth2 import AccessDeniedError

        raise AccessDeniedError


def lifetimes_of(token):
    claims = decoded(token)[1]
    row = get_access_token_model().objects.latest("pk")
    assert int(row.expires.timestamp()) == claims["exp"]
    return claims["exp"] - claims["iat"]


class TestLifetime:
    def test_chosen_by_the_caller(self, web, user):
        issued = issue_access_token(client=web.application, user=user, lifetime=60)
        assert (issued.lifetime, lifetimes_of(issued.token)) == (60, 60)

    def test_is_at_most_that_of_the_api(self, settings, web, user):
        configure(settings, RESOURCE_SERVERS={settings.API: {"lifetime": 300}})
        assert issue_access_token(client=web.application, user=user, lifetime=300).lifetime == 300
        with pytest.raises(InvalidLifetime, match=r"at most 300 seconds \(got 301\)"):
            issue_access_token(client=web.application, user=user, lifetime=301)


def by_scope(context, lifetime):
    SEEN.append((context, lifetime))
    return 60 if "write" in context.scopes else lifetime


def failing(context, lifetime):
    raise RuntimeError("secret of a user")


def chosen_badly(context, lifetime):
    return CHOICE[0]


SEEN: list = []
CHOICE: list = [None]


class TestFunctionOfTheSite:
    @pytest.fixture(autouse=True)
    def _function(self, settings):
        SEEN.clear()
        configure(settings, TOKEN_LIFETIME=f"{__name__}.by_scope")

    def test_decides_in_each_grant_before_the_token_is_signed(self, settings, web, service, user):
        answer = web.code_flow(user, scope="read write").json()
        assert (answer["expires_in"], lifetimes_of(answer["access_token"])) == (60, 60)
        answer = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
        assert (answer["expires_in"], lifetimes_of(answer["access_token"])) == (60, 60)
        assert service.token("client_credentials", scope="read").json()["expires_in"] == 3600
        assert [context.grant for context, _ in SEEN] == ["authorization_code", "refresh_token", "client_credentials"]
        facts = SEEN[0][0]
        assert (facts.user, facts.client, facts.resource_servers) == (user, web.application, (settings.API,))
        assert (SEEN[2][0].user, SEEN[2][1]) == (None, 3600)

    def test_decides_for_opaque_tokens_and_those_without_rows(self, settings, service):
        configure(settings, STORE_ACCESS_TOKENS=False)
        answer = service.token("client_credentials", scope="write").json()
        claims = decoded(answer["access_token"])[1]
        assert (answer["expires_in"], claims["exp"] - claims["iat"]) == (60, 60)
        configure(settings, RESOURCE_SERVERS={settings.API: {"format": "opaque"}})
        assert service.token("client_credentials", scope="write").json()["expires_in"] == 60

    def test_gets_what_the_caller_has_chosen(self, web, user):
        assert issue_access_token(client=web.application, user=user, scopes=["read"], lifetime=90).lifetime == 90
        assert issue_access_token(client=web.application, user=user, scopes=["write"], lifetime=90).lifetime == 60
        assert [lifetime for _, lifetime in SEEN] == [90, 90]

    @pytest.mark.parametrize("choice", [None, 0, -1, 3601, 1.5, True, "60"])
    def test_cannot_extend_it_or_return_anything_else(self, settings, service, caplog, choice):
        CHOICE[0] = choice
        configure(settings, TOKEN_LIFETIME=f"{__name__}.chosen_badly")
        response = service.token("client_credentials")
        assert (response.status_code, response.json()["error"]) == (503, "server_error")
        assert "must return a whole number of seconds from 1 to 3600" in caplog.text

    def test_that_fails_is_named_without_its_message(self, settings, service, caplog):
        configure(settings, TOKEN_LIFETIME=f"{__name__}.failing")
        assert service.token("client_credentials").status_code == 503
        assert 'AT_JWT["TOKEN_LIFETIME"]' in caplog.text
        assert "secret of a user" not in caplog.text


class OwnLifetime(OAuth2Validator):
    def save_bearer_token(self, token, request, *args, **kwargs):
        token["expires_in"] = 77
        return super().save_bearer_token(token, request, *args, **kwargs)


class TestValidatorThatSetsExpiresIn:
    @pytest.mark.parametrize("stores", [True, False])
    def test_is_told_that_it_is_ignored(self, settings, service, caplog, stores):
        configure(settings, STORE_ACCESS_TOKENS=stores)
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_VALIDATOR_CLASS": f"{__name__}.OwnLifetime"}
        with caplog.at_level(logging.WARNING, "django_at_jwt"):
            answer = service.token("client_credentials").json()
        assert answer["expires_in"] == 3600
        [record] = [each for each in caplog.records if each.name == "django_at_jwt"]
        assert "expires_in=77" in record.getMessage()
        assert 'set AT_JWT["TOKEN_LIFETIME"]' in record.getMessage()

    def test_no_warning_without_one(self, settings, web, user, caplog):
        configure(settings, RESOURCE_SERVERS={settings.API: {"lifetime": 300}})
        with caplog.at_level(logging.WARNING, "django_at_jwt"):
            answer = web.code_flow(user).json()
            web.token("refresh_token", refresh_token=answer["refresh_token"])
        assert not caplog.records
