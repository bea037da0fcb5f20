"""Permission classes that decide by the access token.

Use one as a class, which then reads an attribute of the view, or call it with what it asks for::

    permission_classes = [HasScopes("orders:read") & (IsUser | IsClient("reporting"))]

They refuse a request without an access token, such as one with a session; combine them with others by ``|`` to let it
in. None of them makes a query.
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

from .challenges import STEP_UP_NEEDED, Challenging, Combinable
from .principal import AccessToken
from .required_scopes import checked_mapping, checked_scopes, scope_alternatives, scopes_for_request, view_attribute

if TYPE_CHECKING:
    from rest_framework.permissions import SingleOperandHolder as _Holder
    from rest_framework.request import Request
    from rest_framework.views import APIView
else:
    # Django REST framework takes anything in ``permission_classes`` that can be called without arguments. Its types
    # only know classes and its own combinations.
    _Holder = OperationHolderMixin

_LACKS_SCOPE: Final = Challenge(error=INSUFFICIENT_SCOPE)


class _TokenPermissionMeta(Combinable, BasePermissionMetaclass):  # type: ignore[misc]
    def __invert__(self) -> Not:
        return Not(self())


class TokenPermission(Combinable, Challenging, _Holder, BasePermission, metaclass=_TokenPermissionMeta):
    """A permission that the access token decides. A subclass says how in :meth:`is_met`."""

    def __init__(self) -> None:
        """Take nothing. A subclass that is called with arguments takes them here."""

    def __call__(self) -> Self:
        """Return this very object, where Django REST framework expects a class. It keeps nothing of a request."""
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
        """Return whether the request came with an access token that is enough.

        Raises:
            APIException: it is not, another token would be, and the view lists this permission itself. Call
                :meth:`is_met` for an answer without exception.
        """
        token = request.auth
        return (isinstance(token, AccessToken) and self.is_met(token, request, view)) or self.refuse(request, view)

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        """Return the same. Without this, ``~`` before a combination would refuse every object."""
        return self.has_permission(request, view)

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether the token is enough."""
        raise NotImplementedError


class Not(TokenPermission):
    """What ``~`` makes of a permission: the token must not have it. A request without a token is still refused."""

    def __init__(self, permission: TokenPermission) -> None:
        self.permission: Final = permission

    def __repr__(self) -> str:
        return f"~{self.permission!r}"

    def __invert__(self) -> TokenPermission:
        return self.permission

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether the token does not fulfil the permission."""
        return not self.permission.is_met(token, request, view)


# Scopes


class _ScopePermission(TokenPermission):
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
        """Return whether the request came with a token whose scopes are enough.

        Raises:
            APIException: as for :class:`TokenPermission`.
        """
        token = request.auth
        if isinstance(token, AccessToken):
            return super().has_permission(request, view)
        # The row of an opaque token, if django-oauth-toolkit's class has authenticated the request.
        scope = getattr(token, "scope", None)
        return isinstance(scope, str) and self._is_enough(frozenset(scope.split()), request, view)

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether the token's scopes are enough."""
        return self._is_enough(token.scopes, request, view)

    def _is_enough(self, granted: frozenset[str], request: Request, view: APIView) -> bool:
        return any(granted.issuperset(scopes) for scopes in self.alternatives(request, view))

    def challenge(self, token: AccessToken, request: Request, view: APIView) -> Challenge | None:
        """Return ``insufficient_scope``, unless the token has the scopes or no scope is enough."""
        alternatives = self.alternatives(request, view)
        helps = alternatives and not any(token.scopes.issuperset(scopes) for scopes in alternatives)
        return _LACKS_SCOPE if helps else None

    def needed(self, request: Request, view: APIView) -> tuple[str, ...] | None:
        """Return what was said for this request, here or by the view.

        Raises:
            ImproperlyConfigured: nothing was said.
        """
        if self.scopes is not None:
            return scopes_for_request(self.scopes, request, view, where=type(self).__name__)
        said = view_attribute(view, self.attribute, permission=self)
        return scopes_for_request(said, request, view, where=f"{type(view).__name__}.{self.attribute}")

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Return the sets of scopes of which each is enough; none if no scope is."""
        raise NotImplementedError


@scope_alternatives.register
def _(permission: _ScopePermission, request: Any, view: Any) -> list[tuple[str, ...]]:
    return permission.alternatives(request, view)


class HasScopes(_ScopePermission):
    """The token has all of these scopes, or those of the view's ``required_scopes``.

    Either is a list, or a dict of lists by HTTP method or by the action of a view set.

    Raises:
        ImproperlyConfigured: neither says what is needed.
    """

    attribute = "required_scopes"

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Return the one set, or none for an ``OPTIONS`` request that nothing was said of."""
        needed = self.needed(request, view)
        return [] if needed is None else [needed]


class HasAnyScope(_ScopePermission):
    """The token has at least one of these scopes, or of those of the view's ``allowed_scopes``.

    Either is a list, or a dict of lists by HTTP method or by the action of a view set.

    Raises:
        ImproperlyConfigured: neither says what is needed.
    """

    attribute = "allowed_scopes"

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Return a set for each scope."""
        needed = self.needed(request, view)
        if needed == ():
            raise ImproperlyConfigured(f"{type(view).__name__} allows no scope, so no token could fulfil HasAnyScope.")
        return [(scope,) for scope in needed or ()]


# Who the token was issued to, and what it says of them


class _NamePermission(TokenPermission):
    attribute: ClassVar[str]

    def __init__(self, *names: str) -> None:
        self.names: Final = _checked_names(names, where=type(self).__name__) if names else None

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether the token has one of the names."""
        names = self.names
        if names is None:
            said = view_attribute(view, self.attribute, permission=self)
            names = _checked_names(said, where=f"{type(view).__name__}.{self.attribute}")
        return not self.held_by(token).isdisjoint(names)

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return the names that the token has."""
        raise NotImplementedError


def _checked_names(names: object, *, where: str) -> tuple[str, ...]:
    if not isinstance(names, Sequence | set | frozenset) or isinstance(names, str) or not names or not all(names):
        raise ImproperlyConfigured(f"{where} must be a non-empty list of names (got {names!r}).")
    return tuple(names)


class HasRole(_NamePermission):
    """One of these, or of the view's ``allowed_roles``, is in the token's ``roles`` (RFC 9068 section 2.2.3.1)."""

    attribute = "allowed_roles"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return the values of ``roles``."""
        return values_of(token.get("roles"))


class InGroup(_NamePermission):
    """One of these, or of the view's ``allowed_groups``, is in the token's ``groups`` (RFC 9068 section 2.2.3.1)."""

    attribute = "allowed_groups"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return the values of ``groups``."""
        return values_of(token.get("groups"))


class HasEntitlement(_NamePermission):
    """One of these, or of the view's ``allowed_entitlements``, is in ``entitlements`` (RFC 9068 section 2.2.3.1)."""

    attribute = "allowed_entitlements"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return the values of ``entitlements``."""
        return values_of(token.get("entitlements"))


class IsClient(_NamePermission):
    """The token was issued to one of these clients, or of the view's ``allowed_clients``.

    A client's id means something at its own issuer only. An API that accepts several adds :class:`IsIssuedBy`.
    """

    attribute = "allowed_clients"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return ``client_id``."""
        return frozenset({token.client_id})


class IsIssuedBy(_NamePermission):
    """One of these, or of the view's ``allowed_issuers``, issued the token. For APIs that accept several issuers."""

    attribute = "allowed_issuers"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Return ``iss``."""
        return frozenset({token.claims.issuer})


class IsUser(TokenPermission):
    """The token speaks for a user."""

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether ``sub`` differs from ``client_id``."""
        return not token.claims.is_machine


class IsMachine(TokenPermission):
    """The token belongs to a client that acts for itself (RFC 6749 section 4.4)."""

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether ``sub`` is ``client_id``."""
        return token.claims.is_machine


# A login that is recent and strong enough


class RequiresAuthentication(TokenPermission):
    """The user logged in recently enough, and in a way that is strong enough (RFC 9470).

    A token that does not say so is answered with 401 ``insufficient_user_authentication``, from which a client knows
    what to ask the issuer for. A client that acts for itself is refused with 403, since it has no user who could log
    in.

    Args:
        acr_values: the token's ``acr`` must be one of these; the preferred one first.
        max_age: seconds; ``auth_time`` must not be longer ago, with the leeway of the settings.
    """

    def __init__(self, *, acr_values: Sequence[str] = (), max_age: int | None = None) -> None:
        if not acr_values and max_age is None:
            raise ImproperlyConfigured("RequiresAuthentication needs acr_values or max_age.")
        if max_age is not None and max_age < 0:
            raise ImproperlyConfigured(f"max_age must be a non-negative number of seconds (got {max_age!r}).")
        # They are written as scopes are, with spaces between.
        self.acr_values: Final = checked_scopes(acr_values, where="acr_values")
        self.max_age: Final = max_age

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Return whether ``acr`` and ``auth_time`` say so."""
        if token.claims.is_machine or (self.acr_values and token.get("acr") not in self.acr_values):
            return False
        if self.max_age is None:
            return True
        auth_time = token.get("auth_time")
        if isinstance(auth_time, bool) or not isinstance(auth_time, int | float):
            return False
        # Compared before it is subtracted from: JSON's integers may be larger than any float. A login in the future
        # would count for as long as the issuer likes.
        now, leeway = time.time(), app_settings().leeway
        return 0 <= auth_time <= now + leeway and now - auth_time <= self.max_age + leeway

    def challenge(self, token: AccessToken, request: Request, view: APIView) -> Challenge | None:
        """Return ``insufficient_user_authentication``, unless the login is enough or there is no user."""
        if token.claims.is_machine or self.is_met(token, request, view):
            return None
        return Challenge(
            error=INSUFFICIENT_USER_AUTHENTICATION,
            description=STEP_UP_NEEDED,
            acr_values=self.acr_values,
            max_age=self.max_age,
        )
