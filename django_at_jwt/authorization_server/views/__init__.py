"""The toolkit's endpoints where they need a hand."""

from .authorize import AuthorizationView
from .bad_requests import refusing_unreadable
from .device import DeviceAuthorizationView, DeviceConfirmView, DeviceUserCodeView
from .endpoint import EndpointMixin
from .error_handling import guarded
from .registration import RegistrationManagementView, RegistrationView
from .token import IntrospectTokenView, RevokeTokenView, TokenView, UserInfoView

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
