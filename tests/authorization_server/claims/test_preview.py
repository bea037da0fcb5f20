"""Previews of access tokens."""

from __future__ import annotations

import time

import pytest
from django.conf import settings

from django_at_jwt.authorization_server.claims.preview import preview_access_token
from django_at_jwt.authorization_server.issuance import TokenRequest
from django_at_jwt.authorization_server.login.events import authentication_by_password
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.models import ResourceServer
from tests.conftest import captured_statements, decoded

from .test_mapped_tokens import add

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]
DIFFER = {"jti", "iat", "exp", "auth_time"}


def preview(client, user=None, *, grant=None, authentication=None, **asked):
    grant = grant or ("client_credentials" if user is None else "authorization_code")
    request = TokenRequest(
        client=client.application, user=user, grant=grant, now=time.time(), authentication=authentication
    )
    return preview_access_token(request, **asked)


def without(claims, names=DIFFER):
    return {name: value for name, value in claims.items() if name not in names}


def test_header_claims_and_size_are_those_of_the_token(web, user):
    add("email", {"kind": "user", "path": "email"})
    add("tenant", {"kind": "constant", "value": "a"}, conditions={"scopes": ["nothing"]})
    shown = preview(web, user, scopes=["read", "write"], authentication=authentication_by_password(user, time.time()))
    token = web.code_flow(user).json()["access_token"]
    header, claims = decoded(token)
    assert shown.refusal is None
    assert shown.header == header
    assert without(shown.claims) == without(claims)
    assert claims["exp"] - claims["iat"] == shown.claims["exp"] - shown.claims["iat"]
    assert [shown.size.header, shown.size.claims, shown.size.signature] == [len(part) for part in token.split(".")]
    assert shown.size.total == len(token)


def short_for_readers(context, lifetime):
    return 60 if context.scopes == ("read",) and context.user.username == "alice" else lifetime


def test_lifetime_is_that_of_the_sites_function(web, user, settings):
    settings.AT_JWT = {**settings.AT_JWT, "TOKEN_LIFETIME": f"{__name__}.short_for_readers"}
    claims = preview(web, user, scopes=["read"]).claims
    assert claims["exp"] - claims["iat"] == 60


def test_nothing_is_written_and_no_key_is_opened(web, user, monkeypatch):
    from django_at_jwt.core.jose.keys import PrivateKey as OpenKey

    monkeypatch.setattr(OpenKey, "from_jwk", None)
    add("email", {"kind": "user", "path": "email"})
    with captured_statements() as statements:
        assert preview(web, user).claims["email"] == "alice@example.com"
    assert statements
    assert all(statement.startswith("SELECT") for statement in statements), statements


def test_preview_of_an_opaque_token_has_no_claims(web, user):
    ResourceServer.objects.create(
        identifier="https://old.example.com/", token_format="opaque", open_to_all_clients=True
    )
    shown = preview(web, user, resources=["https://old.example.com/"])
    assert shown.token_format is TokenFormat.OPAQUE
    assert (shown.refusal, shown.claims, shown.mappers, shown.size) == (None, {}, (), None)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"resources": ["https://unknown.example.com/"]}, "invalid_target"),
        ({"scopes": ["unknown"]}, "invalid_scope"),
        ({"grant": "password"}, "unauthorized_client"),
        ({"grant": "no such grant"}, "unauthorized_client"),
    ],
)
def test_refusal(asked, code, web, user):
    assert preview(web, user, **asked).refusal.code == code


def test_required_mapper_that_fails_is_named(web, user):
    add("x", {"kind": "user", "path": "first_name"}, when_missing="fail", required=True)
    shown = preview(web, user)
    assert shown.refusal.code == "server_error"
    assert "the required claim mapper 'x'" in shown.refusal.reason
    assert [mapper.step.key for mapper in shown.mappers] == ["x"]
    assert shown.audience == (settings.API,)


def test_origins_and_personal_claims(web, service, user):
    add("email", {"kind": "user", "path": "email"})
    add("tenant", {"kind": "constant", "value": "a"})
    origins = {claim.name: claim for claim in preview(web, user).claim_origins}
    assert origins["email"].mappers == ("email",)
    assert origins["sub"].mappers == ()
    assert {name for name, claim in origins.items() if claim.is_personal} == {"sub", "email"}
    assert {name for name, claim in origins.items() if claim.is_example} == {"jti", "iat", "exp"}
    assert preview(service).personal_claims == ()
