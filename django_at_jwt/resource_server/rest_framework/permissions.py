"""Permission classes that look at whom the token was issued to, and what it says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from django.core.exceptions import ImproperlyConfigured

from django_at_jwt.core.scim import values_of

from .required_scopes import said_by_view
from .token_permission import TokenPermission

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

    from .principal import AccessToken


class _NamePermission(TokenPermission):
    attribute: ClassVar[str]

    def __init__(self, *names: str) -> None:
        self.names: Final = _checked_names(names, where=type(self).__name__) if names else None

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Tell whether the token has one of the names."""
        names = self.names
        if names is None:
            said = said_by_view(view, self.attribute, permission=self)
            names = _checked_names(said, where=f"{type(view).__name__}.{self.attribute}")
        return not self.held_by(token).isdisjoint(names)

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Give the names that the token has."""
        raise NotImplementedError


def _checked_names(names: object, *, where: str) -> tuple[str, ...]:
    if not isinstance(names, Sequence | set | frozenset) or isinstance(names, str) or not names or not all(names):
        raise ImproperlyConfigured(f"{where} must be a list of names with one at the least, not {names!r}.")
    return tuple(names)


class HasRole(_NamePermission):
    """One of these, or of the view's ``allowed_roles``, is in the token's ``roles`` (RFC 9068 §2.2.3.1)."""

    attribute = "allowed_roles"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Give the values of ``roles``."""
        return values_of(token.get("roles"))


class InGroup(_NamePermission):
    """One of these, or of the view's ``allowed_groups``, is in the token's ``groups`` (RFC 9068 §2.2.3.1)."""

    attribute = "allowed_groups"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Give the values of ``groups``."""
        return values_of(token.get("groups"))


class HasEntitlement(_NamePermission):
    """One of these, or of the view's ``allowed_entitlements``, is in ``entitlements`` (RFC 9068 §2.2.3.1)."""

    attribute = "allowed_entitlements"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Give the values of ``entitlements``."""
        return values_of(token.get("entitlements"))


class IsClient(_NamePermission):
    """The token was issued to one of these clients, or of the view's ``allowed_clients``.

    A client's id means something at its own issuer only. An API that accepts several adds :class:`IsIssuedBy`.
    """

    attribute = "allowed_clients"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Give ``client_id``."""
        return frozenset({token.client_id})


class IsIssuedBy(_NamePermission):
    """One of these, or of the view's ``allowed_issuers``, issued the token. For APIs that accept several issuers."""

    attribute = "allowed_issuers"

    def held_by(self, token: AccessToken) -> frozenset[str]:
        """Give ``iss``."""
        return frozenset({token.claims.issuer})


class IsUser(TokenPermission):
    """The token speaks for a user."""

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Tell whether ``sub`` is another than ``client_id``."""
        return not token.claims.is_machine


class IsMachine(TokenPermission):
    """The token is that of a client which acts for itself (RFC 6749 §4.4)."""

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Tell whether ``sub`` is ``client_id``."""
        return token.claims.is_machine
