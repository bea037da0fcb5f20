"""The base of permissions that an access token decides, and their opposite.

Each is used as a class, and then reads an attribute of the view, or is called with what it asks for::

    permission_classes = [HasScopes("orders:read") & (IsUser | IsClient("reporting"))]

They let nobody in who came without an access token, for instance with a session; ``|`` with another permission does.
None of them makes a query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from rest_framework.permissions import BasePermission, BasePermissionMetaclass, OperationHolderMixin

from django_at_jwt.core.remedies import NO_REMEDY, NOTHING_NEEDED, Remedies

from .principal import AccessToken

if TYPE_CHECKING:
    from rest_framework.permissions import SingleOperandHolder as _Holder
    from rest_framework.request import Request
    from rest_framework.views import APIView
else:
    # Django REST framework takes anything in ``permission_classes`` that can be called without arguments. Its types
    # only know classes and its own combinations.
    _Holder = OperationHolderMixin


class _TokenPermissionMeta(BasePermissionMetaclass):
    def __invert__(self) -> Not:
        return Not(self())


class TokenPermission(_Holder, BasePermission, metaclass=_TokenPermissionMeta):
    """A permission that an access token decides. A subclass says how, in :meth:`is_met`."""

    def __init__(self) -> None:
        """Take nothing. A subclass that is called with arguments takes them here."""

    def __call__(self) -> Self:
        """Give this very object, where Django REST framework expects a class. It keeps nothing of a request."""
        return self

    def __invert__(self) -> TokenPermission:
        return Not(self)

    def __repr__(self) -> str:
        arguments = ", ".join(repr(each) for each in vars(self).values() if each)
        return f"{type(self).__name__}({arguments})"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether the request came with an access token, and the token is enough."""
        token = request.auth
        return isinstance(token, AccessToken) and self.is_met(token, request, view)

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """Tell the same. Without this, ``~`` before a combination would refuse every object."""
        return self.has_permission(request, view)

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Tell whether the token is enough."""
        raise NotImplementedError

    def remedies(self, token: AccessToken | None, request: Request, view: APIView, *, wanted: bool) -> Remedies:
        """Say what would make it answer as wanted; without a token, what a token would need at the least."""
        return NOTHING_NEEDED if token is None or self.is_met(token, request, view) is wanted else NO_REMEDY


class Not(TokenPermission):
    """What ``~`` makes of a permission: the token must not have it. Without a token it is still refused."""

    def __init__(self, permission: TokenPermission) -> None:
        self.permission: Final = permission

    def __repr__(self) -> str:
        return f"~{self.permission!r}"

    def __invert__(self) -> TokenPermission:
        return self.permission

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Tell whether the token does not fulfil it."""
        return not self.permission.is_met(token, request, view)

    def remedies(self, token: AccessToken | None, request: Request, view: APIView, *, wanted: bool) -> Remedies:
        """Solve the opposite."""
        return self.permission.remedies(token, request, view, wanted=not wanted)
