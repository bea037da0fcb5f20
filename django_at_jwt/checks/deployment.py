"""Checks for production (``manage.py check --deploy``)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import LONGEST_SENSIBLE_LIFETIME, access_token_lifetime, local_issuer, toolkit_setting

from .ids import CheckId, issues_tokens, system_check


@system_check(issues_tokens, deploy=True)
def check_issuer_is_secure(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the issuer is an https URL (RFC 8414 section 2)."""
    if not local_issuer() or urlsplit(local_issuer()).scheme == "https":
        return []
    return [
        Error(
            'OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] is not an https URL.',
            hint="Set it to the https URL of this site. Resource servers reject an http issuer, because an attacker on "
            "the network could replace its keys.",
            id=CheckId.INSECURE_ISSUER,
        )
    ]


@system_check(issues_tokens, deploy=True)
def check_lifetime(**_kwargs: Any) -> list[CheckMessage]:
    """Check that access tokens live for at most an hour (RFC 6750 section 5.3)."""
    lifetime = access_token_lifetime()
    if lifetime <= LONGEST_SENSIBLE_LIFETIME:
        return []
    return [
        Warning(
            f"Access tokens live for {lifetime} seconds; a stolen token can be used for as long.",
            hint=f'Set OAUTH2_PROVIDER["ACCESS_TOKEN_EXPIRE_SECONDS"] to {LONGEST_SENSIBLE_LIFETIME} or less.',
            id=CheckId.LONG_LIFETIME,
        )
    ]


@system_check(issues_tokens, deploy=True)
def check_token_storage(**_kwargs: Any) -> list[CheckMessage]:
    """Check that tokens are stored hashed, so that a leaked database contains no valid tokens."""
    if toolkit_setting("COMPLIANT_BCP_RFC9700_TOKEN_STORAGE"):
        return []
    return [
        Warning(
            "Access and refresh tokens are stored in plain text.",
            hint='Set OAUTH2_PROVIDER["COMPLIANT_BCP_RFC9700_TOKEN_STORAGE"] to True.',
            id=CheckId.PLAINTEXT_TOKENS,
        )
    ]
