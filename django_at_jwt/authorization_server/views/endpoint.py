"""The base classes of all endpoints of this app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny

from .bad_requests import refusing_unreadable
from .error_handling import guarded

if TYPE_CHECKING:
    from collections.abc import Callable


class EndpointMixin:
    """Base of endpoints; system checks and metadata recognise protected views by it.

    It wraps the view in ``as_view()``, which keeps the attributes that decorators set on ``dispatch()``.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view, which answers 503 in an outage and 400 to unreadable requests."""
        return guarded(refusing_unreadable(super().as_view(**initkwargs)))  # type: ignore[misc]


class ConsentPageMixin(EndpointMixin):
    """Base of the pages where a user consents.

    Other sites must not frame the page (RFC 6749 section 10.13, RFC 9700 section 4.16), and caches must not store it.
    The site may lack middleware for either.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view with headers against framing and caching."""
        return xframe_options_deny(never_cache(super().as_view(**initkwargs)))
