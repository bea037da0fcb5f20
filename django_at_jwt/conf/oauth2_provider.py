"""django-oauth-toolkit's settings as the site wrote them, read without importing django-oauth-toolkit."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from .process_cache import process_cached

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db.models import Model

ACCESS_TOKEN_GENERATOR: Final = "django_at_jwt.generators.generate_access_token"  # noqa: S105 - an import path
REFRESH_TOKEN_GENERATOR: Final = "oauthlib.oauth2.rfc6749.tokens.random_token_generator"  # noqa: S105
VALIDATOR_CLASS: Final = "django_at_jwt.validators.OAuth2Validator"
CLIENT_SECRET_HASHER: Final = "at_jwt_hmac_sha256"  # noqa: S105 - an algorithm
CLIENT_METADATA_FETCHER: Final = "django_at_jwt.client_metadata.ClientMetadataFetcher"
LONGEST_SENSIBLE_LIFETIME: Final = 3600
# django-oauth-toolkit's default, in seconds.
_TOOLKIT_LIFETIME: Final = 36000


# The profile for new sites. Each entry is one recommendation of RFC 9700, with the section that it is from.
RFC9700_PROFILE: Final[Mapping[str, Any]] = {
    "PKCE_REQUIRED": True,  # 2.1.1
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,  # 2.1.1: S256 only.
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,  # 2.1.2
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,  # 2.4
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,  # 4.3.2: no access token in a query.
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,  # 4.4.2: "iss" in authorization responses (RFC 9207).
    "ROTATE_REFRESH_TOKEN": True,  # 4.14.2
    "REFRESH_TOKEN_REUSE_PROTECTION": True,  # 4.14.2
    "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 24 * 3600,  # 4.14.2
    # A client that missed the response to a refresh repeats it; without a period, that is reuse.
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 10,
    # With these, DOT's "check --deploy" reports a later override of the entries above as an error.
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
}

_TOKEN_ENDPOINT_METHODS: Final = ("client_secret_basic", "client_secret_post", "none")
# In addition to RFC9700_PROFILE, for clients of the Model Context Protocol (MCP), revision 2026-07-28.
MCP_PROFILE: Final[Mapping[str, Any]] = {
    "CIMD_ENABLED": True,
    "CIMD_METADATA_FETCHER": CLIENT_METADATA_FETCHER,
    # Native clients listen on a port that the system chooses (RFC 8252 section 7.3), many of them on "localhost".
    "ALLOW_LOCALHOST_LOOPBACK": True,
    # "http" is for loopback redirect URIs; refuse_remote_http() refuses others.
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http"],
    # Some clients look here whether public clients are accepted. In the metadata of the introspection endpoint, this
    # app omits "none".
    "OAUTH2_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": [*_TOKEN_ENDPOINT_METHODS],
    "OIDC_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": [*_TOKEN_ENDPOINT_METHODS],
}
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
# Browsers interpret these schemes themselves, so they cannot belong to an app.
BROWSER_SCHEMES: Final = frozenset(
    {"about", "blob", "data", "file", "filesystem", "ftp", "http", "https", "javascript", "mailto", "vbscript"}
    | {"view-source", "ws", "wss"}
)


def oauth2_provider_settings(
    *, profile: Literal["rfc9700"] | None = None, mcp: bool = False, redirect_schemes: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the entries of ``OAUTH2_PROVIDER`` that make django-oauth-toolkit issue RFC 9068 access tokens.

    Put it first: later keys override it::

        OAUTH2_PROVIDER = {**oauth2_provider_settings(), "OIDC_ISS_ENDPOINT": "https://as.example.com/o", ...}

    It sets the access token generator, a separate refresh token generator (without one, oauthlib uses the access token
    generator for refresh tokens), the validator class, hashed token storage, a lifetime of one hour (RFC 6750 section
    5.3), and the admin classes of clients and tokens.

    Args:
        profile: ``"rfc9700"`` adds what the security best current practice recommends (RFC 9700): PKCE with S256 only,
            no implicit and no password grant, no access tokens in a query, ``iss`` in authorization responses, and
            refresh tokens that rotate, are protected against reuse, expire after 30 days, and may be sent again for
            10 seconds. Not covered: the schemes of redirect URIs (``ALLOWED_REDIRECT_URI_SCHEMES``).
        mcp: whether to accept clients of the Model Context Protocol, which needs the profile: client ID metadata
            documents, loopback redirect URIs on any port, and ``none`` as a method of the token endpoint.
        redirect_schemes: private-use schemes that redirect URIs may have besides ``https`` and loopback ``http``, such
            as ``["cursor"]``. Needs ``mcp=True``; otherwise set ``ALLOWED_REDIRECT_URI_SCHEMES``.

    Raises:
        ImproperlyConfigured: the profile is unknown, or an argument needs another argument.
    """
    if profile not in {None, "rfc9700"}:
        raise ImproperlyConfigured(
            f'oauth2_provider_settings(profile=...) must be "rfc9700" or None (got {profile!r}).'
        )
    if mcp and profile is None:
        raise ImproperlyConfigured('oauth2_provider_settings(mcp=True) needs profile="rfc9700".')
    if redirect_schemes and not mcp:
        raise ImproperlyConfigured(
            "oauth2_provider_settings(redirect_schemes=...) needs mcp=True. Without it, set "
            "ALLOWED_REDIRECT_URI_SCHEMES after the helper."
        )
    return {
        "ACCESS_TOKEN_GENERATOR": ACCESS_TOKEN_GENERATOR,
        "REFRESH_TOKEN_GENERATOR": REFRESH_TOKEN_GENERATOR,
        "OAUTH2_VALIDATOR_CLASS": VALIDATOR_CLASS,
        "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
        "ACCESS_TOKEN_EXPIRE_SECONDS": LONGEST_SENSIBLE_LIFETIME,
        "APPLICATION_ADMIN_CLASS": "django_at_jwt.admin.client.ApplicationAdmin",
        "ACCESS_TOKEN_ADMIN_CLASS": "django_at_jwt.admin.token.AccessTokenAdmin",
        "REFRESH_TOKEN_ADMIN_CLASS": "django_at_jwt.admin.token.RefreshTokenAdmin",
        **(RFC9700_PROFILE if profile else {}),
        **(_mcp_profile(redirect_schemes) if mcp else {}),
    }


def _mcp_profile(redirect_schemes: Sequence[str]) -> dict[str, Any]:
    if isinstance(redirect_schemes, str):
        raise ImproperlyConfigured(f"redirect_schemes must be a list of schemes (got {redirect_schemes!r}).")
    for scheme in redirect_schemes:
        if not _SCHEME.fullmatch(str(scheme)) or scheme in BROWSER_SCHEMES:
            raise ImproperlyConfigured(
                f'redirect_schemes must list schemes of apps in lower case, such as "cursor" (got {scheme!r}).'
            )
    # Lists are copied, since the site may change its settings.
    profile = {name: [*value] if isinstance(value, list) else value for name, value in MCP_PROFILE.items()}
    return profile | {"ALLOWED_REDIRECT_URI_SCHEMES": [*MCP_PROFILE["ALLOWED_REDIRECT_URI_SCHEMES"], *redirect_schemes]}


def toolkit_setting(name: str, default: Any = None) -> Any:
    """Return an entry of ``OAUTH2_PROVIDER`` as the site wrote it, without importing django-oauth-toolkit."""
    return _oauth2_provider().get(name, default)


def toolkit_model(name: str) -> type[Model]:
    """Return one of django-oauth-toolkit's models, or the model the site has swapped it for.

    Args:
        name: the name of the setting that swaps it, without its prefix, such as ``ACCESS_TOKEN_MODEL``.

    Raises:
        LookupError: django-oauth-toolkit is not installed.
    """
    usual = f"oauth2_provider.{name.removesuffix('_MODEL').title().replace('_', '')}"
    return apps.get_model(toolkit_setting(name) or getattr(django_settings, f"OAUTH2_PROVIDER_{name}", None) or usual)


@process_cached
def token_user_model() -> type[Model]:
    """Return the model of the users that access tokens are issued for.

    This is the model that ``AccessToken.user`` refers to; a site that swaps the access token model can choose another
    one than ``AUTH_USER_MODEL``. Without django-oauth-toolkit it is ``AUTH_USER_MODEL``.
    """
    if not apps.is_installed("oauth2_provider"):
        return apps.get_model(django_settings.AUTH_USER_MODEL)
    model = toolkit_model("ACCESS_TOKEN_MODEL")._meta.get_field("user").related_model
    assert model is not None  # noqa: S101 - models are loaded
    return model


@process_cached
def _oauth2_provider() -> Mapping[str, Any]:
    return getattr(django_settings, "OAUTH2_PROVIDER", None) or {}


@process_cached
def local_issuer() -> str:
    """Return this project's issuer identifier, or an empty string if it issues no tokens.

    It is always ``OIDC_ISS_ENDPOINT``, never derived from a request, whose ``Host`` header the client controls.
    """
    return str(toolkit_setting("OIDC_ISS_ENDPOINT") or "")


def has_issuer_tables() -> bool:
    """Return whether this project has the tables of issued tokens and of the deny list."""
    return apps.is_installed("oauth2_provider") and apps.is_installed("django_at_jwt")


@process_cached
def access_token_lifetime() -> int:
    """Return the lifetime in seconds of an access token for resource servers without one.

    If a function of the site decides it (:func:`has_lifetime_function`), it is unknown until a token is issued. Then
    return 3600, the longest lifetime that such a function may return.
    """
    lifetime = _configured_lifetime()
    if isinstance(lifetime, timedelta):
        lifetime = lifetime.total_seconds()
    return math.ceil(lifetime) if isinstance(lifetime, (int, float)) else LONGEST_SENSIBLE_LIFETIME


def has_lifetime_function() -> bool:
    """Return whether a function, or its dotted path, decides the lifetime of each access token."""
    lifetime = _configured_lifetime()
    return isinstance(lifetime, str) or callable(lifetime)


def _configured_lifetime() -> Any:
    lifetime = toolkit_setting("ACCESS_TOKEN_EXPIRE_SECONDS", _TOOLKIT_LIFETIME)
    return (toolkit_setting("EXTRA_SERVER_KWARGS") or {}).get("token_expires_in", lifetime)
