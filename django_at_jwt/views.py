"""Access tokens for views without Django REST framework: a decorator, and a mixin for class-based views."""

from __future__ import annotations

from functools import wraps
from inspect import isfunction
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from django_at_jwt.inbound.connections import without_broken_connections
from django_at_jwt.resource_server.rest_framework.guard import Guard, vary_by_token

from .rest_framework import AccessTokenAuthentication, HasScopes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.http import HttpRequest, HttpResponseBase

    ViewFunction = Callable[..., Any]
    _View = TypeVar("_View", bound=ViewFunction)
    Scopes = Sequence[str] | Mapping[str, Sequence[str]]

__all__ = ["AccessTokenRequiredMixin", "access_token_required"]


def access_token_required(
    permission: Any = None,
    *,
    scopes: Scopes | None = None,
    audience: str | Sequence[str] | None = None,
    revocation: str | None = None,
) -> Callable[[_View], _View]:
    """Require an access token for a view, which may be asynchronous.

    The view gets ``request.access_token``, an :class:`~django_at_jwt.rest_framework.AccessToken`, and ``request.user``.
    Other requests get the same statuses, challenges and JSON as from Django REST framework.

    The view is exempt from CSRF checks: it reads no cookie, and browsers do not send this header automatically.

    Args:
        permission: a permission class, or a combination of permission classes, that the token must also satisfy.
        scopes: the scopes that the token must have, all of them: a list, or a dict of lists by HTTP method. Methods
            that are not in the dict get status 405. An empty list accepts any token.
        audience: the required audience, if not the project's own, or several, of which one suffices.
        revocation: how tokens are checked for revocation, as for
            :class:`~django_at_jwt.rest_framework.AccessTokenAuthentication`.

    Raises:
        ImproperlyConfigured: neither a permission nor scopes are given, or ``revocation`` is unknown.
    """
    guard = make_guard(permission, scopes, audience, revocation, name="access_token_required")

    def decorated(view: _View) -> _View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                refusal = await refusal_in_event_loop(guard, request, *args, **kwargs)
                return refusal or vary_by_token(await view(request, *args, **kwargs))

            return cast("_View", _open_to_all(guarded_async))

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            refusal = guard().refusal(request, *args, **kwargs)
            return refusal or vary_by_token(view(request, *args, **kwargs))

        return cast("_View", _open_to_all(guarded))

    return decorated


class AccessTokenRequiredMixin:
    """Require an access token for a class-based view. List it before ``View`` in the bases.

    Attributes:
        required_scopes, permission, audience, revocation: see :func:`access_token_required`.

    Raises:
        ImproperlyConfigured: a class lists it after a view.
    """

    required_scopes: ClassVar[Scopes | None] = None
    permission: ClassVar[Any] = None
    audience: ClassVar[str | Sequence[str] | None] = None
    revocation: ClassVar[str | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        bases = cls.__mro__
        if View in bases and bases.index(View) < bases.index(AccessTokenRequiredMixin):
            # View.dispatch() would answer without checking the token.
            raise ImproperlyConfigured(
                f"{cls.__name__} lists AccessTokenRequiredMixin after a view: list the mixin first."
            )

    @classmethod
    def as_view(cls, **initial: Any) -> ViewFunction:
        """Return the view function.

        Args:
            initial: attributes of the view that override those of the class, including ``permission``,
                ``required_scopes``, ``audience`` and ``revocation``.

        Raises:
            ImproperlyConfigured: neither a permission nor scopes are given, or ``revocation`` is unknown.
        """
        names = ("permission", "required_scopes", "audience", "revocation")
        guard = make_guard(*(initial.get(name, getattr(cls, name)) for name in names), name=cls.__name__)
        view: ViewFunction = super().as_view(**initial, _guard=guard)  # type: ignore[misc]
        return _open_to_all(view)

    _guard: ClassVar[type[Guard] | None] = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the refusal, or the response of the view."""
        assert self._guard is not None  # noqa: S101 - as_view() has set it
        if self.view_is_async:  # type: ignore[attr-defined]
            return self._dispatch_async(request, *args, **kwargs)
        refusal = self._guard().refusal(request, *args, **kwargs)
        return refusal or vary_by_token(super().dispatch(request, *args, **kwargs))  # type: ignore[misc]

    async def _dispatch_async(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        assert self._guard is not None  # noqa: S101
        refusal = await refusal_in_event_loop(self._guard, request, *args, **kwargs)
        return refusal or vary_by_token(await super().dispatch(request, *args, **kwargs))  # type: ignore[misc]


def make_guard(
    permission: Any, scopes: Any, audience: str | Sequence[str] | None, revocation: str | None, *, name: str
) -> type[Guard]:
    """Return the guard of a view. The arguments are those of :func:`access_token_required`.

    Raises:
        ImproperlyConfigured: as there, with the name of what needs scopes or a permission.
    """
    if permission is None and scopes is None:
        raise ImproperlyConfigured(f"{name} needs scopes or a permission. To accept any token, pass scopes=[].")
    if isfunction(permission):
        raise ImproperlyConfigured(f"{name} must be called: write @{name}(scopes=[...]).")
    permissions = [HasScopes] if permission is None else [permission] if scopes is None else [HasScopes, permission]
    attributes = {
        "authentication_classes": [AccessTokenAuthentication.for_audience(audience, revocation=revocation)],
        "permission_classes": permissions,
        "required_scopes": scopes,
    }
    return type("Guard", (Guard,), {"__module__": __name__, **attributes})


async def refusal_in_event_loop(
    guard: type[Guard], request: HttpRequest, *args: Any, **kwargs: Any
) -> HttpResponseBase | None:
    """Return the error response, or ``None`` if the request is allowed. Uses a thread only if one may be needed."""
    if guard().allows_in_memory(request, *args, **kwargs):
        return None
    # Verification may read the user or the keys from the database, which Django does not allow in an event loop.
    return await sync_to_async(without_broken_connections(guard().refusal))(request, *args, **kwargs)


def _open_to_all(view: ViewFunction) -> ViewFunction:
    # The guard checks the token instead of the session and the CSRF token.
    return csrf_exempt(login_not_required(view))
