"""The tables of the authorization server."""

from .device_resources import DeviceResources
from .signing_key import SigningKey

__all__ = ["DeviceResources", "SigningKey"]
