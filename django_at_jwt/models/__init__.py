"""The tables: of the authorization server, and the subjects that a resource server knows."""

from .device_resources import DeviceResources
from .issuer_subject import IssuerSubject
from .signing_key import SigningKey

__all__ = ["DeviceResources", "IssuerSubject", "SigningKey"]
