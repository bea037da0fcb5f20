"""Checks of ``AT_JWT`` and of the entries of ``OAUTH2_PROVIDER`` that issuing access tokens needs."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from django_at_jwt.conf import (
    ACCESS_TOKEN_GENERATOR,
    REFRESH_TOKEN_GENERATOR,
    SETTING_NAME,
    VALIDATOR_CLASS,
    app_settings,
    local_issuer,
    problems_in,
    toolkit_setting,
)
from django_at_jwt.core.metadata import is_issuer

from .ids import CheckId, imported, issues_tokens, problem_with_callable, settings_valid, system_check

# The pages of the documentation about settings that have their own.
_PAGES: Final = {f'{SETTING_NAME}["CLAIM_MAPPERS"]': "Claim mappers"}
_SPREAD: Final = "OAUTH2_PROVIDER = {**oauth2_provider_settings(), ...}"


@system_check()
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Check that ``AT_JWT`` contains only known settings with valid values."""
    return [
        Error(
            f"{name} {problem}.",
            hint=f'See the page "{_PAGES.get(name, "Settings")}" of the documentation.',
            id=CheckId.UNUSABLE_SETTING,
        )
        for name, problem in problems_in(getattr(django_settings, SETTING_NAME, None) or {})
    ]


@system_check(issues_tokens)
def check_issuer(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the issuer is set to a URL without query and fragment (RFC 8414 section 2)."""
    issuer = local_issuer()
    if not issuer:
        return [
            Error(
                'OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] is not set, so no access token can be issued.',
                hint="Set it to the URL at which django_at_jwt.urls is included, for instance "
                '"OIDC_ISS_ENDPOINT": "https://www.example.com/o".',
                id=CheckId.NO_ISSUER,
            )
        ]
    if is_issuer(issuer):
        return []
    parts = urlsplit(issuer)
    meant = f"{parts.scheme}://{parts.netloc}{parts.path.strip().rstrip('/')}"
    suggestion = f" Use {meant!r}." if is_issuer(meant) else ""
    return [
        Error(
            f'OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] is {issuer!r}, which is not a valid issuer.',
            hint="It must be an https URL (http only in development) without query, fragment, spaces and trailing "
            f"slash (RFC 8414 section 2).{suggestion}",
            id=CheckId.BAD_ISSUER,
        )
    ]


@system_check(issues_tokens, settings_valid)
def check_token_lifetime(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the function that decides the lifetime of access tokens can be imported."""
    path = app_settings().token_lifetime
    problem = None if path is None else problem_with_callable(path)
    if problem is None:
        return []
    return [
        Error(
            f'AT_JWT["TOKEN_LIFETIME"] is {path!r}, which {problem}.',
            hint="Set it to the dotted path of a function.",
            id=CheckId.UNUSABLE_LIFETIME,
        )
    ]


@system_check(issues_tokens)
def check_access_token_generator(**_kwargs: Any) -> list[CheckMessage]:
    """Check that django-oauth-toolkit generates access tokens with this app."""
    if _names(toolkit_setting("ACCESS_TOKEN_GENERATOR"), ACCESS_TOKEN_GENERATOR):
        return []
    return [
        Error(
            'OAUTH2_PROVIDER["ACCESS_TOKEN_GENERATOR"] is not this app\'s, so access tokens are opaque.',
            hint=f'Add "ACCESS_TOKEN_GENERATOR": "{ACCESS_TOKEN_GENERATOR}", or write {_SPREAD}.',
            id=CheckId.NO_ACCESS_TOKEN_GENERATOR,
        )
    ]


@system_check(issues_tokens)
def check_refresh_token_generator(**_kwargs: Any) -> list[CheckMessage]:
    """Check that refresh tokens are not generated like access tokens."""
    generator = toolkit_setting("REFRESH_TOKEN_GENERATOR")
    if generator is not None and not _names(generator, ACCESS_TOKEN_GENERATOR):
        return []
    return [
        Error(
            'OAUTH2_PROVIDER["REFRESH_TOKEN_GENERATOR"] is not set, so refresh tokens would be access tokens.'
            if generator is None
            else 'OAUTH2_PROVIDER["REFRESH_TOKEN_GENERATOR"] generates access tokens.',
            hint=f'Add "REFRESH_TOKEN_GENERATOR": "{REFRESH_TOKEN_GENERATOR}", or write {_SPREAD}.',
            id=CheckId.NO_REFRESH_TOKEN_GENERATOR,
        )
    ]


@system_check(issues_tokens)
def check_validator(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the validator class inherits from this app's mixin."""
    from django_at_jwt.authorization_server.oauthlib_bridge.validator import AccessTokenValidatorMixin  # noqa: PLC0415 - it imports the models

    written = toolkit_setting("OAUTH2_VALIDATOR_CLASS")
    validator = imported(written)
    if isinstance(validator, type) and issubclass(validator, AccessTokenValidatorMixin):
        from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: PLC0415 - as above

        order = validator.__mro__
        if OAuth2Validator in order and order.index(AccessTokenValidatorMixin) > order.index(OAuth2Validator):
            return [
                Error(
                    f"{validator.__name__} inherits from OAuth2Validator before AccessTokenValidatorMixin, whose "
                    "methods are not called.",
                    hint=f"Write: class {validator.__name__}(AccessTokenValidatorMixin, OAuth2Validator).",
                    id=CheckId.NO_VALIDATOR,
                )
            ]
        return []
    problem = "does not inherit from this app's AccessTokenValidatorMixin"
    if isinstance(written, str) and (cause := problem_with_callable(written)):
        problem = f"is {written!r}, which {cause}"
    return [
        Error(
            f'OAUTH2_PROVIDER["OAUTH2_VALIDATOR_CLASS"] {problem}.',
            hint=f'Add "OAUTH2_VALIDATOR_CLASS": "{VALIDATOR_CLASS}", or make '
            "django_at_jwt.validators.AccessTokenValidatorMixin the first base of your own validator class.",
            id=CheckId.NO_VALIDATOR,
        )
    ]


def _names(value: Any, dotted_path: str) -> bool:
    return value == dotted_path or (value is not None and imported(value) is import_string(dotted_path))
