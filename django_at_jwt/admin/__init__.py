"""The administrator's pages."""

from .resource_server import ResourceServerAdmin
from .signing_key import SigningKeyAdmin

__all__ = ["ResourceServerAdmin", "SigningKeyAdmin"]
