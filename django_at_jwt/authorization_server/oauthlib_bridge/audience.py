"""Resolve the audience of an oauthlib request before a token is signed, and store it on the request.

oauthlib calls the token generator before django-oauth-toolkit (DOT) reads, inherits or narrows the ``resource``
parameter. The stored audience keeps DOT's rows consistent with ``aud``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import Error as AnyDatabaseError

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.core.audience import Audience, AudienceRequest
from django_at_jwt.core.errors import InvalidGrant, IssuanceUnavailable, NoDefaultResource

from .request import (
    AUDIENCE,
    AUTHORIZATION,
    CODE_GRANT,
    DEVICE_CODE_GRANT,
    GRANTED,
    asked_scopes,
    requested_resources,
    stored,
    token_grant,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oauthlib.common import Request

    from django_at_jwt.models import Authorization


def resolve(request: AudienceRequest) -> Audience:
    """Resolve an audience among the registered resource servers.

    Raises:
        IssuanceError: the request has no valid audience, or the resource servers cannot be read.
    """
    with _registry_errors():
        return registry.resolve(request)


@contextmanager
def _registry_errors() -> Iterator[None]:
    try:
        yield
    except AnyDatabaseError as error:
        raise IssuanceUnavailable(f"the resource servers cannot be read ({error}); was migrate run?") from None


def resolve_for_authorization(request: Request) -> Audience:
    """Resolve the audience of an authorization request, and narrow its scopes to those that the audience knows.

    Raises:
        IssuanceError: as :func:`resolve`.
    """
    return _narrow(request, _resolve(request, granted=None))


def resolved_audience(request: Request) -> Audience | None:
    """Return the audience that validation has resolved, or ``None`` if a site's validator did not."""
    audience: Audience | None = stored(request, AUDIENCE)
    return audience


def resolve_for_token(request: Request) -> Audience:
    """Resolve the audience of the token that is about to be signed, and set it on the request for DOT's rows.

    Raises:
        IssuanceError: as :func:`resolve`, or the grant no longer exists.
    """
    audience = resolved_audience(request)
    if audience is None:
        granted = _previously_granted(request)
        audience = _narrow(request, _resolve(request, granted=granted))
        setattr(request, GRANTED, list(granted or audience.identifiers))
    else:
        # The authorization endpoint has resolved it in this same request.
        setattr(request, GRANTED, audience.identifiers)
    request.resource = audience.identifiers
    return audience


def check_requested_resources(request: Request) -> None:
    """Check the resources of a token request before its scopes, so that one not granted is ``invalid_target``.

    Otherwise, for a request with the name and a scope of another API, oauthlib would answer ``invalid_scope``.

    Raises:
        IssuanceError: a resource was not granted or is no longer available.
    """
    with _registry_errors():
        registry.requested(_audience_request(request, granted=_previously_granted(request)))


def _resolve(request: Request, *, granted: Sequence[str] | None) -> Audience:
    return resolve(_audience_request(request, granted=granted))


def _audience_request(request: Request, *, granted: Sequence[str] | None) -> AudienceRequest:
    return AudienceRequest(
        client_id=request.client.client_id,
        resources=requested_resources(request),
        scopes=request.scopes or (),
        asked_scopes=asked_scopes(request),
        granted=granted,
    )


def _narrow(request: Request, audience: Audience) -> Audience:
    # After the generator has run, the scopes of the response and of the rows are read from here.
    request.scopes = list(audience.scopes)
    setattr(request, AUDIENCE, audience)
    return audience


def _previously_granted(request: Request) -> Sequence[str] | None:
    """Return the resources granted in an earlier request, or ``None`` if this request is the first."""
    match token_grant(request):
        case "authorization_code":
            row = stored(request, CODE_GRANT)
        case "refresh_token":
            row = stored(request, "refresh_token_instance")
        case str(grant_type) if grant_type == DEVICE_CODE_GRANT:
            authorization: Authorization | None = stored(request, AUTHORIZATION)
            return _or_default(authorization.resources if authorization is not None else ())
        case _:
            return None
    if row is None:
        # Without the row, nothing is known to be granted.
        raise InvalidGrant("The grant no longer exists.")
    return _or_default(row.resource)


def _or_default(resources: Any) -> Sequence[str]:
    """Return the resources, or the current default for rows without any, stored before this app was installed."""
    if resources:
        return list(resources)
    default = registry.current().default
    if default is None:
        raise NoDefaultResource
    return [default]
