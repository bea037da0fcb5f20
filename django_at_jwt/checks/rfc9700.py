"""Checks of the RFC 9700 profile for production (``manage.py check --deploy``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import RFC9700_PROFILE

from .ids import UNREADABLE, CheckId, issues_tokens, system_check

if TYPE_CHECKING:
    from collections.abc import Sequence

_LISTED: Final = "manage.py rfc9700_readiness lists the clients that this breaks or may break."
_NOT_LISTED: Final = {
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": "This breaks clients that send access tokens in the query. The "
    "database does not show which do; look for access_token= in the web server's log.",
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": "This breaks only clients that do not ignore unknown response "
    "parameters, as they must (RFC 6749 section 4.1.2). The database does not show which do not.",
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": "This breaks only clients that repeat a refresh later than that. The "
    "database does not show which do.",
}


@system_check(issues_tokens, deploy=True)
def check_rfc9700(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each setting of ``oauth2_provider_settings(profile="rfc9700")`` is on."""
    from django_at_jwt.authorization_server.rfc9700 import settings_off  # noqa: PLC0415 - a project that only verifies has no toolkit

    messages = {
        "PKCE_REQUIRED": ("Clients may use the authorization code grant without PKCE.", CheckId.NO_PKCE),
        "COMPLIANT_BCP_RFC9700_PKCE_METHOD": ('The PKCE challenge method "plain" is accepted.', CheckId.PLAIN_PKCE),
        "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": (
            "The authorization endpoint may answer with access tokens (implicit and hybrid grants).",
            CheckId.FRONT_CHANNEL_TOKENS,
        ),
        "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": (
            "Clients may ask users for their passwords (password grant).",
            CheckId.PASSWORD_GRANT,
        ),
        "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": (
            "DOT's views accept access tokens in the query, which appear in logs.",
            CheckId.TOKENS_IN_QUERY,
        ),
        "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": (
            "Authorization responses do not name the issuer (RFC 9207), so clients cannot detect mix-up attacks.",
            CheckId.NO_ISS_IN_RESPONSES,
        ),
        "ROTATE_REFRESH_TOKEN": (
            "Refresh tokens are not rotated, so the use of a stolen one is not noticed.",
            CheckId.NO_ROTATION,
        ),
        "REFRESH_TOKEN_REUSE_PROTECTION": (
            "The reuse of a replaced refresh token does not end the authorization, so a thief keeps the tokens.",
            CheckId.NO_REUSE_PROTECTION,
        ),
        "REFRESH_TOKEN_EXPIRE_SECONDS": ("Unused refresh tokens never expire.", CheckId.ENDLESS_REFRESH_TOKENS),
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": (
            "A client that lost the response to a refresh cannot retry it, or has more than a minute to do so.",
            CheckId.GRACE_PERIOD,
        ),
    }
    return [
        Warning(f"{messages[name][0]} (RFC 9700)", hint=_hint(name), id=messages[name][1]) for name in settings_off()
    ]


def _hint(name: str) -> str:
    return f'Set OAUTH2_PROVIDER["{name}"] to {RFC9700_PROFILE[name]}. {_NOT_LISTED.get(name, _LISTED)}'


@system_check(issues_tokens, deploy=True)
def check_public_clients(**_kwargs: Any) -> list[CheckMessage]:
    """Check that no public client is registered for client credentials, for which it gets no token."""
    clients = _public_clients_with_credentials()
    if not clients:
        return []
    return [
        Warning(
            f"Public clients get no token by client credentials (unauthorized_client): {', '.join(clients)}.",
            hint="Make each a confidential client with a new secret, or delete it.",
            id=CheckId.PUBLIC_CLIENT_CREDENTIALS,
        )
    ]


def _public_clients_with_credentials() -> Sequence[str]:
    from django_at_jwt.authorization_server.rfc9700 import public_clients_with_credentials  # noqa: PLC0415 - as above

    try:
        return public_clients_with_credentials()
    except UNREADABLE:
        # "migrate" has yet to create the table.
        return []
