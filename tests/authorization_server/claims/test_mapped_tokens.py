"""Claim mappers in tokens issued by the endpoints."""

from __future__ import annotations

import hmac
from itertools import chain

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import OperationalError

from django_at_jwt.authorization_server.claims.registry import claim_mappers
from django_at_jwt.claims import register_claim_source
from django_at_jwt.core.claims.presets import READY_MADE
from django_at_jwt.core.profile import RESERVED_CLAIMS
from django_at_jwt.models import ClaimMapper
from tests.conftest import captured_statements, decoded
from tests.people.models import Department, Profile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]
DEPARTMENT = {"kind": "user", "path": "profile.department.code"}


def add(claim, source, **fields):
    row = ClaimMapper(**{"name": claim, "claim": claim, "source": source, **fields})
    row.full_clean()
    row.save()


def claims_of(answer):
    assert answer.status_code == 200, answer.content
    return decoded(answer.json()["access_token"])[1]


@pytest.fixture
def alice(user, settings):
    settings.AT_JWT = {
        **settings.AT_JWT,
        "MAPPABLE_USER_FIELDS": ["email", "first_name", "last_name", "profile.department.code", "profile.badge"],
    }
    Profile.objects.create(user=user, department=Department.objects.create(code="R+D"))
    user.groups.add(Group.objects.create(name="staff"))
    return user


@pytest.mark.compliance("9068-9")
def test_field_of_a_related_row_is_mapped(alice, web, service):
    claim = r"https://example\.com/department"
    before = claims_of(web.code_flow(alice))
    add(claim, DEPARTMENT, conditions={"scopes": ["read"]})
    assert "https://example.com/department" not in before
    assert claims_of(web.code_flow(alice))["https://example.com/department"] == "R+D"
    assert "https://example.com/department" not in claims_of(web.code_flow(alice, scope="write"))
    assert "https://example.com/department" not in claims_of(service.token("client_credentials"))


def test_path_to_another_user_that_was_allowed_before(alice, web, django_user_model, settings, caplog):
    bob = django_user_model.objects.create_user("bob", "bob@example.com")
    Department.objects.update(head=bob)
    path = "profile.department.head.email"
    settings.AT_JWT = {**settings.AT_JWT, "MAPPABLE_USER_FIELDS": [path]}
    ClaimMapper.objects.create(name="head", claim="head", source={"kind": "user", "path": path})
    assert "head" not in claims_of(web.code_flow(alice))
    assert "“head” leads to another user" in caplog.text


def test_hash_with_a_key_of_the_settings(alice, web, settings, caplog):
    at_jwt = settings.AT_JWT
    settings.AT_JWT = {**at_jwt, "CLAIM_HASH_KEYS": {"tenant": "a key that is nowhere else"}}
    source = {"kind": "user", "path": "email"}
    add("mail", source, transforms=[{"kind": "hash", "key_name": "tenant"}])
    expected = hmac.new(b"a key that is nowhere else", b"alice@example.com", "sha256").hexdigest()
    assert claims_of(web.code_flow(alice))["mail"] == expected
    settings.AT_JWT = at_jwt
    assert "mail" not in claims_of(web.code_flow(alice)), "without its key it fails, and hashes with no other one"
    assert "There is no key “tenant” in AT_JWT" in caplog.text


@pytest.fixture
def ready_made():
    for data in chain.from_iterable(READY_MADE.values()):
        row = ClaimMapper(**data)
        row.full_clean()
        row.save()


@pytest.mark.compliance("9068-13")
@pytest.mark.usefixtures("ready_made")
def test_authorizations_have_the_names_and_the_shape_of_scim(alice, web):
    alice.groups.add(Group.objects.create(name="role-editor"))
    alice.user_permissions.add(Permission.objects.get(codename="view_session"))
    claims = claims_of(web.code_flow(alice))
    assert claims["groups"] == [{"value": "role-editor"}, {"value": "staff"}]
    assert claims["roles"] == [{"value": "editor"}]
    assert claims["entitlements"] == [{"value": "sessions.view_session"}]


@pytest.mark.compliance("9068-8")
@pytest.mark.usefixtures("ready_made")
def test_attributes_have_registered_names_and_need_their_scope(alice, web, service, settings):
    scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], "profile": "Your name", "email": "Your address"}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes}
    type(alice).objects.filter(pk=alice.pk).update(first_name="Alice", last_name="Liddell")
    known = {"name": "Alice Liddell", "given_name": "Alice", "family_name": "Liddell", "email": "alice@example.com"}
    for scope, expected in (
        ("profile email", {"name", "given_name", "family_name", "email"}),
        ("email", {"email"}),
        ("read", set()),
    ):
        claims = claims_of(web.code_flow(alice, scope=scope))
        assert {name: claims[name] for name in known if name in claims} == {name: known[name] for name in expected}
    assert known.keys().isdisjoint(claims_of(service.token("client_credentials", scope="profile email")))


def test_refreshed_token_has_current_values(alice, web):
    add("email", {"kind": "user", "path": "email"})
    add("grant", {"kind": "constant", "value": "first"}, conditions={"grants": ["authorization_code"]})
    first = web.code_flow(alice)
    alice.email = "new@example.com"
    alice.save()
    refreshed = claims_of(web.token("refresh_token", refresh_token=first.json()["refresh_token"]))
    assert claims_of(first)["email"] == "alice@example.com"
    assert claims_of(first)["grant"] == "first"
    assert refreshed["email"] == "new@example.com"
    assert "grant" not in refreshed


@pytest.mark.parametrize("claim", sorted(RESERVED_CLAIMS))
@pytest.mark.compliance("9068-31")
def test_row_for_a_reserved_claim_changes_nothing(claim, alice, web, caplog):
    add("x", {"kind": "constant", "value": "evil"})
    ClaimMapper.objects.update(claim=claim)
    claim_mappers.clear()
    claims = claims_of(web.code_flow(alice))
    assert "evil" not in claims.values()
    assert claims["sub"] == str(alice.pk)
    assert "issued without the claim" in caplog.text


class TestFailure:
    @pytest.fixture(autouse=True)
    def _source(self, monkeypatch):
        monkeypatch.setattr("django_at_jwt.claims._sources", {})

        @register_claim_source("tests.failing")
        def failing(context):
            raise LookupError(context.user.email)

    def test_optional_claim_is_left_out_and_logged(self, alice, web, caplog):
        add("x", {"kind": "registered", "name": "tests.failing"})
        assert "x" not in claims_of(web.code_flow(alice))
        assert "without the claim 'x' of mapper 'x' (source_failed)" in caplog.text
        assert "LookupError" in caplog.text
        assert "alice@example.com" not in caplog.text

    def test_required_claim_fails_the_request(self, alice, web, caplog):
        add("x", {"kind": "registered", "name": "tests.failing"}, required=True)
        answer = web.code_flow(alice)
        assert answer.status_code == 503
        assert answer["Content-Type"] == "application/json"
        assert answer.json()["error"] == "server_error"
        assert "mapper" not in answer.content.decode()
        assert "the required claim mapper 'x' for 'x' failed" in caplog.text
        assert "alice@example.com" not in caplog.text

    def test_too_large(self, alice, web, settings, caplog):
        add("x", {"kind": "constant", "value": "x" * 200})
        settings.AT_JWT = {**settings.AT_JWT, "MAX_CLAIMS_BYTES": 400}
        assert web.code_flow(alice).json()["error"] == "server_error"
        assert "the largest are of 'x' (207 bytes)" in caplog.text
        settings.AT_JWT = {**settings.AT_JWT, "OVERSIZED_CLAIMS": "drop_optional"}
        assert "x" not in claims_of(web.code_flow(alice))
        assert "of mapper 'x' (dropped)" in caplog.text


@pytest.mark.parametrize("broken", ["django_at_jwt.authorization_server.claims.mapping.read_sources", "claim_mappers"])
def test_database_error_is_answered_with_server_error(broken, alice, web, monkeypatch, caplog):
    def fail(*_args, **_kwargs):
        raise OperationalError

    add("department", DEPARTMENT)
    answer = web.authorize(alice)
    if broken == "claim_mappers":
        claim_mappers.clear()
        monkeypatch.setattr(claim_mappers._mappers, "_read", fail)
    else:
        monkeypatch.setattr(broken, fail)
    answer = web.exchange(answer["code"])
    assert (answer.status_code, answer.json()["error"]) == (503, "server_error")
    [record] = [each for each in caplog.records if "cannot be read" in each.getMessage()]
    assert record.levelname == "ERROR"


def test_hundred_mappers_add_two_statements(alice, web):
    def statements():
        answer = web.authorize(alice)
        claim_mappers.current()
        with captured_statements() as captured:
            claims = claims_of(web.exchange(answer["code"]))
        return len(captured), claims

    statements()  # Fill the caches of the process.
    without, _ = statements()
    for number in range(32):
        add(f"a{number}", {"kind": "constant", "value": "v"})
        add(f"b{number}", {"kind": "user", "path": "email"})
        add(f"c{number}", DEPARTMENT, conditions={"clients": ["another"]})
    assert statements()[0] == without
    add("groups", {"kind": "groups"}, type="strings")
    add("department", DEPARTMENT, conditions={"groups": ["staff"]})
    add("permissions", {"kind": "permissions"}, type="strings", when_missing="default", default=[])
    add("name", {"kind": "template", "text": "{user:first_name}"})
    count, claims = statements()
    assert count - without == 2
    assert (claims["groups"], claims["department"], claims["permissions"]) == (["staff"], "R+D", [])
    assert "name" not in claims


def test_registered_source_gets_the_context_of_the_token(alice, web, service, monkeypatch):
    seen = []
    monkeypatch.setattr("django_at_jwt.claims._sources", {})
    register_claim_source("tests.seen", seen.append)
    add("x", {"kind": "registered", "name": "tests.seen"})
    web.code_flow(alice)
    service.token("client_credentials", scope="read")
    of_alice, of_nobody = seen
    assert of_alice.user == alice
    assert of_alice.client == web.application
    assert of_alice.scopes == ("read", "write")
    assert of_alice.resource_servers == ("https://api.example.com/",)
    assert (of_alice.grant, of_nobody.grant) == ("authorization_code", "client_credentials")
    assert of_nobody.user is None
