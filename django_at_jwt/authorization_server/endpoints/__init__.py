"""The toolkit's endpoints where they need a hand."""

from .authorization import AuthorizationView
from .devices import DeviceAuthorizationView, DeviceConfirmView
from .tokens import TokenView, UserInfoView
from .unreadable import refusing_unreadable

__all__ = [
    "AuthorizationView",
    "DeviceAuthorizationView",
    "DeviceConfirmView",
    "TokenView",
    "UserInfoView",
    "refusing_unreadable",
]
