"""Permission classes that look at the token's scopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from django.core.exceptions import ImproperlyConfigured

from django_at_jwt.core.remedies import Remedies, having, lacking

from .principal import AccessToken
from .required_scopes import (
    checked_mapping,
    checked_scopes,
    said_by_view,
    scopes_for_request,
)
from .token_permission import TokenPermission

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


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
        """Tell whether the request came with a token, and its scopes are enough."""
        token = request.auth
        if isinstance(token, AccessToken):
            return self.is_met(token, request, view)
        # The row of an opaque token, where django-oauth-toolkit's class has authenticated the request.
        scope = getattr(token, "scope", None)
        return isinstance(scope, str) and self._is_enough(frozenset(scope.split()), request, view)

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Tell whether the token's scopes are enough."""
        return self._is_enough(token.scopes, request, view)

    def _is_enough(self, granted: frozenset[str], request: Request, view: APIView) -> bool:
        return any(granted.issuperset(scopes) for scopes in self.alternatives(request, view))

    def needed(self, request: Request, view: APIView) -> tuple[str, ...] | None:
        """Give what was said for this request, here or by the view.

        Raises:
            ImproperlyConfigured: nothing was said.
        """
        if self.scopes is not None:
            return scopes_for_request(self.scopes, request, view, where=type(self).__name__)
        said = said_by_view(view, self.attribute, permission=self)
        return scopes_for_request(said, request, view, where=f"{type(view).__name__}.{self.attribute}")

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Give the sets of scopes of which each is enough; none where no scope is."""
        raise NotImplementedError

    def remedies(self, token: AccessToken | None, request: Request, view: APIView, *, wanted: bool) -> Remedies:
        """Say which scopes a token needs, or must not have."""
        alternatives = self.alternatives(request, view)
        return having(alternatives) if wanted else lacking(alternatives)


class HasScopes(_ScopePermission):
    """The token has all of these scopes, or those of the view's ``required_scopes``.

    Either is a list, or a dict of lists by HTTP method or by the action of a view set.

    Raises:
        ImproperlyConfigured: neither says what is needed.
    """

    attribute = "required_scopes"

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Give the one set that there is, or none for an ``OPTIONS`` request that nothing was said of."""
        needed = self.needed(request, view)
        return [] if needed is None else [needed]


class HasAnyScope(_ScopePermission):
    """The token has one of these scopes at the least, or of those of the view's ``allowed_scopes``.

    Either is a list, or a dict of lists by HTTP method or by the action of a view set.

    Raises:
        ImproperlyConfigured: neither says what is needed.
    """

    attribute = "allowed_scopes"

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Give a set for each scope."""
        needed = self.needed(request, view)
        if needed == ():
            raise ImproperlyConfigured(f"{type(view).__name__} allows no scope, so nobody could fulfil HasAnyScope.")
        return [(scope,) for scope in needed or ()]
