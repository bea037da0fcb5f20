"""The authorization server's views, for sites that mount or subclass them themselves.

Each class is django-oauth-toolkit's view of an endpoint with this app's protection. A site derives its own view from
it, or names it before the view that it has, if that derives from the toolkit's view of the same endpoint::

    class SiteAuthorizationView(AuthorizationView, ExistingAuthorizationView): ...

They work at any path and in any URL namespace, and ``manage.py check`` recognises them by their class. A method that a
site overrides must call ``super()``, or what this app does in it is lost.

``django_at_jwt.views`` is something else: access tokens for the views of an API, which needs no authorization server.
"""

from .conf import require_installed

require_installed()

from .authorization_server.views import (  # noqa: E402 - it needs the tables of the app
    AuthorizationView,
    DeviceAuthorizationView,
    DeviceConfirmView,
    DeviceUserCodeView,
    IntrospectTokenView,
    RegistrationManagementView,
    RegistrationView,
    RevokeTokenView,
    TokenView,
    UserInfoView,
)
from .authorization_server.views.metadata import DiscoveryView, JwkSetView, MetadataView  # noqa: E402

__all__ = [
    "AuthorizationView",
    "DeviceAuthorizationView",
    "DeviceConfirmView",
    "DeviceUserCodeView",
    "DiscoveryView",
    "IntrospectTokenView",
    "JwkSetView",
    "MetadataView",
    "RegistrationManagementView",
    "RegistrationView",
    "RevokeTokenView",
    "TokenView",
    "UserInfoView",
]
