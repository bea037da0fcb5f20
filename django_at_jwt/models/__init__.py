"""The tables of the authorization server."""

from .claim_mapper import ClaimMapper
from .device_resources import DeviceResources
from .signing_key import SigningKey

__all__ = ["ClaimMapper", "DeviceResources", "SigningKey"]
