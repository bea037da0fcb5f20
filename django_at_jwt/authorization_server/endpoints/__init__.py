"""The toolkit's endpoints where they need a hand."""

from .authorization import AuthorizationView
from .devices import DeviceAuthorizationView, DeviceConfirmView, DeviceUserCodeView
from .endpoint import EndpointMixin
from .guard import guarded
from .registration import RegistrationManagementView, RegistrationView
from .tokens import IntrospectTokenView, RevokeTokenView, TokenView, UserInfoView
from .unreadable import refusing_unreadable

__all__ = [
    "AuthorizationView",
    "DeviceAuthorizationView",
    "DeviceConfirmView",
    "DeviceUserCodeView",
    "EndpointMixin",
    "IntrospectTokenView",
    "RegistrationManagementView",
    "RegistrationView",
    "RevokeTokenView",
    "TokenView",
    "UserInfoView",
    "guarded",
    "refusing_unreadable",
]
