"""The hostile tokens of the core tests, sent over HTTP to an API with a remote issuer."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, replace

import pytest

from django_at_jwt.resource_server.diagnosis import diagnose_token
from tests.core.test_hostile_tokens import ROWS
from tests.core.token_factory import EXPECTED, NOW, TokenFactory

from .issuer_process import KEYS, METADATA, running_issuer

INVALID = 'Bearer error="invalid_token", error_description="The access token is invalid."'
# Left out: rows that HTTP headers cannot carry, and rows that need other expectations.
SENT = [row for row in ROWS if row.expected is EXPECTED]


@dataclass(frozen=True)
class IssuersForge(TokenFactory):
    """A factory whose tokens name the remote issuer."""

    issuer: str = ""

    @property
    def attacker(self):
        return replace(self, owner="an attacker")

    def claims(self, **changes):
        return super().claims(**{"iss": self.issuer, **changes})


@pytest.fixture(params=["one issuer", "two issuers"])
def factory(request, api, issuer, clock):
    clock.pass_by(NOW - time.time())
    with running_issuer() as other:
        other.publish(TokenFactory("ES256", "an attacker"))
        if request.param == "two issuers":
            api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings() | other.settings()}
        yield IssuersForge("ES256", issuer=issuer.issuer)
        assert not other.requests


def authorization(token):
    return token.encode("utf-8", "surrogatepass").decode("latin-1")


@pytest.mark.parametrize("part", range(6))
def test_hostile_tokens(part, factory, issuer, client, db, settings, caplog, django_assert_num_queries):
    caplog.set_level(logging.INFO, "django_at_jwt")
    assert client.get("/whoami/", HTTP_AUTHORIZATION=f"Bearer {factory.token()}").status_code == 200
    tried = 0
    for row in SENT[part::6]:
        if "ES256" not in row.algorithms:
            continue
        token = row.change(factory)
        caplog.clear()
        with django_assert_num_queries(0):
            answer = client.get("/whoami/", HTTP_AUTHORIZATION=f"Bearer {authorization(token)}")
        if authorization(token).split() != [authorization(token)]:
            # White space belongs to the header, not to the token: see tests/core/test_bearer.py.
            assert answer.status_code < 500, row.name
            continue
        assert answer.status_code == 401, (row.name, answer.status_code)
        assert answer["WWW-Authenticate"] == INVALID, row.name
        # With one issuer, the row's rule rejects the token; with two, its iss may match neither.
        assert row.reason.value in caplog.text or issuer.settings() != settings.AT_JWT["ISSUERS"], row.name
        assert len(token) < 10 or token not in caplog.text
        assert not diagnose_token(token).is_accepted
        tried += 1
    assert tried > 10
    # Only unknown kids cause requests: one for all of them.
    assert issuer.requests[METADATA] == 1
    assert issuer.requests[KEYS] <= 2
    assert client.get("/whoami/", HTTP_AUTHORIZATION=f"Bearer {factory.token()}").status_code == 200


@pytest.mark.compliance("8725-10")
def test_addresses_in_a_token_cause_no_request(factory, issuer, client, db):
    with running_issuer() as trap:
        attacker = TokenFactory("ES256", "an attacker")
        trap.pages["/keys"] = trap.publish(attacker)
        for member in ("jku", "x5u", "kid", "iss"):
            token = attacker.token(
                header=attacker.header(**{member: f"{trap.root}/keys"}),
                payload=factory.claims(jwks_uri=f"{trap.root}/keys"),
            )
            assert client.get("/whoami/", HTTP_AUTHORIZATION=f"Bearer {token}").status_code == 401
        claims = json.dumps(factory.claims(iss=trap.issuer))
        answer = client.get("/whoami/", HTTP_AUTHORIZATION=f"Bearer {attacker.token(payload=claims)}")
        assert answer.status_code == 401
        assert not trap.requests
