"""django-oauth-toolkit's URLs under its own names, with this app's views where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import URLPattern, path
from oauth2_provider import urls as toolkit_urls

from .documents import DiscoveryView, JwkSetView, MetadataView
from .endpoints import (
    AuthorizationView,
    DeviceAuthorizationView,
    DeviceConfirmView,
    RegistrationManagementView,
    RegistrationView,
    TokenView,
    UserInfoView,
    refusing_unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_OWN_VIEWS: Final[dict[str, Any]] = {
    "authorize": AuthorizationView,
    "token": TokenView,
    "device-authorization": DeviceAuthorizationView,
    "device-confirm": DeviceConfirmView,
    "user-info": UserInfoView,
    "dcr-register": RegistrationView,
    "dcr-register-management": RegistrationManagementView,
    "jwks-info": JwkSetView,
    "oauth-server-metadata": MetadataView,
    "oauth-server-metadata-issuer": MetadataView,
    "oidc-connect-discovery-info": DiscoveryView,
}


def _with_own_views(patterns: Iterable[URLPattern]) -> list[URLPattern]:
    return [
        URLPattern(
            pattern.pattern,
            refusing_unreadable(_OWN_VIEWS[pattern.name].as_view() if pattern.name in _OWN_VIEWS else pattern.callback),
            pattern.default_args,
            pattern.name,
        )
        for pattern in patterns
    ]


toolkit_patterns = _with_own_views(toolkit_urls.urlpatterns)

# RFC 8414 §3.1 puts the well-known part between the issuer's host and its path, at the root of the site.
well_known_patterns = [
    path(".well-known/oauth-authorization-server", MetadataView.as_view(), name="metadata"),
    path(
        ".well-known/oauth-authorization-server/<path:issuer_path>", MetadataView.as_view(), name="metadata-of-issuer"
    ),
    path(".well-known/openid-configuration/<path:issuer_path>", DiscoveryView.as_view(), name="discovery-of-issuer"),
]
