"""The public API for access tokens in Django REST framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps

from django_at_jwt.resource_server.access_token import AccessToken
from django_at_jwt.resource_server.rest_framework.authentication import (
    AccessTokenAuthentication as _AccessTokenAuthentication,
)
from django_at_jwt.resource_server.rest_framework.authentication import (
    AmbiguousCredentials,
    InvalidAccessToken,
    KeysAreUnavailable,
    RevocationIsUnavailable,
)
from django_at_jwt.resource_server.rest_framework.challenges import InsufficientUserAuthentication
from django_at_jwt.resource_server.rest_framework.permissions import (
    HasAnyScope,
    HasEntitlement,
    HasRole,
    HasScopes,
    InGroup,
    IsClient,
    IsIssuedBy,
    IsMachine,
    IsUser,
    RequiresAuthentication,
)
from django_at_jwt.resource_server.rest_framework.scopes import scope_alternatives
from django_at_jwt.resource_server.rest_framework.tool_scopes import HasToolScopes
from django_at_jwt.resource_server.users.principal import MachinePrincipal, TokenPrincipal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rest_framework.request import Request
    from rest_framework.views import APIView

    _Alternatives = Iterable[Sequence[str]]

if not TYPE_CHECKING and apps.is_installed("oauth2_provider"):
    from oauth2_provider.contrib.rest_framework import (
        IsAuthenticatedOrTokenHasScope,
        OAuth2Authentication,
        TokenHasScope,
        TokenMatchesOASRequirements,
    )

    class AccessTokenAuthentication(_AccessTokenAuthentication, OAuth2Authentication):  # noqa: D101 - copied below
        # A subclass, because django-oauth-toolkit's IsAuthenticatedOrTokenHasScope checks scopes only for its own
        # authentication class and subclasses, and accepts any token of other classes.
        __doc__ = _AccessTokenAuthentication.__doc__

    @scope_alternatives.register(TokenHasScope)
    def _(permission: TokenHasScope, request: Request, view: APIView) -> _Alternatives:
        return [permission.get_scopes(request, view)]

    @scope_alternatives.register(IsAuthenticatedOrTokenHasScope)
    def _(_permission: IsAuthenticatedOrTokenHasScope, request: Request, view: APIView) -> _Alternatives:
        return [TokenHasScope().get_scopes(request, view)]

    @scope_alternatives.register(TokenMatchesOASRequirements)
    def _(permission: TokenMatchesOASRequirements, request: Request, view: APIView) -> _Alternatives:
        return permission.get_required_alternate_scopes(request, view).get(request.method, [])

else:
    AccessTokenAuthentication = _AccessTokenAuthentication

if apps.is_installed("drf_spectacular"):
    # Importing the module registers the extension with drf-spectacular.
    from django_at_jwt.resource_server.rest_framework import schema as _schema  # noqa: F401

__all__ = [
    "AccessToken",
    "AccessTokenAuthentication",
    "AmbiguousCredentials",
    "HasAnyScope",
    "HasEntitlement",
    "HasRole",
    "HasScopes",
    "HasToolScopes",
    "InGroup",
    "InsufficientUserAuthentication",
    "InvalidAccessToken",
    "IsClient",
    "IsIssuedBy",
    "IsMachine",
    "IsUser",
    "KeysAreUnavailable",
    "MachinePrincipal",
    "RequiresAuthentication",
    "RevocationIsUnavailable",
    "TokenPrincipal",
    "scope_alternatives",
]
