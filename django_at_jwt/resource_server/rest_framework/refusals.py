"""What a client is told when a view refuses it: 401, or 403 with the scopes that were missing (RFC 6750 §3.1).

A permission class can only say no, and the first of them that does ends the matter. So it is the view of this one
request that is listened to, whichever permission classes it has and however they are combined, and no site has to
replace its exception handler.
"""

from __future__ import annotations

import logging
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ImproperlyConfigured
from rest_framework import exceptions, status
from rest_framework.permissions import AND, NOT, OR

from django_at_jwt.core.bearer import INSUFFICIENT_USER_AUTHENTICATION, SCHEME
from django_at_jwt.core.remedies import (
    NO_REMEDY,
    NOTHING_NEEDED,
    Remedies,
    both,
    challenge_of,
    either,
    having,
    helpful,
    lacking,
)

from .required_scopes import scope_alternatives
from .token_permission import TokenPermission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rest_framework.request import Request
    from rest_framework.views import APIView

    from .authentication import AccessTokenAuthentication
    from .principal import AccessToken

logger = logging.getLogger("django_at_jwt")


class InsufficientUserAuthentication(exceptions.APIException):
    """The user has to log in again, or in a stronger way: 401 and the challenge of RFC 9470 §3."""

    status_code = status.HTTP_401_UNAUTHORIZED
    default_detail = "The user has to log in again, or in a stronger way."
    default_code = INSUFFICIENT_USER_AUTHENTICATION

    def __init__(self, challenge: str) -> None:
        super().__init__()
        self.auth_header: Final = challenge


def explain_refusals(view: APIView, token: AccessToken, authentication: AccessTokenAuthentication) -> None:
    """Let the view's answer say what the token lacks, and where the API's metadata is."""
    listener = _Listener()
    listener.view, listener.token, listener.authentication, listener.asked = view, token, authentication, ()
    listener.permissions_of_view, listener.deny = view.get_permissions, view.permission_denied
    view.get_permissions = listener.get_permissions  # type: ignore[method-assign]
    view.permission_denied = listener.permission_denied  # type: ignore[assignment, method-assign]


class _Listener:
    """What stands between a view and its permissions for one request.

    It is one small object, since a view and its request are only freed by Python's search for cycles, and whatever
    hangs on them is searched as well: closures in its place would take a third of all the time for a remembered token.
    For the same reason :func:`explain_refusals` fills it in, and not a function of its own.
    """

    __slots__ = ("asked", "authentication", "deny", "permissions_of_view", "token", "view")

    view: APIView
    token: AccessToken
    authentication: AccessTokenAuthentication
    permissions_of_view: Callable[[], Iterable[Any]]
    deny: Callable[..., None]
    asked: Sequence[Any]

    def get_permissions(self) -> list[Any]:
        self.asked = asked = [_observed(permission, self.token) for permission in self.permissions_of_view()]
        return asked

    def permission_denied(self, request: Request, message: str | None = None, code: str | None = None) -> None:
        try:
            self.deny(request, message=message, code=code)
        except exceptions.PermissionDenied as denied:
            remedies = _remedies_of_all(self.asked, self.token, request, self.view)
            metadata_url = self.authentication.metadata_url()
            challenge = challenge_of(remedies, self.token.scopes, resource_metadata=metadata_url)
            if challenge is None:
                raise
            if challenge.error == INSUFFICIENT_USER_AUTHENTICATION:
                raise InsufficientUserAuthentication(str(challenge)) from denied
            denied.auth_header = str(challenge)  # type: ignore[attr-defined]
            raise


def ask_for_token(view: APIView, challenge: Callable[[], str]) -> None:
    """Let the view's 401 to a request without credentials ask for a token, wherever in the list our class stands.

    The view takes the first authenticator's challenge, and makes a 403 of the answer if that one has none.
    """
    get_authenticate_header = view.get_authenticate_header

    def with_ours(request: Request) -> str:
        first = get_authenticate_header(request)
        if not first or first.split(maxsplit=1)[0].lower() == SCHEME.lower():
            return challenge()
        return f"{first}, {challenge()}"

    view.get_authenticate_header = with_ours  # type: ignore[method-assign]


def scopes_to_ask_for(request: Request, view: APIView) -> tuple[str, ...]:
    """Give a set of scopes with which a request of this kind would get in, as far as scopes decide.

    There is none where the view does nothing of this kind, or forgot to say what it needs: whoever has no credentials
    is told no more than that.
    """
    try:
        ways = helpful(needs_of(view, request), frozenset())
    except (exceptions.APIException, ImproperlyConfigured):
        return ()
    except Exception:
        # The view's own code expects a user here, or a token. That must not make a 500 of a 401.
        logger.exception("The scopes that %s asks for cannot be told to a client without a token", type(view).__name__)
        return ()
    return ways[0].scopes if ways else ()


def needs_of(view: APIView, request: Request) -> Remedies:
    """Solve a view's permissions for scopes, on the assumption that nothing else stands in the way."""
    return _remedies_of_all(view.get_permissions(), None, request, view)


def _remedies_of_all(
    permissions: Iterable[Any], token: AccessToken | None, request: Request, view: APIView
) -> Remedies:
    each = (_remedies(permission, token, request, view, wanted=True) for permission in permissions)
    return reduce(both, each, NOTHING_NEEDED)


class _Observed:
    """A permission that nothing is known of but what it says: its last answer, and the scopes that it asked for."""

    def __init__(self, permission: Any, token: AccessToken) -> None:
        self._permission = permission
        self._token = token
        self.answer: bool | None = None
        self.refused_scopes: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._permission, name)

    def has_permission(self, request: Request, view: APIView) -> bool:
        return self._ask(self._permission.has_permission, request, view)

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        return self._ask(self._permission.has_object_permission, request, view, obj)

    def _ask(self, check: Callable[..., Any], *about: Any) -> bool:
        self._token.refused_scopes = ()
        self.answer = bool(check(*about))
        self.refused_scopes = self._token.refused_scopes
        return self.answer

    def remedies(self, *, wanted: bool) -> Remedies:
        # One that was not asked, since another had said no before, is in nobody's way as far as can be known.
        if self.answer is None or self.answer is wanted:
            return NOTHING_NEEDED
        return having([self.refused_scopes]) if wanted and self.refused_scopes else NO_REMEDY


def _observed(permission: Any, token: AccessToken) -> Any:
    kind = type(permission)
    if kind is AND or kind is OR:
        return kind(_observed(permission.op1, token), _observed(permission.op2, token))
    if kind is NOT:
        return NOT(_observed(permission.op1, token))
    if isinstance(permission, TokenPermission) or scope_alternatives.dispatch(kind) is not _UNKNOWN:
        return permission
    return _Observed(permission, token)


_UNKNOWN: Final = scope_alternatives.dispatch(object)


def _remedies(permission: Any, token: AccessToken | None, request: Request, view: APIView, *, wanted: bool) -> Remedies:
    kind = type(permission)
    if kind is NOT:
        return _remedies(permission.op1, token, request, view, wanted=not wanted)
    if kind is AND or kind is OR:
        one = _remedies(permission.op1, token, request, view, wanted=wanted)
        other = _remedies(permission.op2, token, request, view, wanted=wanted)
        # Not (a and b) is (not a) or (not b).
        return both(one, other) if (kind is AND) is wanted else either(one, other)
    if isinstance(permission, TokenPermission):
        return permission.remedies(token, request, view, wanted=wanted)
    if isinstance(permission, _Observed):
        return permission.remedies(wanted=wanted)
    alternatives = scope_alternatives(permission, request, view)
    if alternatives is None:
        return NOTHING_NEEDED
    return having(alternatives) if wanted else lacking(alternatives)
