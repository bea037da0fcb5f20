"""The metrics for OpenTelemetry, with the meter provider that the site has set."""

from __future__ import annotations

import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from .definitions import EVENT_METRICS, Kind, Measurement, measurements
from .gauges import GAUGES, read_gauges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from django_at_jwt.events import Event

    from .definitions import Metric

_READ_EVERY: Final = 1.0  # Seconds.


def record(event: Event, **_kwargs: Any) -> None:
    """Add an event to the metrics."""
    for metric, value, labels in measurements(event):
        instruments()[metric](value, dict(zip(metric.labels, labels, strict=True)))


@lru_cache(maxsize=1)
def instruments() -> Mapping[Metric, Callable[[float, Mapping[str, str]], None]]:
    """Return the function that records each metric.

    OpenTelemetry is imported and the gauges are registered here: at the first event, not when Django starts.
    """
    from opentelemetry.metrics import get_meter  # noqa: PLC0415 - see above

    return instruments_of(get_meter("django_at_jwt"))


def instruments_of(meter: Any) -> Mapping[Metric, Callable[[float, Mapping[str, str]], None]]:
    """Create the instruments of a meter, and return the function that records each metric of the events."""
    gauges = _Gauges()
    for gauge in GAUGES:
        meter.create_observable_gauge(
            _name(gauge), callbacks=[partial(gauges.observe, gauge)], unit=gauge.unit, description=gauge.description
        )
    return {
        metric: meter.create_counter(_name(metric), description=metric.description).add
        if metric.kind is Kind.COUNTER
        else meter.create_histogram(_name(metric), unit=metric.unit, description=metric.description).record
        for metric in EVENT_METRICS
    }


def _name(metric: Metric) -> str:
    # The unit is part of the instrument, and exporters for Prometheus add it to the name.
    return f"django_at_jwt.{metric.name.removesuffix('_seconds') if metric.unit else metric.name}"


class _Gauges:
    """The values of all gauges, read once for all that an exporter asks for one after the other."""

    def __init__(self) -> None:
        self._read_at, self._values = float("-inf"), list[Measurement]()

    def observe(self, metric: Metric, _options: Any) -> Iterable[Any]:
        """Yield the values of a gauge."""
        from opentelemetry.metrics import Observation  # noqa: PLC0415 - see instruments()

        if time.monotonic() - self._read_at >= _READ_EVERY:
            self._read_at, self._values = time.monotonic(), read_gauges()
        for each in self._values:
            if each.metric is metric:
                yield Observation(each.value, dict(zip(metric.labels, each.labels, strict=True)))
