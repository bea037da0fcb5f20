"""``manage.py token_formats`` counts live tokens by client, API and format."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.management import CommandError
from django.db import DatabaseError
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from django_at_jwt.authorization_server import token_format_report
from django_at_jwt.authorization_server.client_options import token_formats_by_key
from django_at_jwt.authorization_server.registration import RegistrationSource
from django_at_jwt.core.quotation import format_instant
from django_at_jwt.models import Authorization, IssuedToken
from tests.authorization_server.test_token_format_report import OPAQUE, choose, servers
from tests.commands import run
from tests.conftest import captured_statements
from tests.settings import API, REPORTS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]


def report(*options):
    return run("token_formats", *options)


def groups():
    return {
        (each["client_id"], *each["audience"], each["format"]): (each["tokens"], each["counts"], each["next_format"])
        for each in json.loads(report("--json"))["groups"]
    }


def own(service, **asked):
    return service.token("client_credentials", **asked).json()["access_token"]


def test_site_without_tokens(service):
    assert report() == "No live opaque tokens.\n0 live at+jwt tokens.\n"
    assert json.loads(report("--json"))["opaque"] == {"tokens": 0, "last_expires_at": None}


def test_tokens_by_client_api_and_format(service, web, user, settings):
    me, other = service.application.client_id, web.application.client_id
    for _ in range(2):
        own(service, scope="read")
    own(service, scope="reports:read")
    choose(service, OPAQUE)
    own(service, scope="read")
    web.code_flow(user)
    assert groups() == {
        (me, API, "at+jwt"): (2, "tokens", "opaque"),
        (me, API, "opaque"): (1, "tokens", "opaque"),
        (me, REPORTS, "at+jwt"): (1, "tokens", "opaque"),
        (other, API, "at+jwt"): (1, "tokens", "at+jwt"),
    }
    choose(service, None)
    servers(settings, **{REPORTS: {"scopes": ["reports:read"], "clients": ["another"]}})
    assert groups()[me, API, "opaque"] == (1, "tokens", "at+jwt")
    assert groups()[me, REPORTS, "at+jwt"] == (1, "tokens", None)


def test_first_tokens_and_their_successors_count_once(web, user):
    key = (web.application.client_id, API, "at+jwt")
    first = web.code_flow(user).json()
    assert groups() == {key: (1, "tokens", "at+jwt")}
    web.token("refresh_token", refresh_token=first["refresh_token"])
    assert groups() == {key: (1, "tokens", "at+jwt")}
    web.code_flow(user)
    assert groups() == {key: (2, "tokens", "at+jwt")}


def test_next_token_of_an_api_that_has_moved(service, settings):
    own(service, scope="read", resource=REPORTS)
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {"https://new.example.com/": {"aliases": [REPORTS]}}}
    assert groups() == {(service.application.client_id, REPORTS, "at+jwt"): (1, "tokens", "at+jwt")}


@pytest.mark.parametrize(("is_open", "following"), [(True, "at+jwt"), (False, None)])
def test_next_token_of_a_client_that_registered_itself(is_open, following, service, settings):
    own(service, scope="read")
    service.application.registration_source = RegistrationSource.DCR
    service.application.save()
    servers(settings, **{API: {"registered_clients": is_open, "clients": []} if is_open else {}})
    assert groups() == {(service.application.client_id, API, "at+jwt"): (1, "tokens", following)}


def test_lines_for_people(service):
    own(service, scope="read")
    choose(service, OPAQUE)
    own(service, scope="read")
    jwt, opaque = get_access_token_model().objects.order_by("pk")
    client = f"'{service.application.client_id}' ('client-credentials client') at '{API}'"
    assert report().splitlines() == [
        f"{client}: at+jwt, 1 token, last issued {format_instant(jwt.updated)}, next: opaque",
        f"{client}: opaque, 1 token, last issued {format_instant(opaque.updated)}, next: opaque",
        f"1 live opaque token; the last expires at {format_instant(opaque.expires)}.",
        "1 live at+jwt token.",
    ]


def test_expired_revoked_and_registration_tokens_do_not_count(service, web):
    rows = get_access_token_model().objects
    own(service, scope="read")
    rows.update(expires=timezone.now() - timedelta(seconds=1))
    service.post("/o/revoke_token/", {"token": own(service, scope="read")})
    later = timezone.now() + timedelta(days=1)
    rows.create(token="r", application=web.application, expires=later, scope="oauth2_provider:registration")
    assert groups() == {}


@pytest.mark.parametrize("resource", [[], [API]], ids=["default", "named"])
def test_token_from_before_the_app_is_opaque_and_for_the_default(resource, service, user):
    later = timezone.now() + timedelta(days=1)
    get_access_token_model().objects.create(
        token="x", application=service.application, user=user, expires=later, scope="read", resource=resource
    )
    own(service, scope="read")
    choose(service, OPAQUE)
    own(service, scope="read")
    me = service.application.client_id
    assert groups()[me, API, "opaque"] == (2, "tokens", "opaque")
    assert json.loads(report("--json"))["opaque"]["last_expires_at"] == later.isoformat()


@pytest.mark.parametrize(("token_format", "token_id"), [("opaque", "opaque-1"), ("at+jwt", "a1.1")])
def test_links_from_before_the_column_of_the_key(token_format, token_id, service):
    own(service, scope="read")
    IssuedToken.objects.update(kid=None, token_id=token_id)
    assert groups() == {(service.application.client_id, API, token_format): (1, "tokens", "at+jwt")}


def test_tokens_without_rows_are_counted_by_authorization(service, web, user, settings):
    settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": False}
    own(service, scope="read")
    tokens = web.code_flow(user).json()
    web.token("refresh_token", refresh_token=tokens["refresh_token"])
    web.code_flow(user)
    assert groups() == {(web.application.client_id, API, "at+jwt"): (2, "authorizations", "at+jwt")}
    assert "at+jwt, 2 authorizations or more, last issued" in report()
    assert "2 live at+jwt tokens or more: those without rows are counted by authorization, and not at all" in report()
    assert json.loads(report("--json"))["at+jwt"]["issued_without_rows"] is True
    choose(web, OPAQUE)
    web.code_flow(user)
    assert groups()[web.application.client_id, API, "opaque"] == (1, "tokens", "opaque")


def test_refresh_without_rotation_is_said_to_hide_tokens(web, user, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": False}
    web.code_flow(user)
    assert "1 live at+jwt token or more: without rotation, a refresh overwrites the row" in report()


def test_client_that_was_deleted(service):
    own(service, scope="read")
    get_access_token_model().objects.update(application=None)
    assert report().startswith(f"(deleted client) at '{API}': at+jwt, 1 token, ")
    assert groups() == {(None, API, "at+jwt"): (1, "tokens", None)}


def test_statements_do_not_grow_with_the_site(service, make_client):
    def statements():
        token_formats_by_key()
        with captured_statements() as captured:
            report("--json")
        return len(captured)

    own(service, scope="read")
    few = statements()
    for number in range(20):
        client = make_client("client-credentials", client_id=f"client-{number}")
        own(client, scope="read")
        own(client, scope="reports:read")
    assert len(groups()) == 41
    # In swapped tables in two databases, rows and links are read apart.
    assert statements() == few <= 5


@pytest.mark.parametrize("reason", ["two databases", "collations"])
def test_tables_that_are_read_apart_give_the_same_report(reason, service, web, user, settings, monkeypatch):
    settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": "users"}
    choose(service, OPAQUE)
    for _ in range(3):
        own(service, scope="read")
        tokens = web.code_flow(user).json()
    web.token("refresh_token", refresh_token=tokens["refresh_token"])
    settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": False}
    web.code_flow(user)
    IssuedToken.objects.filter(pk=IssuedToken.objects.earliest("pk").pk).delete()
    together = report("--json")
    counted = []
    monkeypatch.setattr(token_format_report, "_counted", lambda *_rows: counted.append("in one statement") or ())
    if reason == "two databases":
        monkeypatch.setattr(token_format_report, "router", SimpleNamespace(db_for_write=lambda _model: "x"))
    else:
        mariadb = SimpleNamespace(vendor="mysql")
        monkeypatch.setattr(token_format_report, "connections", defaultdict(lambda: mariadb))
    monkeypatch.setattr(token_format_report, "BATCH", 2)
    assert report("--json") == together
    assert not counted
    assert Authorization.objects.count() == 4


def test_database_that_fails_is_one_line(monkeypatch):
    def fail(_now):
        raise DatabaseError("no such\ntable")

    monkeypatch.setattr("django_at_jwt.management.commands.token_formats.report_token_formats", fail)
    with pytest.raises(CommandError, match=r"^Nothing was reported: no such table\. Run manage\.py migrate first\.$"):
        report()
