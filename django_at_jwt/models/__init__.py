"""The tables of the authorization server."""

from .authorization import Authorization
from .claim_mapper import ClaimMapper
from .resource_server import ResourceServer
from .signing_key import SigningKey

__all__ = ["Authorization", "ClaimMapper", "ResourceServer", "SigningKey"]
