"""``manage.py preview_access_token``."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from django_at_jwt.models import ClaimMapper, ResourceServer
from tests.commands import run_to_exit
from tests.conftest import decoded

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]
DIFFER = {"jti", "iat", "exp", "auth_time"}


def run(client, *options, status=0):
    ended, text = run_to_exit("preview_access_token", "--client", client.application.client_id, *options)
    assert ended == status
    return text


@pytest.fixture
def mappers(db):
    ClaimMapper.objects.create(name="mail", claim="email", source={"kind": "user", "path": "email"})
    ClaimMapper.objects.create(
        name="old", claim="tenant", source={"kind": "constant", "value": "a"}, conditions={"scopes": ["write"]}
    )
    ClaimMapper.objects.create(name="first", claim="x", source={"kind": "constant", "value": "1"}, order=1)
    ClaimMapper.objects.create(name="second", claim="x", source={"kind": "constant", "value": "2"}, order=2)


@pytest.mark.usefixtures("mappers")
@pytest.mark.parametrize("by", ["username", "pk"])
def test_json_has_the_claims_of_the_token(by, web, user):
    shown = json.loads(run(web, "--user", str(getattr(user, by)), "--scope", "read", "--json"))
    header, claims = decoded(web.code_flow(user, scope="read").json()["access_token"])
    assert shown["header"] == header
    assert {k: v for k, v in shown["claims"].items() if k not in DIFFER} == {
        k: v for k, v in claims.items() if k not in DIFFER
    }
    assert shown["origins"]["email"] == {"mappers": ["mail"], "personal": True, "example": False}
    told = {each["name"]: (each["outcome"], each["condition"], each["lost_to"]) for each in shown["mappers"]}
    assert told == {
        "mail": ("set", None, None),
        "old": ("skipped", "scopes", None),
        "first": ("lost", None, "second"),
        "second": ("set", None, None),
    }
    assert shown["size"]["total"] == sum(shown["size"][part] for part in ("header", "claims", "signature")) + 2
    assert shown["refusal"] is None


@pytest.mark.usefixtures("mappers")
def test_text_explains_each_mapper_and_the_size(web, user):
    text = run(web, "--user", "alice", "--scope", "read")
    assert '"alice@example.com"  (mail; personal)' in text
    assert "old (tenant): skipped: required scopes are not granted" in text
    assert "first (x): overridden by “second”" in text
    assert "at most 4096" in text


def test_size_over_a_mark(service):
    ClaimMapper.objects.create(name="big", claim="big", source={"kind": "constant", "value": "x" * 2000})
    ClaimMapper.objects.create(name="bigger", claim="bigger", source={"kind": "constant", "value": "x" * 1500})
    assert "over 4096: some servers reject it" in run(service)


def test_client_that_acts_for_itself_is_previewed(service):
    shown = json.loads(run(service, "--json", "--resource", settings.REPORTS, "--scope", "reports:read"))
    assert shown["claims"]["sub"] == service.application.client_id
    assert shown["claims"]["aud"] == settings.REPORTS


def test_refusal_is_shown_with_its_code(service):
    shown = json.loads(run(service, "--json", "--resource", "https://unknown.example.com/", status=1))
    assert shown["refusal"]["error"] == "invalid_target"
    assert "No token: invalid_target" in run(service, "--resource", "https://unknown.example.com/", status=1)


def test_grant_that_is_not_the_client_s(web, service, user):
    its_id = web.application.client_id
    said = run(web, status=1)
    assert f"('{its_id}' may use authorization_code, not client_credentials: add --user)" in said
    its_id = service.application.client_id
    said = run(service, "--user", "alice", status=1)
    assert f"('{its_id}' may use client_credentials, not authorization_code: omit --user)" in said
    said = run(service, "--user", "alice", "--grant", "password", status=1)
    assert f"('{its_id}' may use client_credentials, not password)" in said
    service.application.client_type = "public"
    service.application.save()
    said = run(service, "--grant", "client_credentials", status=1)
    assert f"('{its_id}' is a public client, which gets no token for itself)" in said


def test_unknown_scope_is_named(service):
    said = run(service, "--scope", "read no:such", status=1)
    assert said.startswith("No token: invalid_scope (unknown, or not allowed for this client: 'no:such')")


def test_opaque_token_has_no_claims_to_show(service):
    ResourceServer.objects.create(
        identifier="https://old.example.com/", token_format="opaque", open_to_all_clients=True
    )
    assert "opaque and has no claims" in run(service, "--resource", "https://old.example.com/")


def test_user_and_client_must_be_unambiguous(web, service, user, django_user_model):
    django_user_model.objects.create_user(str(user.pk))
    for client, options, line in (
        (web, ["--user", "nobody"], "No user has the"),
        (web, ["--user", "2" * 40], "No user has the"),
        (web, ["--user", str(user.pk)], "the username of one user"),
        (web, ["--user", "alice", "--grant", "client_credentials"], "omit --user"),
        (service, ["--grant", "password"], "add --user"),
    ):
        with pytest.raises(CommandError, match=line):
            run(client, *options)
    with pytest.raises(CommandError, match="No client has the client ID"):
        call_command("preview_access_token", "--client", "nobody")


@pytest.mark.parametrize(
    ("kind", "grant"),
    [
        ("authorization-code", "authorization_code"),
        ("implicit", "implicit"),
        ("password", "password"),
        ("openid-hybrid", "authorization_code"),
        ("urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:device_code"),
    ],
)
def test_grant_is_the_client_s_own(kind, grant, make_client, user):
    ClaimMapper.objects.create(
        name="g", claim="g", source={"kind": "constant", "value": "yes"}, conditions={"grants": [grant]}
    )
    assert '"yes"  (g)' in run(make_client(kind), "--user", "alice")


def test_scopes_by_one_option_or_by_several(web, user):
    for options in (["--scope", "read write"], ["--scope", "read", "--scope", "write"]):
        assert json.loads(run(web, "--user", "alice", *options, "--json"))["scopes"] == ["read", "write"]
