"""The administrator's pages."""

from .signing_key import SigningKeyAdmin

__all__ = ["SigningKeyAdmin"]
