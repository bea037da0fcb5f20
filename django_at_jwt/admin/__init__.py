"""The administrator's pages."""

from .issuer_subject import IssuerSubjectAdmin
from .signing_key import SigningKeyAdmin

__all__ = ["IssuerSubjectAdmin", "SigningKeyAdmin"]
