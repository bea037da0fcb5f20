"""Metrics of the events and of the state, for Prometheus and OpenTelemetry, if their libraries are installed."""

from __future__ import annotations

from importlib.util import find_spec

from django_at_jwt.events import event_emitted


def connect_metrics() -> None:
    """Record events in the metrics of each library that is installed: ``prometheus_client`` and OpenTelemetry's API."""
    if find_spec("prometheus_client") is not None:
        from . import prometheus  # noqa: PLC0415 - it imports the library

        event_emitted.connect(prometheus.record, dispatch_uid="django_at_jwt.metrics.prometheus")
    if find_spec("opentelemetry") is not None and find_spec("opentelemetry.metrics") is not None:
        from . import opentelemetry  # noqa: PLC0415 - it imports the library at the first event

        event_emitted.connect(opentelemetry.record, dispatch_uid="django_at_jwt.metrics.opentelemetry")
