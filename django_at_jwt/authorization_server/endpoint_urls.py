"""Find the authorization server's endpoints in the site's URLconf.

Views are found by their class, since a site may serve an endpoint with a subclass, at any path, under any name and in
any namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from django.conf import settings as django_settings
from django.urls import (
    NoReverseMatch,
    Resolver404,
    URLPattern,
    URLResolver,
    get_resolver,
    get_script_prefix,
    get_urlconf,
    resolve,
    reverse,
)
from django.urls.resolvers import LocalePrefixPattern, RoutePattern
from oauth2_provider import views as toolkit_views

from django_at_jwt.authorization_server.toolkit import BaseAuthorizationView, PushedAuthorizationRequestView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_TOOLKIT_APP: Final = "oauth2_provider"
# DOT's URL names of the endpoints that clients call themselves, so that no user is logged in.
ENDPOINTS_WITHOUT_USER: Final = (
    "token",
    "revoke-token",
    "introspect",
    "device-authorization",
    "pushed-authorization-request",
)
# The endpoints that the metadata of RFC 8414 requires.
_REQUIRED_ENDPOINTS: Final = ("authorize", "token")
# DOT's URL names, and the class that every view of that endpoint derives from.
TOOLKIT_VIEWS: Final[Mapping[str, type]] = {
    "authorize": BaseAuthorizationView,
    "pushed-authorization-request": PushedAuthorizationRequestView,
    "token": toolkit_views.TokenView,
    "revoke-token": toolkit_views.RevokeTokenView,
    "introspect": toolkit_views.IntrospectTokenView,
    "device-authorization": toolkit_views.DeviceAuthorizationView,
    "device": toolkit_views.DeviceUserCodeView,
    "device-confirm": toolkit_views.DeviceConfirmView,
    "device-grant-status": toolkit_views.DeviceGrantStatusView,
    "user-info": toolkit_views.UserInfoView,
    "rp-initiated-logout": toolkit_views.RPInitiatedLogoutView,
    "register": toolkit_views.ApplicationRegistration,
    "dcr-register": toolkit_views.DynamicClientRegistrationView,
    "dcr-register-management": toolkit_views.DynamicClientRegistrationManagementView,
    "jwks-info": toolkit_views.JwksInfoView,
    "oauth-server-metadata": toolkit_views.OAuthServerMetadataView,
    "oidc-connect-discovery-info": toolkit_views.ConnectDiscoveryInfoView,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MountedView:
    """A view of the site's URLconf."""

    callback: Callable[..., Any]
    view_class: type | None
    name: str | None
    namespaces: tuple[str, ...]
    app_names: tuple[str, ...]
    patterns: tuple[Any, ...]

    @property
    def route(self) -> str:
        """The route as written in the URLconf, with its parameters, for messages."""
        return "/" + "".join(str(pattern) for pattern in self.patterns)

    def path(self, **parameters: str) -> str | None:
        """Return the path at which this view answers.

        Args:
            parameters: values of the route's parameters.

        Returns:
            ``None`` if another view answers there, or if the path cannot be built: a regular expression has no name, or
            the route has other parameters.
        """
        path = self._candidate_path(parameters)
        return path if path is not None and self.answers_at(path) else None

    def is_shadowed(self, **parameters: str) -> bool:
        """Return whether an earlier pattern of the URLconf matches all requests to this view."""
        path = self._candidate_path(parameters)
        return path is not None and not self.answers_at(path)

    def answering_callback(self) -> Callable[..., Any] | None:
        """Return the view that answers at this one's address, or ``None`` if the address cannot be built."""
        path = self._candidate_path({})
        return None if path is None else _callback_at(path)

    def answers_at(self, path: str) -> bool:
        """Return whether a request to a path (including the script prefix) reaches this view."""
        return bool(_callback_at(path) == self.callback)

    def _candidate_path(self, parameters: dict[str, str]) -> str | None:
        if all(_is_literal(pattern) for pattern in self.patterns):
            # Not reversed by name, which two views may share.
            return get_script_prefix() + self.route[1:]
        try:
            return reverse(":".join((*self.namespaces, self.name)) if self.name else self.callback, kwargs=parameters)
        except NoReverseMatch:
            return None


def mounted_views(*classes: type) -> tuple[MountedView, ...]:
    """Return the views of these classes and of their subclasses, in the order of the URLconf."""
    return _views_of(get_resolver(get_urlconf() or django_settings.ROOT_URLCONF), classes)


def endpoint_views(name: str) -> tuple[MountedView, ...]:
    """Return the views that serve an endpoint, in the order of the URLconf.

    Args:
        name: DOT's URL name of the endpoint. A view that derives from no view of DOT's counts if it has this name in
            DOT's namespace, or if it answers in place of the authorization or the token endpoint.
    """
    return _endpoint_views(get_resolver(get_urlconf() or django_settings.ROOT_URLCONF), name)


def endpoint_path(name: str, **parameters: str) -> str | None:
    """Return the path of an endpoint, or ``None`` if the site has not mounted it."""
    return first_path(endpoint_views(name), **parameters)


def first_path(views: Iterable[MountedView], **parameters: str) -> str | None:
    """Return the path of the first of these views that has one, or ``None``."""
    paths = (view.path(**parameters) for view in views)
    return next((path for path in paths if path is not None), None)


def is_endpoint(url: str, *names: str) -> bool:
    """Return whether the URL of a request belongs to one of these endpoints."""
    callback = _callback_at(unquote(urlsplit(url).path))
    return callback is not None and any(view.callback == callback for name in names for view in endpoint_views(name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A pattern of the URLconf that matches a path.

    Attributes:
        route: the pattern as written in the URLconf.
        callback: its view.
        args: the positional arguments of the view.
        kwargs: the keyword arguments of the view.
    """

    route: str
    callback: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def view_class(self) -> type | None:
        """The class of the view, if it has one."""
        return _class_of(self.callback)


def matches(path: str) -> tuple[Match, ...]:
    """Return all patterns that match a path, in the order of the URLconf. Only the view of the first one is called."""
    return tuple(_matches([get_resolver(get_urlconf() or django_settings.ROOT_URLCONF)], path, "", (), {}))


def _matches(
    patterns: Iterable[URLPattern | URLResolver],
    path: str,
    before: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Iterator[Match]:
    for each in patterns:
        found = each.pattern.match(path)
        if found is None:
            continue
        rest, own_args, own_kwargs = found
        route = before + str(each.pattern).removeprefix("^/")
        if isinstance(each, URLResolver):
            values = {**kwargs, **own_kwargs, **each.default_kwargs}
            yield from _matches(each.url_patterns, rest, route, (*args, *own_args), values)
        else:
            values = {**kwargs, **own_kwargs, **each.default_args}
            yield Match(route=f"/{route}", callback=each.callback, args=(*args, *own_args), kwargs=values)


def _callback_at(path: str) -> Any:
    try:
        return resolve("/" + path.removeprefix(get_script_prefix())).func
    except Resolver404:
        return None


@lru_cache(maxsize=256)
def _endpoint_views(resolver: URLResolver, name: str) -> tuple[MountedView, ...]:
    found = [
        view
        for view in _views(resolver)
        if (view.view_class is not None and issubclass(view.view_class, TOOLKIT_VIEWS[name]))
        or (view.name == name and _TOOLKIT_APP in view.app_names)
    ]
    if name not in _REQUIRED_ENDPOINTS:
        return tuple(found)
    callbacks = {view.answering_callback() for view in found}
    return tuple(view for view in _views(resolver) if view in found or view.callback in callbacks)


@lru_cache(maxsize=256)
def _views_of(resolver: URLResolver, classes: tuple[type, ...]) -> tuple[MountedView, ...]:
    return tuple(view for view in _views(resolver) if view.view_class and issubclass(view.view_class, classes))


# Keyed by the resolver, which Django replaces when the URLconf changes.
@lru_cache(maxsize=8)
def _views(resolver: URLResolver) -> tuple[MountedView, ...]:
    return tuple(_walk(resolver.url_patterns))


def _walk(
    patterns: Iterable[URLPattern | URLResolver],
    before: tuple[Any, ...] = (),
    namespaces: tuple[str, ...] = (),
    app_names: tuple[str, ...] = (),
) -> Iterator[MountedView]:
    for each in patterns:
        here = (*before, each.pattern)
        if isinstance(each, URLResolver):
            yield from _walk(
                each.url_patterns,
                here,
                (*namespaces, each.namespace) if each.namespace else namespaces,
                (*app_names, each.app_name) if each.app_name else app_names,
            )
            continue
        yield MountedView(
            callback=each.callback,
            view_class=_class_of(each.callback),
            name=each.name,
            namespaces=namespaces,
            app_names=app_names,
            patterns=here,
        )


def _class_of(callback: Any) -> type | None:
    """Return the class of a view, unwrapping decorators and ``functools.partial``."""
    while callback is not None:
        view_class = getattr(callback, "view_class", None)
        if isinstance(view_class, type):
            return view_class
        callback = getattr(callback, "__wrapped__", None) or getattr(callback, "func", None)
    return None


def _is_literal(pattern: Any) -> bool:
    return isinstance(pattern, LocalePrefixPattern) or (isinstance(pattern, RoutePattern) and "<" not in str(pattern))
