from oauth2_provider.oauth2_validators import OAuth2Validator

from django_at_jwt.validators import AccessTokenValidatorMixin


class SiteValidator(AccessTokenValidatorMixin, OAuth2Validator):
    """A site's own validator."""


class MixinTooLate(OAuth2Validator, AccessTokenValidatorMixin):
    """A slip: the toolkit's own methods come first."""
