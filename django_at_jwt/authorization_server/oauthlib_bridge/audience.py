"""The audience of a request: resolved before anything is signed or stored, and handed back for the rows to agree.

oauthlib calls the token generator before django-oauth-toolkit has read, inherited or narrowed the ``resource``
parameter.
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
    """Resolve an audience by the registered resource servers.

    Raises:
        IssuanceError: there is none to be had, or nobody can say.
    """
    with _reading_the_registry():
        return registry.resolve(request)


@contextmanager
def _reading_the_registry() -> Iterator[None]:
    try:
        yield
    except AnyDatabaseError as error:
        raise IssuanceUnavailable(f"the resource servers cannot be read: {error}. Was migrate run?") from None


def resolve_for_authorization(request: Request) -> Audience:
    """Resolve the audience of an authorization request, and narrow its scopes to what mean something there.

    Raises:
        IssuanceError: as :func:`resolve`.
    """
    return _narrow(request, _resolve(request, granted=None))


def resolved_audience(request: Request) -> Audience | None:
    """Give the audience that validation has resolved, or ``None`` where a site's validator has not."""
    audience: Audience | None = stored(request, AUDIENCE)
    return audience


def resolve_for_token(request: Request) -> Audience:
    """Resolve the audience of the token that is about to be signed, and leave it for the rows to hold as well.

    Raises:
        IssuanceError: as :func:`resolve`, or the grant is not there any more.
    """
    audience = resolved_audience(request)
    if audience is None:
        granted = _granted_before(request)
        audience = _narrow(request, _resolve(request, granted=granted))
        setattr(request, GRANTED, list(granted or audience.identifiers))
    else:
        # The authorization endpoint has resolved it a moment ago.
        setattr(request, GRANTED, audience.identifiers)
    request.resource = audience.identifiers
    return audience


def refuse_other_resources(request: Request) -> None:
    """Look at the resources of a token request before its scopes are: one that was not granted is ``invalid_target``.

    oauthlib would say ``invalid_scope`` where the scope of another API comes with its name.

    Raises:
        IssuanceError: a resource was not granted, or is no longer to be had.
    """
    with _reading_the_registry():
        registry.requested(_asked(request, granted=_granted_before(request)))


def _resolve(request: Request, *, granted: Sequence[str] | None) -> Audience:
    return resolve(_asked(request, granted=granted))


def _asked(request: Request, *, granted: Sequence[str] | None) -> AudienceRequest:
    return AudienceRequest(
        client_id=request.client.client_id,
        resources=requested_resources(request),
        scopes=request.scopes or (),
        asked_scopes=asked_scopes(request),
        granted=granted,
    )


def _narrow(request: Request, audience: Audience) -> Audience:
    # The answer's "scope" and the rows' are read from here, after the generator has run.
    request.scopes = list(audience.scopes)
    setattr(request, AUDIENCE, audience)
    return audience


def _granted_before(request: Request) -> Sequence[str] | None:
    """Give what the resource owner agreed to in an earlier request, or ``None`` where this one is the first."""
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
        # Without it nobody can say what was agreed to, and so nothing was.
        raise InvalidGrant("The grant is not there any more.")
    return _or_default(row.resource)


def _or_default(resources: Any) -> Sequence[str]:
    """A row from before this app was installed names no resource: then it is what nobody asking would get now."""
    if resources:
        return list(resources)
    default = registry.current().default
    if default is None:
        raise NoDefaultResource
    return [default]
