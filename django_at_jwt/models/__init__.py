"""The tables: of the authorization server, and the subjects that a resource server knows."""

from .authorization import Authorization
from .issuer_subject import IssuerSubject
from .resource_server import ResourceServer
from .signing_key import SigningKey

__all__ = ["Authorization", "IssuerSubject", "ResourceServer", "SigningKey"]
