"""Revoked tokens over HTTP (threats 29, 31): every kind of view and entry, every policy, and an outage."""

from __future__ import annotations

import json
import logging
import secrets
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from django.views import View
from oauth2_provider.models import get_access_token_model
from rest_framework.response import Response
from rest_framework.views import APIView

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.revocation import deny_list as deny_list_module
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.authorization_server.revocation.entries import (
    deny_audience,
    deny_authorizations,
    deny_client,
    deny_tokens,
)
from django_at_jwt.conf import clear_process_caches
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.token_id import TokenId
from django_at_jwt.models import IssuedToken
from django_at_jwt.resource_server import revocation
from django_at_jwt.rest_framework import AccessTokenAuthentication
from django_at_jwt.views import AccessTokenRequiredMixin, access_token_required
from tests.openid_connect import OPENID_CONNECT

from . import signed_tokens

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.site.plain_views")]

AUTHORIZATION, ANOTHER = "a1" * 16, "b2" * 16
# The classes, decorators and mixins of this app, and views that DOT protects.
OURS = ("/framework/", "/function/", "/coroutine/", "/class/", "/async-class/", "/decorated-class/")
OF_DOT = ("/toolkit-drf/", "/toolkit-view/", "/toolkit-challenge/")


@pytest.fixture(autouse=True)
def openid(settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}


def in_an_hour():
    return timezone.now() + timedelta(hours=1)


class Issued:
    """A token with a row, in the format that ties it to its authorization."""

    def __init__(self, web, user, *, authorization=AUTHORIZATION, has_row=True, **claims):
        self.token_id = str(TokenId(authorization, secrets.token_hex(16), has_row))
        self.client_id = web.application.client_id
        values = {"sub": str(user.pk), "client_id": self.client_id, "jti": self.token_id, **claims}
        self.token = signed_tokens.token("read openid", **values)
        self.headers = {"Authorization": f"Bearer {self.token}", "Host": "api.example.com"}
        if has_row:
            self.row = get_access_token_model().objects.create(
                user=user,
                application=web.application,
                token=self.token,
                expires=in_an_hour(),
                scope="read openid",
                resource=[django_settings.API],
            )

    def get(self, address):
        return Client().get(address, headers=self.headers, secure=True)


@pytest.fixture
def issue(web, user, signing_keys):
    def issue(**claims):
        return Issued(web, user, **claims)

    return issue


@pytest.fixture
def issued(issue):
    return issue()


ENTRIES = {
    "token": lambda each: deny_tokens([(each.token_id, in_an_hour())], reason="test"),
    "authorization": lambda _: deny_authorizations([(AUTHORIZATION, in_an_hour())], reason="test"),
    "client": lambda each: deny_client(
        each.client_id, issued_until=timezone.now(), expires_at=in_an_hour(), reason="test"
    ),
    "audience": lambda _: deny_audience(
        django_settings.API, issued_until=timezone.now(), expires_at=in_an_hour(), reason="test"
    ),
}


@pytest.fixture
def revoke(django_capture_on_commit_callbacks):
    def revoke(kind, issued=None):
        with django_capture_on_commit_callbacks(execute=True):
            ENTRIES[kind](issued)

    return revoke


@pytest.fixture(params=ENTRIES)
def kind(request):
    return request.param


@pytest.mark.compliance("7009-2")
class TestEveryKindOfViewAndEntry:
    @pytest.mark.parametrize("address", [*OURS, *OF_DOT, "/o/userinfo/"])
    def test_is_refused(self, address, kind, issued, revoke, caplog):
        caplog.set_level(logging.INFO, "django_at_jwt")
        assert issued.get(address).status_code == 200
        revoke(kind, issued)
        answer = issued.get(address)
        assert answer.status_code == (403 if address == "/toolkit-view/" else 401)
        if address in OURS:
            assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
        assert f"revoked: the deny list names {'it' if kind == 'token' else f'its {kind}'}" in caplog.text
        assert issued.token not in caplog.text

    @pytest.mark.parametrize("address", ["/framework/", "/toolkit-drf/"])
    def test_others_are_accepted(self, address, kind, issue, revoke):
        revoked = issue()
        others = {
            "token": issue(),
            "authorization": issue(authorization=ANOTHER),
            "client": issue(iat=int(time.time()) + 5),
            "audience": issue(iat=int(time.time()) + 5),
        }
        revoke(kind, revoked)
        assert revoked.get(address).status_code == 401
        assert others[kind].get(address).status_code == 200

    @pytest.mark.parametrize("address", ["/framework/", "/function/"])
    def test_token_that_is_remembered(self, address, kind, issued, revoke):
        for _ in range(3):
            assert issued.get(address).status_code == 200
        revoke(kind, issued)
        for _ in range(3):
            assert issued.get(address).status_code == 401

    def test_audience_entry_hits_at_that_api_only(self, issue, revoke):
        several = issue(aud=[django_settings.API, django_settings.REPORTS])
        type(several.row).objects.update(resource=[django_settings.API, django_settings.REPORTS])
        revoke("audience")
        several_at = {address: several.get(address).status_code for address in ("/framework/", "/reports-function/")}
        assert several_at == {"/framework/": 401, "/reports-function/": 200}
        assert several.get("/toolkit-drf/").status_code == 401
        several.headers["Host"] = "reports.example.com"
        assert several.get("/toolkit-drf/").status_code == 200
        # An audience is left.
        assert several.get("/o/userinfo/").status_code == 200


@pytest.mark.parametrize("address", OURS)
def test_no_query_for_the_token(address, issue, django_assert_num_queries):
    deny_list.renew()
    machine = issue(sub="service", client_id="service")
    for _ in range(3):
        # "/coroutine/" runs the check in another thread, which has its own connection and its own log of queries.
        with django_assert_num_queries(0):
            assert machine.get(address).status_code == 200


class TestOpaqueTokens:
    @pytest.fixture
    def opaque(self, web, user, signing_keys, settings):
        settings.AT_JWT = {**settings.AT_JWT, "ACCEPT_OPAQUE_TOKENS": True}
        issued = Issued(web, user)
        type(issued.row).objects.all().delete()
        issued.headers["Authorization"] = "Bearer an0paqueTokenOf30Characters000"
        issued.row = get_access_token_model().objects.create(
            user=user,
            application=web.application,
            token="an0paqueTokenOf30Characters000",
            expires=in_an_hour(),
            scope="read openid",
            resource=[settings.API],
        )
        issued.token_id = f"opaque-{issued.row.pk}"
        IssuedToken.objects.create(
            access_token=str(issued.row.pk),
            token_id=issued.token_id,
            authorization=AUTHORIZATION,
            expires_at=in_an_hour(),
        )
        return issued

    @pytest.mark.parametrize("address", ["/framework/", "/function/", "/toolkit-drf/"])
    def test_is_refused(self, address, kind, opaque, revoke):
        assert opaque.get(address).status_code == 200
        revoke(kind, opaque)
        assert opaque.get(address).status_code == 401

    def test_another_authorization(self, opaque, revoke):
        IssuedToken.objects.update(authorization=ANOTHER)
        revoke("authorization")
        assert opaque.get("/framework/").status_code == opaque.get("/toolkit-drf/").status_code == 200

    @pytest.mark.parametrize("kind", ["token", "authorization", "client"])
    @pytest.mark.parametrize("address", ["/toolkit-drf/", "/o/userinfo/"])
    def test_row_without_a_resource(self, address, kind, opaque, revoke):
        type(opaque.row).objects.update(resource=[])
        assert opaque.get(address).status_code == 200
        revoke(kind, opaque)
        assert opaque.get(address).status_code == 401

    def test_policies_apply_to_opaque_tokens(self, opaque, revoke, settings):
        revoke("client", opaque)
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION": "offline", "USER_MODE": "stateless"}
        assert opaque.get("/framework/").status_code == 200
        type(opaque.row.user).objects.update(is_active=False)
        assert opaque.get("/framework/").status_code == 200
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION": "row"}
        assert opaque.get("/framework/").status_code == 401


class WhoAmI(APIView):
    authentication_classes = [AccessTokenAuthentication]

    def get(self, request):
        return Response({"user": str(request.user)})


def views_with(policy):
    """Return the same view with a policy, in every way to set one."""

    subclass = type("Subclass", (AccessTokenAuthentication,), {"revocation": policy})

    class Mixed(AccessTokenRequiredMixin, View):
        required_scopes = ["read"]

        def get(self, request):
            return HttpResponse("ok")

    Mixed.revocation = policy
    audience = django_settings.API
    return {
        "subclass": WhoAmI.as_view(authentication_classes=[subclass]),
        "for_audience": WhoAmI.as_view(
            authentication_classes=[AccessTokenAuthentication.for_audience(audience, revocation=policy)]
        ),
        "decorator": access_token_required(scopes=["read"], revocation=policy)(lambda _: HttpResponse("ok")),
        "mixin": Mixed.as_view(),
        "as_view": Mixed.as_view(revocation=policy),
    }


def statuses(policy, issued):
    """Return the distinct statuses of the views, which must be alike."""
    request = RequestFactory().get("/", headers=issued.headers)
    return {view(request).status_code for view in views_with(policy).values()}


@pytest.mark.compliance("7009-2")
class TestPolicies:
    @pytest.mark.parametrize(("policy", "expected"), [(None, 401), ("deny_list", 401), ("row", 401), ("offline", 200)])
    def test_entry_of_the_deny_list(self, policy, expected, issued, revoke):
        revoke("authorization")
        assert statuses(policy, issued) == {expected}

    @pytest.mark.parametrize(("policy", "expected"), [(None, 200), ("deny_list", 200), ("row", 401), ("offline", 200)])
    @pytest.mark.parametrize("end", ["delete", "expire"])
    def test_row_that_ended(self, policy, expected, end, issued):
        assert statuses(policy, issued) == {200}
        if end == "delete":
            issued.row.delete()
        else:
            type(issued.row).objects.update(expires=timezone.now())
        assert statuses(policy, issued) == {expected}

    def test_row_of_an_inactive_user(self, issued, settings):
        settings.AT_JWT = {**settings.AT_JWT, "USER_MODE": "stateless"}
        type(issued.row.user).objects.update(is_active=False)
        assert statuses("deny_list", issued) == {200}
        assert statuses("row", issued) == {401}

    def test_row_of_a_client_that_is_not_usable(self, issued, monkeypatch):
        monkeypatch.setattr(type(issued.row.application), "is_usable", lambda self, request: False)
        assert statuses("deny_list", issued) == {200}
        assert statuses("row", issued) == {401}

    def test_token_that_was_issued_without_a_row(self, issue, revoke):
        issued = issue(has_row=False)
        assert statuses("row", issued) == {200}
        revoke("authorization")
        assert statuses("row", issued) == {401}

    def test_row_costs_one_query(self, issue, django_assert_num_queries):
        machine = issue(sub="service", client_id="service")
        view = views_with("row")["subclass"]
        request = RequestFactory().get("/", headers=machine.headers)
        assert view(request).status_code == 200
        with django_assert_num_queries(1):
            assert view(request).status_code == 200

    @pytest.mark.parametrize("token_id", ["0" * 32, "an id"])
    def test_the_row_decides_on_a_token_from_before_the_format(self, token_id, issue):
        issued = issue(jti=token_id)
        assert statuses(None, issued) == {200}
        issued.row.delete()
        assert statuses(None, issued) == {401}
        assert statuses("offline", issued) == {200}

    def test_introspect_means_the_setting_for_the_local_issuer(self, issued, revoke):
        revoke("authorization")
        assert statuses("introspect", issued) == {401}

    def test_setting_is_the_default_of_views(self, issued, revoke, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION": "offline"}
        revoke("authorization")
        assert statuses(None, issued) == {200}
        assert statuses("deny_list", issued) == {401}

    @pytest.mark.parametrize("unknown", ["deny-list", "none", "", 1])
    def test_unknown_policy(self, unknown):
        with pytest.raises(ImproperlyConfigured, match="revocation must be one of offline, deny_list, row, introspect"):
            views_with(unknown)

    def test_row_that_cannot_be_read(self, issued):
        def fail(execute, sql, params, many, context):
            if "accesstoken" in sql:
                raise OperationalError("down")
            return execute(sql, params, many, context)

        with connection.execute_wrapper(fail):
            assert statuses("row", issued) == {503}


class TestTokenWithoutARowAtViewsOfDot:
    """Their ``jti`` says that no row was stored, so a missing row does not revoke them."""

    @pytest.mark.parametrize("address", [*OF_DOT, "/o/userinfo/"])
    def test_is_accepted_until_an_entry_names_it(self, address, issue, revoke):
        issued = issue(has_row=False)
        assert issued.get(address).status_code == 200
        revoke("authorization")
        assert issued.get(address).status_code in {401, 403}

    def test_client_that_acts_for_itself(self, issue, web):
        client_id = web.application.client_id
        assert issue(has_row=False, sub=client_id).get("/toolkit-drf/").status_code == 200

    @pytest.mark.parametrize("change", [{"client_id": "no such client"}, {"sub": "0"}])
    def test_client_or_user_that_does_not_exist(self, change, issue):
        assert issue(has_row=False, **change).get("/toolkit-drf/").status_code == 401

    def test_site_without_time_zones(self, issue, settings):
        issued = issue(has_row=False)
        settings.USE_TZ = False
        assert issued.get("/toolkit-drf/").status_code == 200

    def test_inactive_user(self, issue, user):
        type(user).objects.update(is_active=False)
        assert issue(has_row=False).get("/toolkit-drf/").status_code == 401

    def test_row_that_is_gone(self, issued):
        issued.row.delete()
        assert issued.get("/toolkit-drf/").status_code == 401


@pytest.fixture
def down(monkeypatch):
    """Make every read of the deny list fail."""

    def down():
        def fail(*_arguments, **_options):
            raise OperationalError("down")

        monkeypatch.setattr(deny_list_module, "_rows", fail)

    return down


def never_read():
    clear_process_caches()
    key_store.current()


class TestWhileTheDatabaseIsAway:
    @pytest.mark.parametrize("address", [*OURS, "/o/userinfo/"])
    def test_process_that_never_read_it(self, address, issued, down, caplog):
        never_read()
        down()
        answer = issued.get(address)
        assert answer.status_code == 503
        assert int(answer["Retry-After"]) > 0
        assert "WWW-Authenticate" not in answer
        assert "the deny list could not be read" in caplog.text

    @pytest.mark.parametrize("address", OF_DOT)
    def test_views_of_dot_cannot_say_so(self, address, issued, down, caplog):
        caplog.set_level(logging.INFO, "django_at_jwt")
        never_read()
        down()
        assert issued.get(address).status_code in {401, 403}
        assert "unknown_revocation" in caplog.text

    @pytest.mark.parametrize("address", [*OURS, *OF_DOT])
    def test_last_state(self, address, issued, issue, revoke, down):
        other = issue(authorization=ANOTHER)
        revoke("authorization")
        deny_list.renew()
        down()
        deny_list.forget()
        assert other.get(address).status_code == 200
        assert issued.get(address).status_code in {401, 403}

    def test_last_state_that_is_too_old(self, issued, down, settings, monkeypatch):
        assert issued.get("/framework/").status_code == 200
        down()
        now = time.monotonic()
        monkeypatch.setattr(deny_list_module.time, "monotonic", lambda: now + 301)
        key_store.current()
        assert issued.get("/framework/").status_code == 503

    @pytest.mark.parametrize("address", [*OURS, *OF_DOT, "/o/userinfo/"])
    def test_setting_can_accept_tokens(self, address, issued, down, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION_UNAVAILABLE": "accept"}
        never_read()
        down()
        assert issued.get(address).status_code == 200

    def test_offline_views_do_not_care(self, issued, down):
        never_read()
        down()
        assert statuses("offline", issued) == {200}

    def test_token_that_is_not_valid_anyway(self, down, signing_keys, client):
        never_read()
        down()
        expired = signed_tokens.bearer("read", exp=1)
        assert client.get("/framework/", headers=expired).status_code == 401


class TestDiagnosis:
    def rules(self, token, capsys):
        with suppress(SystemExit):
            call_command("verify_access_token", token, "--json")
        document = json.loads(capsys.readouterr().out)
        return document["accepted"], {rule["rule"]: rule for rule in document["rules"]}["revocation"]

    def test_live_token(self, issued, capsys):
        accepted, rule = self.rules(issued.token, capsys)
        assert accepted
        assert (rule["outcome"], rule["expected"]) == ("passed", "not revoked")

    def test_names_the_kind_of_entry(self, kind, issued, revoke, capsys):
        revoke(kind, issued)
        accepted, rule = self.rules(issued.token, capsys)
        assert not accepted
        assert (rule["outcome"], rule["reason"]) == ("failed", "revoked")
        assert rule["detail"] == f"the deny list names {'it' if kind == 'token' else f'its {kind}'}"

    def test_list_that_cannot_be_read(self, issued, down, capsys):
        never_read()
        down()
        accepted, rule = self.rules(issued.token, capsys)
        assert not accepted
        assert rule["outcome"] == "not reached"
        assert "could not be read" in rule["found"]

    def test_invalid_token(self, issue, capsys):
        _, rule = self.rules(issue(exp=1).token, capsys)
        assert rule["outcome"] == "not reached"

    def test_offline_is_shown_as_the_rule(self, issued, capsys, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION": "offline"}
        accepted, rule = self.rules(issued.token, capsys)
        assert accepted
        assert "offline" in rule["expected"]


def test_project_without_the_tables_of_an_issuer(monkeypatch):
    monkeypatch.setattr(revocation, "has_issuer_tables", lambda: False)
    assert revocation.local_revocation_policy(Revocation.OFFLINE, "x") is None
    for each in (Revocation.DENY_LIST, Revocation.ROW):
        with pytest.raises(ImproperlyConfigured, match=f'"{each}" needs the tables of the issuer'):
            revocation.local_revocation_policy(each, "x")
