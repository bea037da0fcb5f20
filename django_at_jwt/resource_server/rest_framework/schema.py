"""What drf-spectacular writes into an OpenAPI document: the issuer, and the scopes that each operation needs.

This module needs drf-spectacular. It is imported where that is installed, and to import it is all that there is to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import NoReverseMatch, reverse
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from django_at_jwt.conf import app_settings, local_issuer, toolkit_setting
from django_at_jwt.core.metadata import with_path
from django_at_jwt.resource_server.protected_resources import default_identifier, issuers_for

from .authentication import AccessTokenAuthentication
from .refusals import needs_of

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema

SCHEME_NAME: Final = "accessToken"


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The security scheme of views that :class:`~.authentication.AccessTokenAuthentication` protects."""

    target_class = AccessTokenAuthentication
    match_subclasses = True

    def __init__(self, target: AccessTokenAuthentication) -> None:
        super().__init__(target)  # type: ignore[no-untyped-call]
        self._identifier: str | None = target.audience or default_identifier()
        self._issuers = issuers_for(self._identifier) if self._identifier else ()
        # A name for each issuer whose tokens the view accepts.
        self.name = [f"{SCHEME_NAME}{place or ''}" for place in range(len(self._issuers))]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        """Give a security scheme for each issuer."""
        return [_definition(issuer, self._identifier) for issuer in self._issuers]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[str]]]:
        """Give the sets of scopes of which each is enough for the operation, at any of the issuers."""
        ways = needs_of(auto_schema.view, auto_schema.view.request)
        # What the token must not have, or how the user must have logged in, cannot be said in such a document.
        # No requirement at all would say that the operation is open.
        alternatives = dict.fromkeys(way.scopes for way in ways) or [()]
        return [{name: list(scopes)} for name in self.name for scopes in alternatives]


def _definition(issuer: str, identifier: str | None) -> dict[str, Any]:
    flows = _flows(issuer, identifier) if issuer == local_issuer() else None
    if flows is None:
        # Where another project's endpoints are is in its metadata, which is not fetched to write a document.
        return {"type": "openIdConnect", "openIdConnectUrl": f"{issuer}/.well-known/openid-configuration"}
    return {"type": "oauth2", "description": f"RFC 9068 access tokens of {issuer} for {identifier}", "flows": flows}


def _flows(issuer: str, identifier: str | None) -> dict[str, Any] | None:
    try:
        authorization, token = (
            with_path(issuer, reverse(f"oauth2_provider:{name}")) for name in ("authorize", "token")
        )
    except NoReverseMatch:
        return None
    scopes = _scopes(identifier)
    return {
        "authorizationCode": {
            "authorizationUrl": authorization,
            "tokenUrl": token,
            "refreshUrl": token,
            "scopes": scopes,
        },
        "clientCredentials": {"tokenUrl": token, "scopes": scopes},
    }


def _scopes(identifier: str | None) -> dict[str, str]:
    described: dict[str, str] = toolkit_setting("SCOPES") or {}
    said = (app_settings().protected_resources or {}).get(identifier or "", {}).get("scopes_supported")
    return {scope: str(described.get(scope, "")) for scope in said or described}
