"""Spans of OpenTelemetry around work that signs, reads or asks others; nothing without ``opentelemetry-api``."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager


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
def _api() -> tuple[Callable[[], Any], type] | None:
    """Return OpenTelemetry's ``get_tracer_provider`` and the class of the provider that it returns by default.

    Return ``None`` if ``opentelemetry-api`` is not installed. It is imported at the first span, not at startup.
    """
    try:
        from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider  # noqa: PLC0415 - see above
    except ImportError:
        return None
    return get_tracer_provider, ProxyTracerProvider


@lru_cache(maxsize=1)
def _tracer_of(provider: Any) -> Any:
    return provider.get_tracer("django_at_jwt")


def tracer() -> Any:
    """Return the tracer of this app, or ``None`` if the site has set no tracer provider, so that nothing is recorded.

    Many packages install ``opentelemetry-api``, whose spans without a provider take half as long as a signature.
    """
    api = _api()
    if api is None:
        return None
    current_provider, placeholder = api
    provider = current_provider()
    return None if isinstance(provider, placeholder) else _tracer_of(provider)


def span(name: str, **attributes: str | float | None) -> AbstractContextManager[Span]:
    """Trace a block. An exception marks the span as failed with its type; its message may have personal data.

    Args:
        name: the name of the span, to which ``django_at_jwt.`` is added.
        attributes: as for :meth:`Span.set`.
    """
    current = tracer()
    return nullcontext(Span()) if current is None else _traced(current, name, attributes)


@contextmanager
def _traced(current: Any, name: str, attributes: Mapping[str, str | float | None]) -> Iterator[Span]:
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
