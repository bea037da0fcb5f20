"""The authorization server's endpoints: django-oauth-toolkit's (DOT) views with this app's rules, and metadata."""

from .account import AuthorizedTokenDeleteView, AuthorizedTokensListView, RPInitiatedLogoutView
from .applications import ApplicationRegistrationView, ApplicationUpdateView
from .authorize import AuthorizationView
from .bad_requests import refusing_unreadable
from .device import DeviceAuthorizationView, DeviceConfirmView, DeviceUserCodeView
from .endpoint import EndpointMixin
from .error_handling import guarded
from .introspection import IntrospectTokenView
from .pushed_request import PushedAuthorizationRequestView
from .registration import RegistrationManagementView, RegistrationView
from .token import RevokeTokenView, TokenView, UserInfoView

__all__ = [
    "ApplicationRegistrationView",
    "ApplicationUpdateView",
    "AuthorizationView",
    "AuthorizedTokenDeleteView",
    "AuthorizedTokensListView",
    "DeviceAuthorizationView",
    "DeviceConfirmView",
    "DeviceUserCodeView",
    "EndpointMixin",
    "IntrospectTokenView",
    "PushedAuthorizationRequestView",
    "RPInitiatedLogoutView",
    "RegistrationManagementView",
    "RegistrationView",
    "RevokeTokenView",
    "TokenView",
    "UserInfoView",
    "guarded",
    "refusing_unreadable",
]
