"""The page on the document of revocations: its example, its steps for other languages, and the settings for it."""

from __future__ import annotations

import json
import time

import jwt
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client

from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.conf import problems_in
from django_at_jwt.core.deny_list import DenyEntry, DenyKind
from django_at_jwt.core.revocation_document import MOST_BYTES, MOST_ENTRIES, RevocationDocument
from django_at_jwt.revocation import revoke_audience, revoke_client, revoke_token, revoke_user
from tests.conftest import decoded

from .blocks import REVOCATION_DOCUMENT as PAGE
from .blocks import blocks_of

HEADER, CLAIMS = (json.loads(block.text) for block in blocks_of(PAGE) if block.language == "json")
SETTINGS, CODE = (block.text for block in blocks_of(PAGE) if block.language == "python")
ISSUER, API, REPORTS = django_settings.ISSUER, django_settings.API, django_settings.REPORTS


def test_example_is_what_the_code_writes():
    entries = [
        *(DenyEntry(DenyKind.TOKEN, value, None, end) for value, end in CLAIMS["tokens"].items()),
        *(DenyEntry(DenyKind.AUTHORIZATION, value, None, end) for value, end in CLAIMS["authorizations"].items()),
        *(DenyEntry(DenyKind.CLIENT, value, at["issued_until"], at["end"]) for value, at in CLAIMS["clients"].items()),
        *(
            DenyEntry(DenyKind.AUDIENCE, value, at["issued_until"], at["end"])
            for value, at in CLAIMS["audiences"].items()
        ),
    ]
    document = RevocationDocument(
        issuer=CLAIMS["iss"],
        issued_at=CLAIMS["iat"],
        expires_at=CLAIMS["exp"],
        version=CLAIMS["version"],
        complete=True,
        entries=tuple(entries),
    )
    assert json.dumps(document.claims()) == json.dumps(CLAIMS)
    assert [*HEADER] == ["typ", "alg", "kid"]


def test_limits():
    text = PAGE.read_text()
    assert f"{MOST_ENTRIES:,} live entries" in text
    assert MOST_BYTES == 4 * 1024 * 1024
    assert "4 MiB" in text


def test_settings_of_an_api():
    names = {}
    exec(SETTINGS, names)
    assert problems_in(names["AT_JWT"]) == []
    [entry] = names["AT_JWT"]["ISSUERS"].values()
    assert entry["revocation"] == "deny_list"


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="another connection does not see the rows of this test")
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
class TestOtherLanguage:
    """An API that follows the page, with PyJWT and without this package."""

    @pytest.fixture(autouse=True)
    def publishing(self, settings, signing_keys):
        settings.AT_JWT = {**settings.AT_JWT, "PUBLISH_REVOCATIONS": True}
        self.names = {}
        exec(CODE, self.names)

    def revocations(self, issuer=ISSUER):
        deny_list.forget()
        metadata = Client().get("/o/.well-known/oauth-authorization-server").json()
        text = Client().get(metadata["at_jwt_revocations_uri"].removeprefix("https://as.example.com")).content.decode()
        keys = {key["kid"]: key for key in Client().get("/o/.well-known/jwks.json").json()["keys"]}
        return self.names["read_revocations"](text, keys, issuer)

    def is_revoked(self, token, audience=API):
        return self.names["is_revoked"](token, self.revocations(), audience)

    def test_each_kind(self, web, service, user, make_client, django_capture_on_commit_callbacks):
        def token(response):
            assert response.status_code == 200, response.content
            return decoded(response.json()["access_token"])[1]

        one, another = (token(service.token("client_credentials")) for _ in range(2))
        of_user = token(web.code_flow(user))
        machine = make_client("client-credentials", client_id="machine")
        of_machine = token(machine.token("client_credentials"))
        of_reports = token(machine.token("client_credentials", resource=REPORTS))
        tokens = (one, another, of_user, of_machine, of_reports)
        assert not any(map(self.is_revoked, tokens))
        with django_capture_on_commit_callbacks(execute=True):
            revoke_token(one["jti"])
            revoke_user(user)
        assert [self.is_revoked(each) for each in tokens] == [True, False, True, False, False]
        with django_capture_on_commit_callbacks(execute=True):
            revoke_audience(REPORTS)
        assert [self.is_revoked(of_reports, audience) for audience in (API, REPORTS)] == [False, True]
        with django_capture_on_commit_callbacks(execute=True):
            revoke_client(machine.application)
        assert [self.is_revoked(each) for each in tokens] == [True, False, True, True, True]
        later = {**of_machine, "iat": int(time.time()) + 1000}
        assert not self.is_revoked(later)

    def test_other_documents_are_refused(self, service):
        with pytest.raises(jwt.InvalidIssuerError):
            self.revocations("https://other.example.com")
        text = service.token("client_credentials").json()["access_token"]
        keys = {key["kid"]: key for key in Client().get("/o/.well-known/jwks.json").json()["keys"]}
        with pytest.raises(jwt.InvalidTokenError, match="typ"):
            self.names["read_revocations"](text, keys, ISSUER)
