"""django-oauth-toolkit's URLs and URL names, with this app's views where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import URLPattern, path
from oauth2_provider import urls as toolkit_urls

from .views.account import AuthorizedTokenDeleteView, AuthorizedTokensListView, RPInitiatedLogoutView
from .views.applications import ApplicationRegistrationView, ApplicationUpdateView
from .views.authorize import AuthorizationView
from .views.bad_requests import refusing_unreadable
from .views.device import DeviceAuthorizationView, DeviceConfirmView, DeviceUserCodeView
from .views.error_handling import guarded
from .views.introspection import IntrospectTokenView
from .views.jwk_set import JwkSetView
from .views.metadata import DiscoveryView, MetadataView
from .views.pushed_request import PushedAuthorizationRequestView
from .views.registration import RegistrationManagementView, RegistrationView
from .views.revocations import RevocationsView
from .views.token import RevokeTokenView, TokenView, UserInfoView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Keyed by DOT's URL names.
OWN_VIEWS: Final[dict[str, Any]] = {
    "authorize": AuthorizationView,
    "pushed-authorization-request": PushedAuthorizationRequestView,
    "token": TokenView,
    "revoke-token": RevokeTokenView,
    "introspect": IntrospectTokenView,
    "device-authorization": DeviceAuthorizationView,
    "device": DeviceUserCodeView,
    "device-confirm": DeviceConfirmView,
    "user-info": UserInfoView,
    "authorized-token-list": AuthorizedTokensListView,
    "authorized-token-delete": AuthorizedTokenDeleteView,
    "rp-initiated-logout": RPInitiatedLogoutView,
    "register": ApplicationRegistrationView,
    "update": ApplicationUpdateView,
    "dcr-register": RegistrationView,
    "dcr-register-management": RegistrationManagementView,
    "jwks-info": JwkSetView,
    "oauth-server-metadata": MetadataView,
    "oauth-server-metadata-issuer": MetadataView,
    "oidc-connect-discovery-info": DiscoveryView,
}
_DOCUMENTS: Final = frozenset(name for name, view in OWN_VIEWS.items() if issubclass(view, (JwkSetView, MetadataView)))


def _callback(pattern: URLPattern) -> Callable[..., Any]:
    view = OWN_VIEWS.get(pattern.name or "")
    if view is not None:
        return view.as_view()  # type: ignore[no-any-return]
    return guarded(refusing_unreadable(pattern.callback))


def _with_own_views(patterns: Iterable[URLPattern]) -> list[URLPattern]:
    return [URLPattern(pattern.pattern, _callback(pattern), pattern.default_args, pattern.name) for pattern in patterns]


metadata_urlpatterns = _with_own_views(toolkit_urls.metadata_urlpatterns)
base_urlpatterns = _with_own_views(toolkit_urls.base_urlpatterns)
management_urlpatterns = _with_own_views(toolkit_urls.management_urlpatterns)
oidc_urlpatterns = _with_own_views(toolkit_urls.oidc_urlpatterns)
dcr_urlpatterns = _with_own_views(toolkit_urls.dcr_urlpatterns)

device_urlpatterns = [pattern for pattern in base_urlpatterns if str(pattern.name).startswith("device")]
revocation_document_urlpatterns = [path("revocations/", RevocationsView.as_view(), name="revocations")]
document_urlpatterns = [
    *(pattern for pattern in (*metadata_urlpatterns, *oidc_urlpatterns) if pattern.name in _DOCUMENTS),
    *revocation_document_urlpatterns,
]

# RFC 8414 section 3.1: the well-known part is between the issuer's host and path, at the root of the site.
well_known_patterns = [
    path(pattern, view.as_view(), name=name)
    for pattern, view, name in (
        (".well-known/oauth-authorization-server", MetadataView, "metadata"),
        (".well-known/oauth-authorization-server/<path:issuer_path>", MetadataView, "metadata-of-issuer"),
        (".well-known/openid-configuration/<path:issuer_path>", DiscoveryView, "discovery-of-issuer"),
    )
]
