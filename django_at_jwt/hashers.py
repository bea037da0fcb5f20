"""The class for ``PASSWORD_HASHERS`` that hashes generated client secrets."""

from .conf import require_installed

require_installed()

from django_at_jwt.authorization_server.client_secrets.hasher import ClientSecretHasher  # noqa: E402 - imports the models

__all__ = ["ClientSecretHasher"]
