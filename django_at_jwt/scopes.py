"""The class for ``OAUTH2_PROVIDER["SCOPES_BACKEND_CLASS"]`` that adds the scopes of resource servers."""

from .conf import require_installed

require_installed()

from django_at_jwt.authorization_server.scopes import ResourceServerScopes  # noqa: E402 - it imports the models

__all__ = ["ResourceServerScopes"]
