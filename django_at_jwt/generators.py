"""What ``OAUTH2_PROVIDER["ACCESS_TOKEN_GENERATOR"]`` names."""

from .conf import require_installed

require_installed()

from django_at_jwt.authorization_server.oauthlib_bridge import generate_access_token  # noqa: E402 - it needs the tables of the app

__all__ = ["generate_access_token"]
