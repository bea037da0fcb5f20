"""Resolve the audience of an oauthlib request before a token is signed, and store it on the request.

oauthlib calls the token generator before django-oauth-toolkit (DOT) reads, inherits or narrows the ``resource``
parameter. The stored audience keeps DOT's rows consistent with ``aud``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_at_jwt.authorization_server.client_options import token_format_of
from django_at_jwt.authorization_server.resource_servers import audience_errors, registry
from django_at_jwt.core import grant_types
from django_at_jwt.core.audience import Audience, requested_servers, resolve_audience
from django_at_jwt.core.errors import InvalidGrant, NoDefaultResource

from .request import (
    AUDIENCE,
    AUTHORIZATION,
    CODE_GRANT,
    GRANTED,
    asked_scopes,
    requested_resources,
    stored,
    token_grant,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauthlib.common import Request

    from django_at_jwt.models import Authorization


@audience_errors()
def resolve_for_authorization(request: Request) -> Audience:
    """Resolve the audience of an authorization request, and narrow its scopes to those that the audience knows.

    Raises:
        IssuanceError: the request has no valid audience, or the resource servers cannot be read.
    """
    return _narrow(request, _resolve(request, granted=None))


def resolved_audience(request: Request) -> Audience | None:
    """Return the audience that validation has resolved, or ``None`` if a site's validator did not."""
    return stored(request, AUDIENCE)


@audience_errors()
def resolve_for_token(request: Request) -> Audience:
    """Resolve the audience of the token that is about to be signed, and set it on the request for DOT's rows.

    Raises:
        IssuanceError: as :func:`resolve_for_authorization`, or the grant no longer exists.
    """
    # The authorization endpoint may have resolved it in this same request.
    audience, granted = resolved_audience(request), None
    if audience is None:
        granted = _previously_granted(request)
        audience = _narrow(request, _resolve(request, granted=granted))
    # The new refresh token contains registered identifiers, even if the one that it replaces has former ones.
    setattr(request, GRANTED, registry.current().registered(granted) if granted else audience.identifiers)
    request.resource = audience.identifiers
    return audience


@audience_errors()
def check_requested_resources(request: Request) -> None:
    """Check the resources of a token request before its scopes, so that one not granted is ``invalid_target``.

    Otherwise, for a request with the name and a scope of another API, oauthlib would answer ``invalid_scope``.

    Raises:
        IssuanceError: a resource was not granted or is no longer available.
    """
    granted, resources = _previously_granted(request), requested_resources(request)
    servers = registry.for_client(registry.knowing(resources), request.client)
    requested_servers(servers, resources, client_id=request.client.client_id, granted=granted)


def _resolve(request: Request, *, granted: Sequence[str] | None) -> Audience:
    resources = requested_resources(request)
    return resolve_audience(
        registry.for_client(registry.knowing(resources), request.client),
        client_id=request.client.client_id,
        resources=resources,
        scopes=request.scopes or (),
        asked_scopes=asked_scopes(request),
        granted=granted,
        client_format=token_format_of(request.client),
    )


def _narrow(request: Request, audience: Audience) -> Audience:
    # After the generator has run, the scopes of the response and of the rows are read from here.
    request.scopes = list(audience.scopes)
    setattr(request, AUDIENCE, audience)
    return audience


def _previously_granted(request: Request) -> Sequence[str] | None:
    """Return the resources granted in an earlier request, or ``None`` if this request is the first."""
    match token_grant(request):
        case grant_types.AUTHORIZATION_CODE:
            row = stored(request, CODE_GRANT)
        case grant_types.REFRESH_TOKEN:
            row = stored(request, "refresh_token_instance")
        case grant_types.DEVICE_CODE:
            authorization: Authorization | None = stored(request, AUTHORIZATION)
            return _or_default(authorization.resources if authorization is not None else ())
        case _:
            return None
    if row is None:
        # Without the row, nothing is known to be granted.
        raise InvalidGrant("The grant no longer exists.")
    return _or_default(row.resource)


def _or_default(resources: Sequence[str] | None) -> Sequence[str]:
    granted = registry.current().or_default(resources)
    if not granted:
        raise NoDefaultResource
    return granted
