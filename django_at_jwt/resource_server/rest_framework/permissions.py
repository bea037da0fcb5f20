"""Permission classes that decide by the access token.

Use the class, which then reads an attribute of the view, or an instance with arguments::

    permission_classes = [HasScopes("orders:read") & (IsUser | IsClient("reporting"))]

They deny a request without an access token, such as one with a session; combine them with other classes by ``|`` to
allow it. They make no query.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import BasePermission, BasePermissionMetaclass, OperationHolderMixin

from django_at_jwt.conf import app_settings
from django_at_jwt.core.bearer import INSUFFICIENT_SCOPE, INSUFFICIENT_USER_AUTHENTICATION, Challenge
from django_at_jwt.core.scim import values_of
from django_at_jwt.resource_server.access_token import AccessToken

from .challenges import STEP_UP_NEEDED, Challenging, Combinable, Expression
from .scopes import checked_mapping, checked_scopes, scope_alternatives, scopes_for_request, view_attribute

if TYPE_CHECKING:
    from rest_framework.permissions import SingleOperandHolder as _Holder
    from rest_framework.request import Request
    from rest_framework.views import APIView
else:
    # DRF accepts anything in ``permission_classes`` that can be called without arguments. Its types only know classes
    # and its own operators.
    _Holder = OperationHolderMixin

_LACKS_SCOPE: Final = Challenge(error=INSUFFICIENT_SCOPE)


class _TokenPermissionMeta(Combinable, BasePermissionMetaclass):  # type: ignore[misc]
    def __invert__(self) -> Not:
        return Not(self())


class TokenPermission(Combinable, Challenging, _Holder, BasePermission, metaclass=_TokenPermissionMeta):
    """A permission that depends on the access token. Subclasses implement :meth:`is_met`."""

    def __init__(self) -> None:
        """Take no arguments. Override it in a subclass that needs some."""

    def __call__(self) -> Self:
        """Return this object, since DRF calls the items of ``permission_classes``. It holds no state of a request."""
        return self

    def __invert__(self) -> TokenPermission:
        return Not(self)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        arguments = ", ".join(repr(each) for each in vars(self).values() if each)
        return f"{type(self).__name__}({arguments})"

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request has an access token that meets the permission.

        Raises:
            APIException: it does not, another token would, and this permission is an item of the view's list. Call
                :meth:`is_met` for an answer without an exception.
        """
        token = request.auth
        return (isinstance(token, AccessToken) and self.is_met(token, request, view)) or self.deny(request, view)

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """Return the same as :meth:`has_permission`. DRF's default of ``True`` would make ``~`` deny every object."""
        return self.has_permission(request, view)

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether the token meets the permission."""
        raise NotImplementedError


def reads_only_the_token(permission: object) -> bool:
    """Return whether a permission is of this module, or a combination of such ones, and therefore makes no query."""
    if isinstance(permission, Expression):
        return reads_only_the_token(permission.op1_class) and reads_only_the_token(permission.op2_class)
    if isinstance(permission, Not):
        return reads_only_the_token(permission.permission)
    # Not subclasses: those of a site may make queries.
    kind = permission if isinstance(permission, type) else type(permission)
    return kind.__module__ == __name__


class Not(TokenPermission):
    """The negation of a permission, made by ``~``. A request without a token is still denied."""

    def __init__(self, permission: TokenPermission) -> None:
        self.permission: Final = permission

    def __repr__(self) -> str:
        return f"~{self.permission!r}"

    def __invert__(self) -> TokenPermission:
        return self.permission

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether the token does not meet the negated permission."""
        return not self.permission.is_met(token, request, view)


# Scopes


class ScopePermission(TokenPermission):
    """A permission that depends on the token's scopes. Subclasses implement :meth:`alternatives`."""

    attribute: ClassVar[str]

    def __init__(self, *scopes: str | Mapping[str, Sequence[str]]) -> None:
        self.scopes: Final = self._checked(scopes)

    @classmethod
    def _checked(cls, scopes: Sequence[object]) -> tuple[str, ...] | Mapping[str, tuple[str, ...]] | None:
        if not scopes:
            return None
        if isinstance(scopes[0], Mapping):
            if len(scopes) > 1:
                raise ImproperlyConfigured(f"{cls.__name__} takes scopes, or one dict.")
            return checked_mapping(scopes[0], where=cls.__name__)
        return checked_scopes(scopes, where=cls.__name__)

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the request has a token with sufficient scopes, which may be one of DOT's opaque tokens.

        Raises:
            APIException: as for :class:`TokenPermission`.
        """
        token = request.auth
        if isinstance(token, AccessToken):
            return super().has_permission(request, view)
        # DOT's model instance, if DOT's authentication class has authenticated the request.
        scope = getattr(token, "scope", None)
        return isinstance(scope, str) and self._is_sufficient(frozenset(scope.split()), request, view)

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether the token's scopes are sufficient."""
        return self._is_sufficient(token.scopes, request, view)

    def _is_sufficient(self, granted: frozenset[str], request: Request, view: APIView) -> bool:
        return any(granted.issuperset(scopes) for scopes in self.alternatives(request, view))

    def challenge(self, token: AccessToken, request: Request, view: APIView) -> Challenge | None:
        """Return ``insufficient_scope``, unless the token's scopes are sufficient or no scopes are."""
        alternatives = self.alternatives(request, view)
        helps = alternatives and not any(token.scopes.issuperset(scopes) for scopes in alternatives)
        return _LACKS_SCOPE if helps else None

    def needed(self, request: Request, view: APIView) -> tuple[str, ...] | None:
        """Return the scopes for this request, from the arguments or the view's attribute.

        Returns:
            ``None`` for an ``OPTIONS`` request without an entry.

        Raises:
            ImproperlyConfigured: no scopes are given for this request.
        """
        if self.scopes is not None:
            return scopes_for_request(self.scopes, request, view, where=type(self).__name__)
        scopes = view_attribute(view, self.attribute, permission=self)
        return scopes_for_request(scopes, request, view, where=f"{type(view).__name__}.{self.attribute}")

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Return the sets of scopes, each of which is sufficient; an empty list denies every token."""
        raise NotImplementedError


@scope_alternatives.register
def _(permission: ScopePermission, request: Any, view: Any) -> list[tuple[str, ...]]:
    return permission.alternatives(request, view)


class HasScopes(ScopePermission):
    """The token has all of these scopes, or of the view's ``required_scopes``.

    Both may also be a dict of lists, by HTTP method or by the action of a view set.

    Raises:
        ImproperlyConfigured: no scopes are given for a request.
    """

    attribute = "required_scopes"

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Return one set of scopes, or none for an ``OPTIONS`` request without an entry."""
        needed = self.needed(request, view)
        return [] if needed is None else [needed]


class HasAnyScope(ScopePermission):
    """The token has at least one of these scopes, or of the view's ``allowed_scopes``.

    Both may also be a dict of lists, by HTTP method or by the action of a view set.

    Raises:
        ImproperlyConfigured: no scopes are given for a request.
    """

    attribute = "allowed_scopes"

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Return a set of scopes for each scope."""
        needed = self.needed(request, view)
        if needed == ():
            raise ImproperlyConfigured(f"{type(view).__name__} allows no scope, so no token could meet HasAnyScope.")
        return [(scope,) for scope in needed or ()]


# The client, the issuer and the user's roles


class _NamePermission(TokenPermission):
    attribute: ClassVar[str]

    def __init__(self, *names: str) -> None:
        self.names: Final = _checked_names(names, where=type(self).__name__) if names else None

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether the token has at least one of the names."""
        names = self.names
        if names is None:
            attribute = view_attribute(view, self.attribute, permission=self)
            names = _checked_names(attribute, where=f"{type(view).__name__}.{self.attribute}")
        return not self.held_by(token).isdisjoint(names)

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return the names that the token has."""
        raise NotImplementedError


def _checked_names(names: object, *, where: str) -> tuple[str, ...]:
    if not isinstance(names, Sequence | set | frozenset) or isinstance(names, str) or not names or not all(names):
        raise ImproperlyConfigured(f"{where} must be a non-empty list of names (got {names!r}).")
    return tuple(names)


class _ValuePermission(_NamePermission):
    claim: ClassVar[str]

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return the values of the claim."""
        return values_of(token.get(self.claim))


class HasRole(_ValuePermission):
    """The token's ``roles`` has one of these, or of the view's ``allowed_roles`` (RFC 9068 section 2.2.3.1)."""

    claim, attribute = "roles", "allowed_roles"


class InGroup(_ValuePermission):
    """The token's ``groups`` has one of these, or of the view's ``allowed_groups`` (RFC 9068 section 2.2.3.1)."""

    claim, attribute = "groups", "allowed_groups"


class HasEntitlement(_ValuePermission):
    """``entitlements`` has one of these, or of the view's ``allowed_entitlements`` (RFC 9068 section 2.2.3.1)."""

    claim, attribute = "entitlements", "allowed_entitlements"


class IsClient(_NamePermission):
    """The token was issued to one of these clients, or of the view's ``allowed_clients``.

    Client IDs are unique per issuer only. An API that accepts several issuers should add :class:`IsIssuedBy`.
    """

    attribute = "allowed_clients"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return ``client_id``."""
        return frozenset({token.client_id})


class IsIssuedBy(_NamePermission):
    """The token was issued by one of these, or of the view's ``allowed_issuers``. For APIs with several issuers."""

    attribute = "allowed_issuers"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return ``iss``."""
        return frozenset({token.claims.issuer})


class IsUser(TokenPermission):
    """The token's subject is a user."""

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether ``sub`` differs from ``client_id``."""
        return not token.claims.is_machine


class IsMachine(TokenPermission):
    """The token's subject is the client itself (RFC 6749 section 4.4)."""

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether ``sub`` is ``client_id``."""
        return token.claims.is_machine


# A login that is recent and strong enough


class RequiresAuthentication(TokenPermission):
    """The user logged in recently enough and with a strong enough method (RFC 9470).

    Otherwise the answer is 401 ``insufficient_user_authentication``, which tells the client what to request from the
    issuer. A client that acts for itself gets a 403, since no user can log in.

    Args:
        acr_values: the accepted values of the token's ``acr``, the preferred one first.
        max_age: the maximum age of ``auth_time`` in seconds, plus ``AT_JWT["LEEWAY"]``.
    """

    def __init__(self, *, acr_values: Sequence[str] = (), max_age: int | None = None) -> None:
        if not acr_values and max_age is None:
            raise ImproperlyConfigured("RequiresAuthentication needs acr_values or max_age.")
        if max_age is not None and max_age < 0:
            raise ImproperlyConfigured(f"max_age must be a non-negative number of seconds (got {max_age!r}).")
        # The challenge has them as a space-separated list, like scopes.
        self.acr_values: Final = checked_scopes(acr_values, where="acr_values")
        self.max_age: Final = max_age

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether ``acr`` and ``auth_time`` are sufficient."""
        if token.claims.is_machine or (self.acr_values and token.get("acr") not in self.acr_values):
            return False
        if self.max_age is None:
            return True
        auth_time = token.get("auth_time")
        if isinstance(auth_time, bool) or not isinstance(auth_time, int | float):
            return False
        # Compared before the subtraction, since JSON integers may exceed any float. A login in the future is rejected,
        # since it would count as recent for too long.
        now, leeway = time.time(), app_settings().leeway
        return 0 <= auth_time <= now + leeway and now - auth_time <= self.max_age + leeway

    def challenge(self, token: AccessToken, request: Request, view: APIView) -> Challenge | None:
        """Return ``insufficient_user_authentication``, unless the login is sufficient or there is no user."""
        if token.claims.is_machine or self.is_met(token, request, view):
            return None
        return Challenge(
            error=INSUFFICIENT_USER_AUTHENTICATION,
            description=STEP_UP_NEEDED,
            acr_values=self.acr_values,
            max_age=self.max_age,
        )
