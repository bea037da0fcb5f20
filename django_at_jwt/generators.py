"""The function for ``OAUTH2_PROVIDER["ACCESS_TOKEN_GENERATOR"]``."""

from .conf import require_installed

require_installed()

from django_at_jwt.authorization_server.oauthlib_bridge.generator import generate_access_token  # noqa: E402 - it imports the models

__all__ = ["generate_access_token"]
