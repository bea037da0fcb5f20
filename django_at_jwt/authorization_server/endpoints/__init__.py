"""The toolkit's endpoints where they need a hand."""

from .authorization import AuthorizationView
from .devices import DeviceAuthorizationView, DeviceConfirmView
from .registration import RegistrationManagementView, RegistrationView
from .tokens import TokenView, UserInfoView
from .unreadable import refusing_unreadable

__all__ = [
    "AuthorizationView",
    "DeviceAuthorizationView",
    "DeviceConfirmView",
    "RegistrationManagementView",
    "RegistrationView",
    "TokenView",
    "UserInfoView",
    "refusing_unreadable",
]
