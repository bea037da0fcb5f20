"""Access tokens for views that are not Django REST framework's: a decorator, and a mixin for class-based views."""

from __future__ import annotations

from functools import wraps
from inspect import isfunction
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from django_at_jwt.resource_server.rest_framework.guard import Guard, depends_on_token

from .rest_framework import AccessTokenAuthentication, HasScopes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from django.http import HttpRequest, HttpResponseBase

    ViewFunction = Callable[..., Any]
    Scopes = Sequence[str] | Mapping[str, Sequence[str]]

__all__ = ["AccessTokenRequiredMixin", "access_token_required"]


def access_token_required(
    permission: Any = None, *, scopes: Scopes | None = None, audience: str | None = None
) -> Callable[[ViewFunction], ViewFunction]:
    """Let only requests with an access token reach a view, which may be asynchronous.

    The view gets ``request.access_token``, an :class:`~django_at_jwt.rest_framework.AccessToken`, and ``request.user``.
    Others are answered as by Django REST framework, with the same statuses, challenges and JSON.

    Such a view needs no CSRF token: it looks at no cookie, and no browser sends this header by itself.

    Args:
        permission: a permission class, or a combination of some, that the token has to fulfil as well.
        scopes: those that the token must all have: a list, or a dict of lists by HTTP method. Methods that are not in
            the dict are answered with 405. An empty list says that any token will do.
        audience: what ``aud`` must hold, if not the project's own.

    Raises:
        ImproperlyConfigured: neither a permission nor scopes are given.
    """
    guard = _gate(permission, scopes, audience, name="access_token_required")

    def decorated(view: ViewFunction) -> ViewFunction:
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                refusal = await _refusal_async(guard, request, *args, **kwargs)
                return refusal or _of_token(await view(request, *args, **kwargs))

            return _open_to_all(guarded_async)

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = guard().refusal(request, *args, **kwargs)
            return refusal or _of_token(view(request, *args, **kwargs))

        return _open_to_all(guarded)

    return decorated


class AccessTokenRequiredMixin:
    """Let only requests with an access token reach a class-based view; stands before ``View`` among its bases.

    Attributes:
        required_scopes, permission, audience: as for :func:`access_token_required`.

    Raises:
        ImproperlyConfigured: a class names it behind a view.
    """

    required_scopes: ClassVar[Scopes | None] = None
    permission: ClassVar[Any] = None
    audience: ClassVar[str | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        bases = cls.__mro__
        if View in bases and bases.index(View) < bases.index(AccessTokenRequiredMixin):
            # View.dispatch() would answer at once, and nobody would look for a token.
            raise ImproperlyConfigured(
                f"{cls.__name__} has AccessTokenRequiredMixin behind a view: name the mixin first."
            )

    @classmethod
    def as_view(cls, **initial: Any) -> ViewFunction:
        """Make the view.

        Args:
            initial: attributes of this view in place of those of the class, as for Django's own, and so ``permission``,
                ``required_scopes`` and ``audience`` as well.

        Raises:
            ImproperlyConfigured: neither a permission nor scopes are said.
        """
        said = {name: initial.get(name, getattr(cls, name)) for name in ("permission", "required_scopes", "audience")}
        guard = _gate(said["permission"], said["required_scopes"], said["audience"], name=cls.__name__)
        view: ViewFunction = super().as_view(**initial, _gate=guard)  # type: ignore[misc]
        return _open_to_all(view)

    _gate: ClassVar[type[Guard] | None] = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer, or let the view do so."""
        assert self._gate is not None  # noqa: S101 - as_view() has set it
        if self.view_is_async:  # type: ignore[attr-defined]
            return self._dispatch_async(request, *args, **kwargs)
        refusal = self._gate().refusal(request, *args, **kwargs)
        return refusal or _of_token(super().dispatch(request, *args, **kwargs))  # type: ignore[misc]

    async def _dispatch_async(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        assert self._gate is not None  # noqa: S101
        refusal = await _refusal_async(self._gate, request, *args, **kwargs)
        return refusal or _of_token(await super().dispatch(request, *args, **kwargs))  # type: ignore[misc]


def _gate(permission: Any, scopes: Any, audience: str | None, *, name: str) -> type[Guard]:
    if permission is None and scopes is None:
        raise ImproperlyConfigured(f"{name} needs scopes or a permission. Where any token will do, say scopes=[].")
    if isfunction(permission):
        raise ImproperlyConfigured(f"{name} is called first: write @{name}(scopes=[...]).")
    asked = [HasScopes] if permission is None else [permission] if scopes is None else [HasScopes, permission]
    attributes = {
        "authentication_classes": [
            AccessTokenAuthentication if audience is None else AccessTokenAuthentication.for_audience(audience)
        ],
        "permission_classes": asked,
        "required_scopes": scopes,
    }
    return type("Guard", (Guard,), {"__module__": __name__, **attributes})


def _refusal_async(
    guard: type[Guard], request: HttpRequest, *args: Any, **kwargs: Any
) -> Awaitable[HttpResponseBase | None]:
    # Verifying may read the user or the keys from the database, which Django does not let an event loop do.
    return sync_to_async(guard().refusal)(request, *args, **kwargs)


def _of_token(response: HttpResponseBase) -> HttpResponseBase:
    depends_on_token(response)
    return response


def _open_to_all(view: ViewFunction) -> ViewFunction:
    # The token is what decides here. A login page and a CSRF token are for browsers with a session.
    return csrf_exempt(login_not_required(view))
