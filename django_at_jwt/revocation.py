"""Revoke tokens from code, for instance after a ``QuerySet.update()``, which sends no signal."""

from .conf import require_installed

require_installed()

from django_at_jwt.authorization_server.revocation.issued_tokens import UnknownToken  # noqa: E402 - it imports the models
from django_at_jwt.authorization_server.revocation.revoke import (  # noqa: E402
    revoke_audience,
    revoke_authorization,
    revoke_client,
    revoke_token,
    revoke_user,
)
from django_at_jwt.models.authorization import EndReason  # noqa: E402

__all__ = [
    "EndReason",
    "UnknownToken",
    "revoke_audience",
    "revoke_authorization",
    "revoke_client",
    "revoke_token",
    "revoke_user",
]
