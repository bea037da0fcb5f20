"""Access tokens in Django REST framework: what an API's developer imports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps

from .resource_server.rest_framework.authentication import AccessTokenAuthentication as _AccessTokenAuthentication
from .resource_server.rest_framework.authentication import (
    AmbiguousCredentials,
    InvalidAccessToken,
    KeysAreUnavailable,
)
from .resource_server.rest_framework.principal import AccessToken, MachinePrincipal, TokenPrincipal

if not TYPE_CHECKING and apps.is_installed("oauth2_provider"):
    from oauth2_provider.contrib.rest_framework import OAuth2Authentication

    class AccessTokenAuthentication(_AccessTokenAuthentication, OAuth2Authentication):  # noqa: D101 - copied below
        # django-oauth-toolkit's IsAuthenticatedOrTokenHasScope checks scopes only for its own authentication class and
        # its subclasses, and lets any token of others through. So ours is one, wherever the toolkit is installed.
        __doc__ = _AccessTokenAuthentication.__doc__

else:
    AccessTokenAuthentication = _AccessTokenAuthentication

__all__ = [
    "AccessToken",
    "AccessTokenAuthentication",
    "AmbiguousCredentials",
    "InvalidAccessToken",
    "KeysAreUnavailable",
    "MachinePrincipal",
    "TokenPrincipal",
]
