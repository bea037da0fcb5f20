"""What ``OAUTH2_PROVIDER["ACCESS_TOKEN_GENERATOR"]`` names."""

from .authorization_server.toolkit import generate_access_token

__all__ = ["generate_access_token"]
