"""The tables of the authorization server."""

from .authorization import Authorization
from .resource_server import ResourceServer
from .signing_key import SigningKey

__all__ = ["Authorization", "ResourceServer", "SigningKey"]
