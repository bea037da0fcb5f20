"""Metrics for Prometheus: what events and the state of the site amount to."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from django_at_jwt import metrics
from django_at_jwt.authorization_server.keys.revocation import revoke_signing_key
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.events import ALL_EVENTS, DenyListFailed, EndpointUnavailable, IssuerFailed, IssuerFetched, emit
from django_at_jwt.metrics import gauges
from django_at_jwt.metrics.definitions import EVENT_METRICS, measurements
from django_at_jwt.models import SigningKey
from django_at_jwt.resource_server.verification import verify_token
from tests.conftest import SECRET
from tests.patience import PATIENCE_SECONDS

PREFIX = "django_at_jwt_"


def value(name, **labels):
    return REGISTRY.get_sample_value(f"{PREFIX}{name}", labels) or 0


@pytest.fixture
def added():
    """Return how much a sample has grown since the test began."""
    before = {
        (each.name, *sorted(each.labels.items())): each.value
        for family in REGISTRY.collect()
        for each in family.samples
    }

    def growth(name, **labels):
        return value(name, **labels) - before.get((f"{PREFIX}{name}", *sorted(labels.items())), 0)

    return growth


@pytest.mark.django_db
class TestCounters:
    def test_tokens_by_grant_and_algorithm(self, signing_keys, service, web, user, added):
        service.token("client_credentials", scope="read")
        service.token("client_credentials", scope="read")
        web.code_flow(user)
        algorithm = signing_keys[0].algorithm
        labels = {"format": "at+jwt", "algorithm": algorithm}
        assert added("tokens_issued_total", grant="client_credentials", **labels) == 2
        assert added("tokens_issued_total", grant="authorization_code", **labels) == 1
        assert added("token_issue_seconds_count", **labels) == 3
        assert added("token_issue_seconds_sum", **labels) > 0

    def test_refusals_by_error(self, signing_keys, service, added):
        service.token("client_credentials", client_secret="wrong")
        service.token("made up")
        assert added("tokens_refused_total", endpoint="token", grant="client_credentials", error="invalid_client") == 1
        assert added("tokens_refused_total", endpoint="token", grant="other", error="unsupported_grant_type") == 1

    def test_rejections_by_reason(self, signing_keys, client, added):
        client.get("/whoami/", headers={"Authorization": "Bearer no.token.atall"})
        assert added("tokens_rejected_total", where="api", reason="malformed") == 1

    def test_keys(self, keys_made_quickly, added):
        old, _new = rotate_signing_keys().keys
        revoke_signing_key(old.kid, reason="leaked")
        assert added("keys_made_total", algorithm="ES256", cause="rotation") == 2
        assert added("keys_made_total", algorithm="ES256", cause="revocation") == 1
        assert added("keys_revoked_total", algorithm="ES256") == 1
        assert added("rotations_total", outcome="changed") == 1

    def test_label_values_are_not_chosen_by_clients(self, signing_keys, service, client, added):
        for number in range(5):
            service.token(f"grant {number}", scope=f"scope {number}", resource=f"https://{number}.example.com/")
            service.post("/o/token/", {"grant_type": "client_credentials", "client_id": f"client {number}"})
            client.get("/whoami/", headers={"Authorization": f"Bearer a.b.c{number}"})
        labels = {text for family in REGISTRY.collect() for each in family.samples for text in each.labels.values()}
        assert not {text for text in labels if any(f"{word} " in text for word in ("grant", "scope", "client"))}
        assert service.application.client_id not in labels


@pytest.mark.django_db
def test_issuers_and_outages(added):
    issuer = "https://as.example.com"
    emit(IssuerFetched(issuer=issuer, document="jwk_set", outcome="fetched", seconds=0.25))
    emit(IssuerFailed(issuer=issuer, purpose="keys", fallback="", detail=""))
    emit(DenyListFailed(detail=""))
    emit(EndpointUnavailable(method="POST", path="/o/token/", detail=""))
    assert added("issuer_fetches_total", issuer=issuer, outcome="fetched") == 1
    assert added("issuer_fetches_total", issuer=issuer, outcome="failed") == 1
    assert added("issuer_fetch_seconds_sum", issuer=issuer, document="jwk_set") == 0.25
    assert added("deny_list_reads_total", outcome="failed") == 1
    assert added("unavailable_responses_total") == 1


def test_each_metric_has_an_event():
    examples = (event(**dict.fromkeys((field.name for field in fields(event)), False)) for event in ALL_EVENTS)
    measured = {type(event) for event in examples if list(measurements(event))}
    # States are gauges, and a rewrapping runs in a command, whose process ends before it is asked.
    not_measured = {"key.announced", "key.signing", "key.retained", "key.retired", "key.rewrapped"}
    assert {event.name for event in set(ALL_EVENTS) - measured} == not_measured
    assert len({metric.name for metric in (*EVENT_METRICS, *gauges.GAUGES)}) == len(EVENT_METRICS) + len(gauges.GAUGES)


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly")
class TestGauges:
    def test_keys_by_state(self):
        assert value("signing_keys", algorithm="ES256", state="signing") == 0
        assert REGISTRY.get_sample_value(f"{PREFIX}signing_keys", {"algorithm": "ES256", "state": "announced"}) == 0
        _old, new = rotate_signing_keys().keys
        states = {
            state: value("signing_keys", algorithm="ES256", state=state)
            for state in ("announced", "signing", "revoked")
        }
        assert states == {"announced": 1, "signing": 1, "revoked": 0}
        assert value("next_key_signs_timestamp_seconds", algorithm="ES256") == new.signing_at.timestamp()

    def test_rotation_is_due_before_the_next_key_signs_and_overdue_without_it(self, monkeypatch):
        rotate_signing_keys()
        due = value("rotation_due_timestamp_seconds")
        assert timezone.now().timestamp() < due < value("next_key_signs_timestamp_seconds", algorithm="ES256")
        later = timezone.now() + timedelta(days=400)
        monkeypatch.setattr(gauges.timezone, "now", lambda: later)
        assert value("rotation_due_timestamp_seconds") == due
        assert value("signing_keys", algorithm="ES256", state="announced") == 0

    def test_key_that_cannot_be_decrypted(self):
        rotate_signing_keys()
        assert value("signing_keys_unopenable") == 0
        SigningKey.objects.filter(kid=SigningKey.objects.earliest("signing_at").kid).update(private_jwe="a.b.c.d.e")
        assert value("signing_keys_unopenable") == 1

    def test_deny_list_that_was_not_read_has_no_age(self, monkeypatch):
        assert REGISTRY.get_sample_value(f"{PREFIX}deny_list_age_seconds") is None
        deny_list.renew()
        assert 0 <= value("deny_list_age_seconds") < 60

    def test_database_that_is_away_leaves_the_other_metrics(self, monkeypatch):
        def fail():
            raise OperationalError("the database is away")
            yield

        assert value("database_readable") == 1
        monkeypatch.setattr(gauges, "_key_gauges", fail)
        assert REGISTRY.get_sample_value(f"{PREFIX}database_readable") == 0
        assert REGISTRY.get_sample_value(f"{PREFIX}rotation_due_timestamp_seconds") is None

    def test_a_scrape_in_a_transaction_does_not_end_it(self, monkeypatch):
        closed = []
        monkeypatch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", closed.append)
        list(REGISTRY.collect())
        assert closed == []

    def test_two_scrapes_take_few_statements_and_open_each_key_once(self, django_assert_num_queries, monkeypatch):
        rotate_signing_keys()
        list(REGISTRY.collect())
        from django_at_jwt.authorization_server import row_cache
        from django_at_jwt.authorization_server.keys import encryption

        monkeypatch.setattr(encryption, "require_row_that_opens", lambda row: pytest.fail("a key was opened again"))
        # On a slow machine, the APIs were read more than a second ago.
        monkeypatch.setattr(row_cache, "_LEAST_AGE", PATIENCE_SECONDS)
        with django_assert_num_queries(2):
            assert value("signing_keys_unopenable") == 0


def test_age_of_an_issuer(api, issuer, db):
    name = f"{PREFIX}issuer_age_seconds"
    assert REGISTRY.get_sample_value(name, {"issuer": issuer.issuer}) is None
    verify_token(issuer.token())
    assert 0 <= REGISTRY.get_sample_value(name, {"issuer": issuer.issuer}) < 60


@pytest.mark.django_db
class TestExposition:
    def test_is_read_by_the_parser(self, signing_keys, service, client):
        service.token("client_credentials", scope="read")
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain")
        assert "no-store" in answer["Cache-Control"]
        names = {family.name for family in text_string_to_metric_families(answer.content.decode())}
        assert {f"{PREFIX}{metric.name}" for metric in EVENT_METRICS} <= names
        assert {f"{PREFIX}signing_keys", f"{PREFIX}rotation_due_timestamp_seconds"} <= names

    def test_has_no_secret_and_no_client(self, signing_keys, service, web, user, client):
        token = service.token("client_credentials", scope="read").json()["access_token"]
        web.code_flow(user)
        page = client.get("/metrics").content.decode()
        found = [text for text in (SECRET, token, user.username, *(key.kid for key in signing_keys)) if text in page]
        assert found == []
        assert service.application.client_id not in page

    def test_is_for_get_only(self):
        assert Client().post("/metrics").status_code == 405


@pytest.mark.ci
def test_several_processes(tmp_path):
    """As gunicorn's workers: what each adds is in the page of any of them."""
    script = """
import django; django.setup()
from django.test import RequestFactory
from django_at_jwt.events import AccessTokenRejected, emit
from django_at_jwt.metrics.prometheus import exposition
emit(AccessTokenRejected(where="api", reason="expired", detail=""))
import django_at_jwt.metrics.gauges as gauges
gauges._issuer_gauges = lambda: ()
print(exposition(RequestFactory().get("/metrics")).content.decode())
"""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
    assert f'{PREFIX}tokens_rejected_total{{reason="expired",where="api"}} 2.0' in run.stdout


def test_nothing_is_measured_without_the_libraries(monkeypatch):
    connected = []
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    monkeypatch.setattr(metrics.event_emitted, "connect", lambda *receiver, **_options: connected.append(receiver))
    metrics.connect_metrics()
    assert connected == []


def test_gauges_that_fail_leave_other_metrics_readable(monkeypatch, caplog):
    """As in a test without a database, which reads a metric of the site from the same registry."""

    def fail():
        raise RuntimeError("Database access not allowed")

    monkeypatch.setattr("django_at_jwt.metrics.prometheus.read_gauges", fail)
    names = {family.name for family in REGISTRY.collect()}
    assert "django_at_jwt_tokens_issued" in names or any(name.startswith("python_") for name in names)
    assert "django_at_jwt_signing_keys" not in names
    assert "The gauges could not be read" in caplog.text
