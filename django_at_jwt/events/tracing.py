"""Spans of OpenTelemetry around work that signs, reads or asks others; nothing without ``opentelemetry-api``."""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Span:
    """A span in progress, or nothing."""

    __slots__ = ("_span",)

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def set(self, **attributes: str | float | None) -> None:
        """Set attributes under the prefix ``django_at_jwt.``; ``None`` is left out."""
        if self._span is not None:
            self._span.set_attributes(
                {f"django_at_jwt.{name}": value for name, value in attributes.items() if value is not None}
            )


@lru_cache(maxsize=1)
def tracer() -> Any:
    """Return the tracer of this app, or ``None`` if ``opentelemetry-api`` is not installed.

    It is imported at the first span, not when Django starts.
    """
    try:
        from opentelemetry.trace import get_tracer  # noqa: PLC0415 - see above
    except ImportError:
        return None
    return get_tracer("django_at_jwt")


@contextmanager
def span(name: str, **attributes: str | float | None) -> Iterator[Span]:
    """Trace a block. An exception marks the span as failed with its type; its message may have personal data.

    Args:
        name: the name of the span, to which ``django_at_jwt.`` is added.
        attributes: as for :meth:`Span.set`.
    """
    current = tracer()
    if current is None:
        yield Span()
        return
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - as above

    with current.start_as_current_span(
        f"django_at_jwt.{name}", record_exception=False, set_status_on_exception=False
    ) as started:
        traced = Span(started)
        traced.set(**attributes)
        try:
            yield traced
        except Exception as error:
            started.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
