"""Challenges of permissions that deny a token (RFC 6750 section 3.1, RFC 9470 section 3).

A permission that is an item of the view's own list raises an exception that carries the challenge. It is an
``APIException``, the only exception that DRF's ``OPTIONS`` handler and browsable API catch when they try permissions.
Anywhere else, such as inside DRF's own operators, the permission returns ``False``: another operand may allow the
request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rest_framework import exceptions, status
from rest_framework.permissions import AND, OR, OperandHolder, OperationHolderMixin

from django_at_jwt.core.bearer import INSUFFICIENT_SCOPE, INSUFFICIENT_USER_AUTHENTICATION, Challenge
from django_at_jwt.resource_server.access_token import AccessToken

from .authentication import AccessTokenAuthentication
from .scopes import joined, sufficient_scopes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rest_framework.request import Request
    from rest_framework.views import APIView

    from .scopes import ScopeSets

STEP_UP_NEEDED: Final = "The user must log in again, or with a stronger method."
_MAX_LISTED_SETS: Final = 5


class InsufficientUserAuthentication(exceptions.APIException):
    """The user must log in again or with a stronger method: 401 with the challenge of RFC 9470 section 3."""

    status_code = status.HTTP_401_UNAUTHORIZED
    default_detail = STEP_UP_NEEDED
    default_code = INSUFFICIENT_USER_AUTHENTICATION

    def __init__(self, challenge: str) -> None:
        super().__init__()
        self.auth_header: Final = challenge


class Combinable(OperationHolderMixin):
    """Operators that make ``ours & other`` and ``ours | other`` expressions that can carry a challenge."""

    def __and__(self, other: Any) -> Expression:
        return Expression(_And, self, other)  # type: ignore[arg-type]

    def __or__(self, other: Any) -> Expression:
        return Expression(_Or, self, other)  # type: ignore[arg-type]


class Expression(Combinable, OperandHolder):
    """Two permission classes joined by an operator, the left one ours. DRF calls it to get a permission."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the permission."""
        operation: Any = super().__call__(*args, **kwargs)
        operation.expression = self
        return operation


class Challenging:
    """A permission that can name what a denied token lacks."""

    def challenge(self, token: AccessToken, request: Request, view: APIView) -> Challenge | None:
        """Return the challenge for a denied token, or ``None`` if no other token would help.

        Leave out its ``scopes``: they are filled in from all permissions of the view.
        """
        return None

    def deny(self, request: Request, view: APIView) -> bool:
        """Return ``False``, or raise the challenge if this permission is an item of the view's list.

        Raises:
            PermissionDenied: 403 with ``insufficient_scope``, or any other exception of ``view.permission_denied()``.
            InsufficientUserAuthentication: 401, the user must log in again.
        """
        token = request.auth
        if not isinstance(token, AccessToken) or not hasattr(view, "get_permissions"):
            return False
        # Before the challenge is computed: an operator evaluates its operands again for it, which must not recurse.
        listed: Sequence[object] = view.get_permissions()
        challenge = self.challenge(token, request, view) if self in listed else None
        if challenge is None:
            return False
        try:
            view.permission_denied(request, message=getattr(self, "message", None), code=getattr(self, "code", None))
        except exceptions.PermissionDenied as denied:
            challenge = self._complete(challenge, listed, request, view)
            if challenge is None:
                raise
            if challenge.error == INSUFFICIENT_USER_AUTHENTICATION:
                raise InsufficientUserAuthentication(str(challenge)) from denied
            denied.auth_header = str(challenge)  # type: ignore[attr-defined]
            raise
        return False

    def _complete(
        self, challenge: Challenge, listed: Sequence[object], request: Request, view: APIView
    ) -> Challenge | None:
        """Add the scopes, so that one new token satisfies all permissions in the view's list.

        Returns:
            ``None`` if no set of scopes satisfies all of them.
        """
        token: Any = request.auth
        lacks_scope = challenge.error == INSUFFICIENT_SCOPE

        def sufficient(permission: object) -> ScopeSets:
            if not lacks_scope or permission != self:
                return sufficient_scopes(permission, request, view)
            sets = sufficient_scopes(permission, request, view, by_scopes_alone=True)
            # The token was denied in spite of the sets that it already has.
            return [scopes for scopes in sets if not token.scopes.issuperset(scopes)]

        def missing(scopes: Sequence[str]) -> int:
            return len(set(scopes) - token.scopes)

        nearest_first = sorted(joined(map(sufficient, listed)), key=missing)
        if not nearest_first:
            return None
        if lacks_scope:
            challenge = replace(challenge, description=_description(nearest_first))
            # Operators are skipped: their operands may be other classes that rely on permissions listed before them.
            simple = (each for each in listed if isinstance(each, Challenging) and not isinstance(each, _Operation))
            others = (each.challenge(token, request, view) for each in simple)
            step_ups = (each for each in others if each and each.error == INSUFFICIENT_USER_AUTHENTICATION)
            challenge = next(step_ups, challenge)
        authenticator = request.successful_authenticator
        return replace(
            challenge,
            scopes=nearest_first[0] if missing(nearest_first[0]) else (),
            resource_metadata=(
                authenticator.metadata_url(request) if isinstance(authenticator, AccessTokenAuthentication) else None
            ),
        )


class _Operation(Challenging):
    """One of DRF's operators, which decides, with the challenge of its operands."""

    expression: Expression
    op1: Any
    op2: Any

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.expression == self.expression

    def __hash__(self) -> int:
        return hash(self.expression)

    def has_permission(self, request: Request, view: APIView) -> bool:
        return super().has_permission(request, view) or self.deny(request, view)  # type: ignore[misc]

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        return super().has_object_permission(request, view, obj) or self.deny(request, view)  # type: ignore[misc]


class _And(_Operation, AND):
    def challenge(self, token: AccessToken, request: Request, view: APIView) -> Challenge | None:
        denying = self.op2 if self.op1.has_permission(request, view) else self.op1
        return _challenge_of(denying, token, request, view)


class _Or(_Operation, OR):
    def challenge(self, token: AccessToken, request: Request, view: APIView) -> Challenge | None:
        return _challenge_of(self.op1, token, request, view) or _challenge_of(self.op2, token, request, view)


def _challenge_of(permission: object, token: AccessToken, request: Request, view: APIView) -> Challenge | None:
    return permission.challenge(token, request, view) if isinstance(permission, Challenging) else None


def _description(alternatives: Sequence[Sequence[str]]) -> str | None:
    if len(alternatives) == 1:
        return None
    listed = "; ".join(" ".join(scopes) for scopes in alternatives[:_MAX_LISTED_SETS])
    return f"One of these is enough: {listed}{'; ...' if len(alternatives) > _MAX_LISTED_SETS else ''}"
