"""What drf-spectacular writes into an OpenAPI document: the issuer, and the scopes that each operation needs.

This module needs drf-spectacular. It is imported where that is installed, and to import it is all that there is to do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.urls import NoReverseMatch, reverse
from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from django_at_jwt.conf import app_settings, local_issuer, toolkit_setting
from django_at_jwt.core.metadata import metadata_addresses, with_path
from django_at_jwt.resource_server.protected_resources import default_identifier, issuers_for

from .authentication import AccessTokenAuthentication
from .required_scopes import sufficient_scopes_for_view

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema

SCHEME_NAME: Final = "accessToken"
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9.-]")

# Several classes may stand for one API, and drf-spectacular takes their schemes for a clash of names. A name says all
# that its scheme depends on, so that schemes of one name are the same.
set_override(AccessTokenAuthentication, "suppress_collision_warning", True)


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The security schemes of views that :class:`~.authentication.AccessTokenAuthentication` protects."""

    target_class = AccessTokenAuthentication
    match_subclasses = True

    def __init__(self, target: AccessTokenAuthentication) -> None:
        super().__init__(target)  # type: ignore[no-untyped-call]
        identifier = target.audience or default_identifier()
        self._issuers = issuers_for(identifier) if identifier else ()
        self._identifier = identifier or ""
        # A name for each issuer whose tokens the view accepts.
        self.name = [_name(issuer, self._identifier) for issuer in self._issuers]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        """Give a security scheme for each issuer."""
        return [_definition(issuer, self._identifier) for issuer in self._issuers]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[str]]]:
        """Return the sets of scopes of which each is enough for the operation, at any of the issuers."""
        # What the token must not have, or how the user must have logged in, cannot be said in such a document.
        # No requirement at all would say that the operation is open.
        alternatives = sufficient_scopes_for_view(auto_schema.view, auto_schema.view.request) or [()]
        return [{name: list(scopes)} for name in self.name for scopes in alternatives]


def _name(issuer: str, identifier: str) -> str:
    """Name a scheme, the same in each view and document: by the API and the issuer, where these are not the first."""
    first_api = default_identifier()
    first_issuer = next(iter(issuers_for(first_api)), None) if first_api else None
    api = "" if identifier == first_api else f"_for_{_in_a_name(identifier)}"
    return f"{SCHEME_NAME}{api}" if issuer == first_issuer else f"{SCHEME_NAME}{api}_from_{_in_a_name(issuer)}"


def _in_a_name(url: str) -> str:
    """Write a URL with the few characters that a name may have, so that no two URLs become one."""
    return _NOT_IN_A_NAME.sub(
        lambda found: "__" if found[0] == "/" else "".join(f"_{byte:02X}" for byte in found[0].encode()),
        url.removeprefix("https://"),
    )


def _definition(issuer: str, identifier: str) -> dict[str, Any]:
    description = f"RFC 9068 access tokens of {issuer} for {identifier}"
    endpoints = _endpoints(issuer)
    if endpoints.token is None:
        # Where the endpoints are is in the issuer's metadata, which is not fetched to write a document.
        _, address = metadata_addresses(issuer)
        return {"type": "openIdConnect", "description": description, "openIdConnectUrl": address}
    return {"type": "oauth2", "description": description, "flows": _flows(endpoints, _scopes(issuer, identifier))}


class _Endpoints(NamedTuple):
    authorization: str | None = None
    token: str | None = None


def _endpoints(issuer: str) -> _Endpoints:
    if issuer != local_issuer():
        [its] = (each for each in app_settings().issuers if each.issuer == issuer)
        return _Endpoints(its.authorization_endpoint, its.token_endpoint)
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
    # What this project's own issuer means by a scope says nothing of another issuer's.
    described: dict[str, str] = (toolkit_setting("SCOPES") or {}) if issuer == local_issuer() else {}
    said = (app_settings().protected_resources or {}).get(identifier, {}).get("scopes_supported")
    return {scope: str(described.get(scope, "")) for scope in said or described}
