"""The base classes of all endpoints of this app, and the templates of its pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import oauth2_provider
from django.template.loader import select_template
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from oauth2_provider import views as toolkit_views

from .bad_requests import refusing_unreadable
from .error_handling import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DOT_FOLDER: Final = str(Path(oauth2_provider.__file__).parent)
# By the names of DOT's templates that they replace.
_OWN_TEMPLATES: Final[Mapping[str, str]] = {
    toolkit_views.AuthorizationView.template_name: "django_at_jwt/authorize.html",
    toolkit_views.DeviceConfirmView.template_name: "django_at_jwt/accept_deny.html",
}


class EndpointMixin:
    """Base of endpoints; system checks and metadata recognise protected views by it.

    It wraps the view in ``as_view()``, which keeps the attributes that decorators set on ``dispatch()``.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view, which answers 503 in an outage and 400 to unreadable requests."""
        return guarded(refusing_unreadable(super().as_view(**initkwargs)))  # type: ignore[misc]


class OwnCoreMixin:
    """Gives each view class its own oauthlib core, which DOT caches on the class and subclasses would inherit."""

    @classmethod
    def get_oauthlib_core(cls: Any) -> Any:
        """Return the oauthlib core of this class; DOT would return its parent's, with the parent's validator."""
        if "_oauthlib_core" not in vars(cls):
            cls._oauthlib_core = cls.get_oauthlib_backend_class()(cls.get_server())
        return super().get_oauthlib_core()  # type: ignore[misc]


class ConsentPageMixin(EndpointMixin):
    """Base of the pages where a user consents.

    Other sites must not frame the page (RFC 6749 section 10.13, RFC 9700 section 4.16), and caches must not store it.
    The site may lack middleware for either.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view with headers against framing and caching."""
        return xframe_options_deny(never_cache(super().as_view(**initkwargs)))

    def get_template_names(self) -> list[str]:
        """Return the view's own template, else the site's override of DOT's template, else this app's."""
        names: list[str] = super().get_template_names()  # type: ignore[misc]
        own = _OWN_TEMPLATES.get(names[0])
        if own is None or len(names) > 1 or not select_template(names).template.origin.name.startswith(_DOT_FOLDER):
            return names
        return [own]
