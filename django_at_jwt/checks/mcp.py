"""Checks of ``oauth2_provider_settings(mcp=True)``: which later keys of ``OAUTH2_PROVIDER`` break MCP clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import (
    BROWSER_SCHEMES,
    CLIENT_METADATA_FETCHER,
    MCP_PROFILE,
    RFC9700_PROFILE,
    app_settings,
    local_issuer,
    toolkit_setting,
)
from django_at_jwt.core.grant_types import AUTHORIZATION_CODE
from django_at_jwt.core.metadata import is_fetchable

from .ids import CheckId, imported, issues_tokens, settings_valid, system_check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What MCP clients miss if a setting differs.
_LOST: Final[Mapping[str, str]] = {
    "PKCE_REQUIRED": "a client may leave out PKCE, which OAuth 2.1 requires",
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": 'the PKCE method "plain" is accepted and announced',
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": 'authorization responses have no "iss" (RFC 9207)',
    "ROTATE_REFRESH_TOKEN": "refresh tokens of public clients do not rotate, as OAuth 2.1 requires",
    "ALLOW_LOCALHOST_LOOPBACK": "a client that listens on a free port of localhost, such as Claude Code, is refused",
}
_METHODS: Final = ("OAUTH2_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED", "OIDC_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED")
_SCHEMES: Final = "ALLOWED_REDIRECT_URI_SCHEMES"
_PERMISSIONS: Final = "CIMD_REGISTRATION_PERMISSION_CLASSES"


@system_check(issues_tokens)
def check_client_metadata_is_on(**_kwargs: Any) -> list[CheckMessage]:
    """Check that client ID metadata documents are on, and fetched by this app, if the site wants either."""
    is_on, uses_ours = bool(toolkit_setting("CIMD_ENABLED")), _uses_this_fetcher()
    if is_on == uses_ours:
        return []
    if uses_ours:
        return [
            Warning(
                'OAUTH2_PROVIDER["CIMD_ENABLED"] is off, although oauth2_provider_settings(mcp=True) turns it on, so '
                "MCP clients cannot use their metadata documents.",
                hint="Remove the later key CIMD_ENABLED, or mcp=True.",
                id=CheckId.CLIENT_METADATA_OFF,
            )
        ]
    return [
        Warning(
            'OAUTH2_PROVIDER["CIMD_METADATA_FETCHER"] is not a fetcher of this app, so a client whose metadata '
            "document lists anything that this site does not offer is refused, such as VS Code with the device grant.",
            hint='Use oauth2_provider_settings(profile="rfc9700", mcp=True), or set CIMD_METADATA_FETCHER to '
            f'"{CLIENT_METADATA_FETCHER}" or a subclass.',
            id=CheckId.CLIENT_METADATA_OFF,
        )
    ]


@system_check(issues_tokens)
def check_mcp_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Check the settings that MCP clients need, if their metadata documents are accepted."""
    if not toolkit_setting("CIMD_ENABLED") or not _uses_this_fetcher():
        return []
    return [*_unusable_settings(), *_changed_settings()]


@system_check(issues_tokens, settings_valid, deploy=True)
def check_loopback_client_metadata(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the option for development is off in production."""
    if not app_settings().loopback_client_metadata:
        return []
    return [
        Warning(
            'AT_JWT["LOOPBACK_CLIENT_METADATA"] is on: anyone who can log in can make this server send requests to '
            "itself.",
            hint="Remove it. It is for development.",
            id=CheckId.LOOPBACK_CLIENT_METADATA,
        )
    ]


def _uses_this_fetcher() -> bool:
    from django_at_jwt.authorization_server.client_metadata import (  # noqa: PLC0415 - it imports django-oauth-toolkit
        ClientMetadataFetcher,
    )

    fetcher = imported(toolkit_setting("CIMD_METADATA_FETCHER"))
    return isinstance(fetcher, type) and issubclass(fetcher, ClientMetadataFetcher)


def _unusable_settings() -> Iterator[CheckMessage]:
    schemes = {str(each).lower() for each in toolkit_setting(_SCHEMES, MCP_PROFILE[_SCHEMES])}
    if dangerous := sorted(schemes & BROWSER_SCHEMES - {"http", "https"}):
        yield Error(
            f'OAUTH2_PROVIDER["{_SCHEMES}"] allows {", ".join(dangerous)}, which browsers interpret themselves. Any '
            "client could register such a redirect URI.",
            hint="Remove it, and list the schemes of apps in oauth2_provider_settings(redirect_schemes=[...]).",
            id=CheckId.UNUSABLE_MCP_SETTING,
        )
    if missing := [each for each in ("https", "http") if each not in schemes]:
        clients = "native client, whose loopback" if missing == ["http"] else "client on the web, whose"
        yield Error(
            f'OAUTH2_PROVIDER["{_SCHEMES}"] does not list {" and ".join(missing)}, so every {clients} redirect URI '
            "needs it, is refused.",
            hint="Add it. This app allows http for 127.0.0.1, [::1] and localhost only.",
            id=CheckId.UNUSABLE_MCP_SETTING,
        )
    for name, value in (
        ("OAUTH2_GRANT_TYPES_SUPPORTED", AUTHORIZATION_CODE),
        ("OAUTH2_RESPONSE_TYPES_SUPPORTED", "code"),
    ):
        if value not in toolkit_setting(name, (value,)):
            yield Error(
                f'OAUTH2_PROVIDER["{name}"] does not list {value}, so no MCP client can log a user in.',
                hint=f'Add "{value}".',
                id=CheckId.UNUSABLE_MCP_SETTING,
            )
    if toolkit_setting(_PERMISSIONS, ("default",)) in ((), [], None):
        yield Error(
            f'OAUTH2_PROVIDER["{_PERMISSIONS}"] is empty, so every client with a metadata document is refused.',
            hint="Remove it, or use oauth2_provider.cimd.HostAllowlistCIMDPermission with CIMD_ALLOWED_HOSTS.",
            id=CheckId.UNUSABLE_MCP_SETTING,
        )


def _changed_settings() -> Iterator[CheckMessage]:
    for name, lost in _LOST.items():
        expected = {**RFC9700_PROFILE, **MCP_PROFILE}[name]
        # A callable decides for each client whether it must use PKCE.
        if not toolkit_setting(name, name == "PKCE_REQUIRED"):
            yield _changed(name, lost, f"Set it to {expected}")
    for name in _METHODS:
        if "none" not in toolkit_setting(name, ()):
            lost = "some clients conclude from the metadata that public clients are refused"
            yield _changed(name, lost, 'Add "none"')

    if local_issuer() and not is_fetchable(local_issuer(), loopback_http=True):
        lost = "they refuse an issuer that is not an https URL, except on their own machine"
        yield _changed("OIDC_ISS_ENDPOINT", lost, "Set it to the https URL of this site", is_profile=False)


def _changed(name: str, lost: str, remedy: str, *, is_profile: bool = True) -> CheckMessage:
    usual = ', as oauth2_provider_settings(profile="rfc9700", mcp=True) does' if is_profile else ""
    return Warning(
        f'OAUTH2_PROVIDER["{name}"] does not suit MCP clients: {lost}.',
        hint=f"{remedy}{usual}.",
        id=CheckId.CHANGED_MCP_SETTING,
    )
