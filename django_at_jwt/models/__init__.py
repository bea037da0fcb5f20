"""The tables of the authorization server."""

from .signing_key import SigningKey

__all__ = ["SigningKey"]
