from oauth2_provider.oauth2_validators import OAuth2Validator

from django_at_jwt.validators import AccessTokenValidatorMixin


class SiteValidator(AccessTokenValidatorMixin, OAuth2Validator):
    """A site's own validator."""


class _Recording(OAuth2Validator):
    def _save_bearer_token(self, token, request, *args, **kwargs):
        RecordingValidator.saved.append(request.grant_type)
        return super()._save_bearer_token(token, request, *args, **kwargs)


class RecordingValidator(AccessTokenValidatorMixin, _Recording):
    """A site's own validator that derives from one that does more when tokens are stored."""

    saved = []


class MixinTooLate(OAuth2Validator, AccessTokenValidatorMixin):
    """A slip: the toolkit's own methods come first."""
