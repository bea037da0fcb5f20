"""The authorization server's views, for sites that mount or subclass them themselves.

Each class is django-oauth-toolkit's view of an endpoint with this app's protection. Derive your view from it. If you
already have a view that derives from django-oauth-toolkit's, add the class as its first base::

    class SiteAuthorizationView(AuthorizationView, ExistingAuthorizationView): ...

The views work at any path and in any URL namespace; ``manage.py check`` recognises them by their class. Overridden
methods must call ``super()``, or this app's protection is lost.

Not to be confused with ``django_at_jwt.views``, which requires access tokens in the views of an API.
"""

from .conf import require_installed

require_installed()

from .authorization_server.views.account import (  # noqa: E402 - it imports the models
    AuthorizedTokenDeleteView,
    AuthorizedTokensListView,
    RPInitiatedLogoutView,
)
from .authorization_server.views.applications import ApplicationRegistrationView, ApplicationUpdateView  # noqa: E402
from .authorization_server.views.authorize import AuthorizationView  # noqa: E402
from .authorization_server.views.device import DeviceAuthorizationView, DeviceConfirmView, DeviceUserCodeView  # noqa: E402
from .authorization_server.views.introspection import IntrospectTokenView  # noqa: E402
from .authorization_server.views.jwk_set import JwkSetView  # noqa: E402
from .authorization_server.views.metadata import DiscoveryView, MetadataView, issuer_metadata  # noqa: E402
from .authorization_server.views.pushed_request import PushedAuthorizationRequestView  # noqa: E402
from .authorization_server.views.registration import RegistrationManagementView, RegistrationView  # noqa: E402
from .authorization_server.views.revocations import RevocationsView  # noqa: E402
from .authorization_server.views.token import RevokeTokenView, TokenView, UserInfoView  # noqa: E402

__all__ = [
    "ApplicationRegistrationView",
    "ApplicationUpdateView",
    "AuthorizationView",
    "AuthorizedTokenDeleteView",
    "AuthorizedTokensListView",
    "DeviceAuthorizationView",
    "DeviceConfirmView",
    "DeviceUserCodeView",
    "DiscoveryView",
    "IntrospectTokenView",
    "JwkSetView",
    "MetadataView",
    "PushedAuthorizationRequestView",
    "RPInitiatedLogoutView",
    "RegistrationManagementView",
    "RegistrationView",
    "RevocationsView",
    "RevokeTokenView",
    "TokenView",
    "UserInfoView",
    "issuer_metadata",
]
