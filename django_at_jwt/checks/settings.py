"""What ``AT_JWT`` and ``OAUTH2_PROVIDER`` must hold for access tokens to be issued."""

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
    local_issuer,
    problems_in,
    toolkit_setting,
)

from .ids import CheckId, is_issuer, issues_tokens

_SPREAD: Final = "OAUTH2_PROVIDER = {**oauth2_provider_settings(), ...}"


def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """``AT_JWT`` holds nothing unknown and nothing that cannot be used."""
    return [
        Error(
            f"{name} {problem}.",
            hint="The page Settings of the documentation says what each takes.",
            id=CheckId.UNUSABLE_SETTING,
        )
        for name, problem in problems_in(getattr(django_settings, SETTING_NAME, None) or {})
    ]


def check_issuer(**_kwargs: Any) -> list[CheckMessage]:
    """The issuer is set, and is a URL without query and fragment (RFC 8414 §2)."""
    if not issues_tokens():
        return []
    issuer = local_issuer()
    if not issuer:
        return [
            Error(
                "OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not set, so no access token can be issued.",
                hint="Set it to the URL below which django_at_jwt.urls is included, for instance "
                '"OIDC_ISS_ENDPOINT": "https://www.example.com/o".',
                id=CheckId.NO_ISSUER,
            )
        ]
    parts = urlsplit(issuer)
    if is_issuer(issuer):
        return []
    meant = f"{parts.scheme}://{parts.netloc}{parts.path.strip().rstrip('/')}"
    write = f" Write {meant!r}." if is_issuer(meant) else ""
    return [
        Error(
            f"OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is {issuer!r}, which cannot be an issuer.",
            hint=f"It is an https URL without query, fragment, space and trailing slash (RFC 8414 section 2).{write}",
            id=CheckId.BAD_ISSUER,
        )
    ]


def check_access_token_generator(**_kwargs: Any) -> list[CheckMessage]:
    """The toolkit asks this app for access tokens."""
    if not issues_tokens() or _names(toolkit_setting("ACCESS_TOKEN_GENERATOR"), ACCESS_TOKEN_GENERATOR):
        return []
    return [
        Error(
            "OAUTH2_PROVIDER['ACCESS_TOKEN_GENERATOR'] is not this app's, so access tokens stay opaque.",
            hint=f'Add "ACCESS_TOKEN_GENERATOR": "{ACCESS_TOKEN_GENERATOR}", or spread {_SPREAD}.',
            id=CheckId.NO_ACCESS_TOKEN_GENERATOR,
        )
    ]


def check_refresh_token_generator(**_kwargs: Any) -> list[CheckMessage]:
    """Refresh tokens have a generator of their own."""
    if not issues_tokens():
        return []
    generator = toolkit_setting("REFRESH_TOKEN_GENERATOR")
    if generator is not None and not _names(generator, ACCESS_TOKEN_GENERATOR):
        return []
    return [
        Error(
            "OAUTH2_PROVIDER['REFRESH_TOKEN_GENERATOR'] is not set, so refresh tokens would be access tokens.",
            hint=f'Add "REFRESH_TOKEN_GENERATOR": "{REFRESH_TOKEN_GENERATOR}", or spread {_SPREAD}.',
            id=CheckId.NO_REFRESH_TOKEN_GENERATOR,
        )
    ]


def check_validator(**_kwargs: Any) -> list[CheckMessage]:
    """The toolkit's validator has this app's mixin."""
    if not issues_tokens():
        return []
    from django_at_jwt.authorization_server.oauthlib_bridge import AccessTokenValidatorMixin  # noqa: PLC0415 - it needs the toolkit

    validator = _imported(toolkit_setting("OAUTH2_VALIDATOR_CLASS"))
    if isinstance(validator, type) and issubclass(validator, AccessTokenValidatorMixin):
        from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: PLC0415 - it needs the toolkit's models

        order = validator.__mro__
        if OAuth2Validator in order and order.index(AccessTokenValidatorMixin) > order.index(OAuth2Validator):
            return [
                Error(
                    f"{validator.__name__} inherits from this app's mixin after OAuth2Validator, which undoes it.",
                    hint=f"Write: class {validator.__name__}(AccessTokenValidatorMixin, OAuth2Validator).",
                    id=CheckId.NO_VALIDATOR,
                )
            ]
        return []
    return [
        Error(
            "OAUTH2_PROVIDER['OAUTH2_VALIDATOR_CLASS'] does not know this app's access tokens.",
            hint=f'Add "OAUTH2_VALIDATOR_CLASS": "{VALIDATOR_CLASS}", or let your own validator class inherit from '
            "django_at_jwt.validators.AccessTokenValidatorMixin first.",
            id=CheckId.NO_VALIDATOR,
        )
    ]


def _imported(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except ImportError:
        return None


def _names(value: Any, dotted_path: str) -> bool:
    return value == dotted_path or (value is not None and _imported(value) is import_string(dotted_path))
