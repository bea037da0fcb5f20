"""Spans and metrics of OpenTelemetry, with its SDK and exporters in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.db import OperationalError
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import ProxyTracerProvider, StatusCode

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.revocation import deny_list as deny_list_module
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.core.errors import KeysUnavailable, RevocationUnavailable
from django_at_jwt.events import AccessTokenRejected, emit, tracing
from django_at_jwt.metrics import opentelemetry as metrics
from django_at_jwt.resource_server.verification import verify_token
from tests.conftest import decoded
from tests.resource_server.remote.issuer_process import KEYS, Page


def recording_provider():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


@pytest.fixture
def spans(monkeypatch):
    provider, exporter = recording_provider()
    monkeypatch.setattr(tracing, "tracer", lambda: provider.get_tracer("django_at_jwt"))
    return exporter.get_finished_spans


def named(spans, name):
    return [span for span in spans() if span.name == f"django_at_jwt.{name}"]


@pytest.mark.django_db
class TestSpans:
    def test_token(self, signing_keys, service, spans):
        token = service.token("client_credentials", scope="read").json()["access_token"]
        [span] = named(spans, "issue_token")
        assert dict(span.attributes) == {
            "django_at_jwt.grant": "client_credentials",
            "django_at_jwt.format": "at+jwt",
            "django_at_jwt.algorithm": decoded(token)[0]["alg"],
        }

    def test_token_that_is_not_issued_has_no_text_of_the_error(self, service, spans):
        assert service.token("client_credentials").status_code == 503
        [span] = named(spans, "issue_token")
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "IssuanceFailed")
        assert span.events == ()

    def test_verification_of_an_own_token_has_none(self, signing_keys, service, client, spans):
        token = service.token("client_credentials", scope="read").json()["access_token"]
        before = len(spans())
        assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert len(spans()) == before

    def test_deny_list(self, spans, monkeypatch):
        deny_list.renew()
        [span] = named(spans, "read_deny_list")
        assert span.status.status_code is StatusCode.UNSET

        def fail(*_args, **_options):
            raise OperationalError("the database is away")

        monkeypatch.setattr(deny_list_module, "_rows", fail)
        deny_list.clear()
        with pytest.raises(RevocationUnavailable):
            deny_list.renew()
        assert named(spans, "read_deny_list")[-1].status.description == "OperationalError"


class TestSpansOfARemoteIssuer:
    def test_documents_are_fetched_in_one_span_before_the_first_token_only(self, api, issuer, spans):
        verify_token(issuer.token())
        verify_token(issuer.token())
        [keys] = named(spans, "fetch_issuer_keys")
        documents = named(spans, "fetch_document")
        assert [span.attributes["django_at_jwt.document"] for span in documents] == ["metadata", "jwk_set"]
        assert {span.attributes["django_at_jwt.outcome"] for span in documents} == {"fetched"}
        assert {span.parent.span_id for span in documents} == {keys.context.span_id}
        assert keys.attributes["django_at_jwt.issuer"] == issuer.issuer

    def test_issuer_that_fails(self, api, issuer, spans):
        issuer.pages[KEYS] = Page(status=500)
        with pytest.raises(KeysUnavailable):
            verify_token(issuer.token())
        assert named(spans, "fetch_issuer_keys")[0].status.status_code is StatusCode.ERROR


@pytest.mark.django_db
def test_metrics_and_gauges(keys_made_quickly, monkeypatch):
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    instruments = metrics.instruments_of(provider.get_meter("django_at_jwt"))
    monkeypatch.setattr(metrics, "instruments", lambda: instruments)
    rotate_signing_keys()
    emit(AccessTokenRejected(where="api", reason="expired", detail=""))
    emit(AccessTokenRejected(where="api", reason="expired", detail=""))
    reads = []
    read_gauges = metrics.read_gauges
    monkeypatch.setattr(metrics, "read_gauges", lambda: reads.append(1) or read_gauges())
    [resource] = reader.get_metrics_data().resource_metrics
    assert len(reads) == 1
    [scope] = resource.scope_metrics
    points = {metric.name: metric.data.data_points for metric in scope.metrics}
    [rejected] = points["django_at_jwt.tokens_rejected"]
    assert (rejected.value, dict(rejected.attributes)) == (2, {"where": "api", "reason": "expired"})
    states = {point.attributes["state"]: point.value for point in points["django_at_jwt.signing_keys"]}
    assert (states["signing"], states["announced"]) == (1, 1)
    provider.shutdown()


def test_nothing_is_imported_until_something_is_measured():
    script = (
        "import django, sys; django.setup(); import django_at_jwt.urls; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry.trace', 'opentelemetry.metrics'))])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"


def test_nothing_is_traced_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    tracing._api.cache_clear()
    try:
        with tracing.span("issue_token", grant="client_credentials") as span:
            span.set(format="at+jwt")
        assert tracing.tracer() is None
    finally:
        tracing._api.cache_clear()


def test_nothing_is_traced_without_a_tracer_provider():
    assert tracing.tracer() is None


def test_spans_go_to_the_tracer_provider_that_the_site_sets(monkeypatch):
    provider, exporter = recording_provider()
    monkeypatch.setattr(tracing, "_api", lambda: (lambda: provider, ProxyTracerProvider))
    with tracing.span("issue_token", grant="client_credentials"):
        pass
    assert [span.name for span in exporter.get_finished_spans()] == ["django_at_jwt.issue_token"]
