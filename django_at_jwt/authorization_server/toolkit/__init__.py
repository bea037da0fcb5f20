"""The bridge to django-oauth-toolkit and oauthlib: the only package that knows how they pass things around."""

from .issuing import DEVICE_CODE_GRANT, generate_access_token, resolve_requested
from .validator import AccessTokenValidatorMixin

__all__ = ["DEVICE_CODE_GRANT", "AccessTokenValidatorMixin", "generate_access_token", "resolve_requested"]
