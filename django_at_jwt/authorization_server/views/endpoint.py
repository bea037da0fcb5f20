"""What every endpoint of this app does, wherever a site mounts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny

from .bad_requests import refusing_unreadable
from .error_handling import guarded

if TYPE_CHECKING:
    from collections.abc import Callable


class EndpointMixin:
    """Base of the mixins for endpoints; the system checks and the metadata recognise a protected view by it.

    It wraps the view in ``as_view()``, where the attributes that decorators have put on ``dispatch()`` are kept.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view, guarded, for requests that can be read."""
        return guarded(refusing_unreadable(super().as_view(**initkwargs)))  # type: ignore[misc]


class ConsentPageMixin(EndpointMixin):
    """Base of the pages where a user agrees to something.

    Another site must not frame the page (RFC 6749 §10.13, RFC 9700 §4.16), and no cache may keep it. A site may have
    no middleware for either.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view, for no frame and no cache."""
        return xframe_options_deny(never_cache(super().as_view(**initkwargs)))
