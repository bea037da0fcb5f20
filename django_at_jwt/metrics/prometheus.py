"""The metrics for Prometheus, in the default registry of ``prometheus_client``."""

from __future__ import annotations

import logging
import os
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpResponse
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from .definitions import EVENT_METRICS, Kind, measurements
from .gauges import GAUGES, read_gauges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.http import HttpRequest

    from django_at_jwt.events import Event

    from .definitions import Metric

logger = logging.getLogger("django_at_jwt")

PREFIX: Final = "django_at_jwt_"

_TYPES: Final = {Kind.COUNTER: Counter, Kind.HISTOGRAM: Histogram}
_METRICS: Final = {
    metric: _TYPES[metric.kind](f"{PREFIX}{metric.name}", metric.description, metric.labels) for metric in EVENT_METRICS
}


def record(event: Event, **_kwargs: Any) -> None:
    """Add an event to the metrics."""
    for metric, value, labels in measurements(event):
        _recorder(metric, labels)(value)


@cache
def _recorder(metric: Metric, labels: tuple[str, ...]) -> Callable[[float], None]:
    """Return the function that records a metric with these labels, which have few values."""
    of_all: Any = _METRICS[metric]
    labelled = of_all.labels(*labels) if labels else of_all
    return labelled.inc if metric.kind is Kind.COUNTER else labelled.observe  # type: ignore[no-any-return]


class GaugeCollector(Collector):
    """The gauges, read when Prometheus asks for them."""

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges without values, so that registering the collector reads nothing."""
        return [_family(metric) for metric in GAUGES]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges that have values, or none if they cannot be read, so that other metrics are exported."""
        try:
            found = sorted(read_gauges(), key=lambda each: GAUGES.index(each.metric))
        except Exception:
            logger.exception("The gauges could not be read")
            return
        for metric, values in groupby(found, key=lambda each: each.metric):
            family = _family(metric)
            for each in values:
                family.add_metric(each.labels, each.value)
            yield family


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{metric.name}", metric.description, labels=metric.labels)


gauges: Final = GaugeCollector()
REGISTRY.register(gauges)


def exposition(request: HttpRequest) -> HttpResponse:
    """Return all metrics of this process, or of all processes in ``PROMETHEUS_MULTIPROC_DIR``.

    The gauges are those of the process that answers.
    """
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(gauges)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)
