"""The drf-spectacular extension: issuers as security schemes, and the scopes that each operation requires.

Importing this module registers the extension. It is imported if drf-spectacular is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.urls import NoReverseMatch, reverse
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from django_at_jwt.conf import app_settings, local_issuer, toolkit_setting
from django_at_jwt.core.metadata import metadata_addresses, with_path
from django_at_jwt.resource_server.protected_resources import identifier_of, issuers_for

from .authentication import AccessTokenAuthentication
from .scopes import sufficient_scopes_for_view
from .security_schemes import escaped, login_suffix, required_login

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema

    from django_at_jwt.conf import IssuerSettings

SCHEME_NAME: Final = "accessToken"

# Several classes may belong to one API, which drf-spectacular would report as a name collision. Names include
# everything that a scheme depends on, so schemes with the same name are equal.
set_override(AccessTokenAuthentication, "suppress_collision_warning", True)


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The security schemes of views that :class:`~.authentication.AccessTokenAuthentication` protects."""

    target_class = AccessTokenAuthentication
    match_subclasses = True

    def __init__(self, target: AccessTokenAuthentication) -> None:
        super().__init__(target)  # type: ignore[no-untyped-call]
        identifier = identifier_of(target._audiences)
        self._issuers = issuers_for(identifier) if identifier else ()
        self._identifier = identifier or ""
        # One scheme for each issuer whose tokens the view accepts.
        self.name: list[str] = []

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        """Return a security scheme for each issuer."""
        login = required_login(auto_schema.view)
        return [_definition(issuer, self._identifier, login) for issuer in self._issuers]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[str]]]:
        """Return the sets of scopes, each sufficient for the operation, for each issuer."""
        # OpenAPI cannot express ``~``. An empty list would mark the operation as public.
        alternatives = sufficient_scopes_for_view(auto_schema.view, auto_schema.view.request) or [()]
        # drf-spectacular reads the names after it has called this method.
        suffix = login_suffix(required_login(auto_schema.view))
        self.name = [_name(issuer, self._identifier) + suffix for issuer in self._issuers]
        return [
            {name: list(scopes)}
            for name, issuer in zip(self.name, self._issuers, strict=True)
            for scopes in (alternatives if _has_scopes(issuer) else [()])
        ]


def _name(issuer: str, identifier: str) -> str:
    """Return a scheme's name, which includes the API and the issuer unless they are the first ones."""
    first_api = identifier_of(())
    first_issuer = next(iter(issuers_for(first_api)), None) if first_api else None
    api = "" if identifier == first_api else f"_for_{escaped(identifier)}"
    return f"{SCHEME_NAME}{api}" if issuer == first_issuer else f"{SCHEME_NAME}{api}_from_{escaped(issuer)}"


def _definition(issuer: str, identifier: str, login: str) -> dict[str, Any]:
    description = f"RFC 9068 access tokens of {issuer} for {identifier}"
    if login:
        description += f", of a login with: {login} (RFC 9470)"
    endpoints = _endpoints(issuer)
    if endpoints.token is not None:
        return {"type": "oauth2", "description": description, "flows": _flows(endpoints, _scopes(issuer, identifier))}
    if _has_openid(issuer):
        # The endpoints are in the issuer's metadata, which is not fetched for a schema.
        _, address = metadata_addresses(issuer)
        return {"type": "openIdConnect", "description": description, "openIdConnectUrl": address}
    return {"type": "http", "scheme": "bearer", "bearerFormat": "at+jwt", "description": description}


def _has_scopes(issuer: str) -> bool:
    """Return whether a requirement of the issuer's scheme may list scopes: OpenAPI allows none for type ``http``."""
    return _endpoints(issuer).token is not None or _has_openid(issuer)


def _has_openid(issuer: str) -> bool:
    if issuer == local_issuer():
        return bool(toolkit_setting("OIDC_ENABLED"))
    return _entry(issuer).openid_connect


def _entry(issuer: str) -> IssuerSettings:
    [entry] = (each for each in app_settings().issuers if each.issuer == issuer)
    return entry


class _Endpoints(NamedTuple):
    authorization: str | None = None
    token: str | None = None


def _endpoints(issuer: str) -> _Endpoints:
    if issuer != local_issuer():
        entry = _entry(issuer)
        return _Endpoints(entry.authorization_endpoint, entry.token_endpoint)
    try:
        return _Endpoints(*(with_path(issuer, reverse(f"oauth2_provider:{name}")) for name in ("authorize", "token")))
    except NoReverseMatch:
        return _Endpoints()


def _flows(endpoints: _Endpoints, scopes: dict[str, str]) -> dict[str, Any]:
    flows: dict[str, Any] = {"clientCredentials": {"tokenUrl": endpoints.token, "scopes": scopes}}
    if endpoints.authorization is not None:
        flows["authorizationCode"] = {
            "authorizationUrl": endpoints.authorization,
            "tokenUrl": endpoints.token,
            "refreshUrl": endpoints.token,
            "scopes": scopes,
        }
    return flows


def _scopes(issuer: str, identifier: str) -> dict[str, str]:
    # The local issuer's descriptions of scopes do not apply to other issuers.
    described: dict[str, str] = (toolkit_setting("SCOPES") or {}) if issuer == local_issuer() else {}
    supported = (app_settings().protected_resources or {}).get(identifier, {}).get("scopes_supported")
    return {scope: str(described.get(scope, "")) for scope in supported or described}
