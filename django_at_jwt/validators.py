"""The class for ``OAUTH2_PROVIDER["OAUTH2_VALIDATOR_CLASS"]``, and the mixin for a site's own validator."""

from .conf import require_installed

require_installed()

from oauth2_provider.oauth2_validators import OAuth2Validator as ToolkitValidator  # noqa: E402 - it imports the models

from django_at_jwt.authorization_server.oauthlib_bridge.validator import AccessTokenValidatorMixin  # noqa: E402 - it imports the models


class OAuth2Validator(AccessTokenValidatorMixin, ToolkitValidator):
    """django-oauth-toolkit's validator with support for RFC 9068 access tokens."""


__all__ = ["AccessTokenValidatorMixin", "OAuth2Validator"]
