"""Revoke tokens from code, for instance after a ``QuerySet.update()``, which sends no signal."""

from __future__ import annotations

from django_at_jwt.authorization_server.revocation.issued_tokens import UnknownToken
from django_at_jwt.authorization_server.revocation.revoke import (
    revoke_audience,
    revoke_authorization,
    revoke_client,
    revoke_token,
    revoke_user,
)
from django_at_jwt.models.authorization import EndReason

__all__ = [
    "EndReason",
    "UnknownToken",
    "revoke_audience",
    "revoke_authorization",
    "revoke_client",
    "revoke_token",
    "revoke_user",
]
