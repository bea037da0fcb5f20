"""The references of the events and the metrics, from the code."""

from __future__ import annotations

import inspect
import logging
import re
from typing import TYPE_CHECKING

from django_at_jwt.events import ALL_EVENTS, Event
from django_at_jwt.metrics.definitions import EVENT_METRICS, Kind
from django_at_jwt.metrics.gauges import GAUGES

if TYPE_CHECKING:
    from django_at_jwt.metrics.definitions import Metric


def events_as_markdown() -> str:
    """Return a section for each event."""
    return "\n\n".join(map(_event, ALL_EVENTS))


def _event(event: type[Event]) -> str:
    summary = inspect.getdoc(event).partition("\n\nAttributes:\n")[0]
    # A field is documented by the class that declares it, which may be a base.
    declaring = (each for each in reversed(event.__mro__) if each is not Event and issubclass(each, Event))
    attributes = "\n".join(inspect.getdoc(each).partition("\n\nAttributes:\n")[2] for each in declaring)
    fields = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)$", attributes, re.MULTILINE)
    return "\n".join(
        [
            f"## `{event.name}`",
            "",
            _code(summary),
            "",
            f"Class `{event.__name__}`, logger `{event.logger_name()}`, level {_level(event)}.",
            "",
            "| Field | Meaning |",
            "| --- | --- |",
            *(f"| `{name}` | {_code(' '.join(meaning.split()).removesuffix('.'))} |" for name, meaning in fields),
        ]
    )


def _level(event: type[Event]) -> str:
    usual = f"`{logging.getLevelName(event.usual_level)}`"
    return f"{usual}, or as said above" if "level" in vars(event) else usual


def metrics_as_markdown() -> str:
    """Return the tables of the counters, the histograms and the gauges."""
    tables = [
        ("Counters", [metric for metric in EVENT_METRICS if metric.kind is Kind.COUNTER]),
        ("Histograms", [metric for metric in EVENT_METRICS if metric.kind is Kind.HISTOGRAM]),
        ("Gauges", list(GAUGES)),
    ]
    return "\n\n".join(f"## {title}\n\n{_table(metrics)}" for title, metrics in tables)


def _table(metrics: list[Metric]) -> str:
    rows = ["| Metric | Labels | Meaning |", "| --- | --- | --- |"]
    for metric in metrics:
        suffix = "_total" if metric.kind is Kind.COUNTER else ""
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `django_at_jwt_{metric.name}{suffix}` | {labels} | {_code(metric.description)} |")
    return "\n".join(rows)


def _code(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", text)
