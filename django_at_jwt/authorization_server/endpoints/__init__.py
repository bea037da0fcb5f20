"""The toolkit's endpoints where they need a hand."""

from .authorization import AuthorizationView
from .devices import DeviceAuthorizationView, DeviceConfirmView
from .nul import refusing_nul
from .tokens import TokenView, UserInfoView

__all__ = [
    "AuthorizationView",
    "DeviceAuthorizationView",
    "DeviceConfirmView",
    "TokenView",
    "UserInfoView",
    "refusing_nul",
]
