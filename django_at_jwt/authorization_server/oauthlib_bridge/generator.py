"""The access token generator: issue a token for an oauthlib request."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NoReturn

from django.db import Error as AnyDatabaseError
from django.views.decorators.debug import sensitive_variables
from oauthlib.oauth2 import OAuth2Error
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error
from oauthlib.oauth2.rfc6749.tokens import random_token_generator

from django_at_jwt.authorization_server.claims.mapping import log_problems
from django_at_jwt.authorization_server.claims.registry import claim_mappers
from django_at_jwt.authorization_server.issuance import (
    IssuedAccessToken,
    TokenRequest,
    compose_access_token,
    new_token_id,
    sign_access_token,
    token_lifetime,
)
from django_at_jwt.authorization_server.keys.last_expiry import last_token_expiry
from django_at_jwt.authorization_server.subject import token_subject
from django_at_jwt.core.errors import IssuanceError, IssuanceUnavailable
from django_at_jwt.core.grant_types import IMPLICIT
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.events import AccessTokenIssued, span

from .audience import resolve_for_token
from .authorization import authorization_of
from .refusals import report_refusal
from .request import AUTHENTICATION, ISSUED, LIFETIME, REQUESTED_LIFETIME, stored, token_grant

if TYPE_CHECKING:
    from oauthlib.common import Request

    from django_at_jwt.core.audience import Audience

logger = logging.getLogger("django_at_jwt")


class IssuanceFailed(OAuth2Error):
    """Carries an :class:`IssuanceError` through oauthlib to the client, as JSON (RFC 6749 section 5.2)."""

    def __init__(self, error: IssuanceError, request: Request) -> None:
        self.reason, self.error = error, error.code
        super().__init__(description=error.description, status_code=error.status, request=request)

    @property
    def headers(self) -> dict[str, str]:
        """The response headers; without a content type, Django would send HTML."""
        return {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}


def redirectable(error: IssuanceError, *, state: str | None) -> OAuth2Error:
    """Return an error that oauthlib can send to the client's redirect URI (RFC 6749 section 4.1.2.1)."""
    return CustomOAuth2Error(error=error.code, description=error.description, state=state)


@sensitive_variables()
def generate_access_token(request: Request) -> str:
    """Issue the access token for a validated oauthlib request (DOT's ``ACCESS_TOKEN_GENERATOR``).

    If a site has not set ``REFRESH_TOKEN_GENERATOR``, oauthlib calls this for the refresh token too, right after the
    access token. A second token for the same request is therefore opaque.

    Raises:
        IssuanceFailed: no token is issued; the client gets its error as JSON or in the redirect, the log the reason.
    """
    if stored(request, ISSUED) is not None:
        logger.error('OAUTH2_PROVIDER["REFRESH_TOKEN_GENERATOR"] is not set; run manage.py check')
        return str(random_token_generator(request))
    began = time.perf_counter()
    # No grant_type: the authorization endpoint, in the implicit flow or the front channel of a hybrid flow.
    grant = token_grant(request) or IMPLICIT
    with span("issue_token", grant=grant) as traced:
        token, issued = _issue(request, grant, began)
        traced.set(format=issued.format, algorithm=issued.algorithm)
    setattr(request, ISSUED, issued)
    return token


@sensitive_variables()
def _issue(request: Request, grant: str, began: float) -> tuple[str, AccessTokenIssued]:
    user = stored(request, "user")
    try:
        audience = resolve_for_token(request)
        subject = token_subject(user, request.client, grant=grant)
        facts = TokenRequest(
            client=request.client,
            grant=grant,
            now=time.time(),
            user=user,
            authentication=stored(request, AUTHENTICATION),
            lifetime=stored(request, REQUESTED_LIFETIME),
        )
        lifetime = token_lifetime(facts, audience, subject=subject, expires_in=stored(request, "expires_in"))
        setattr(request, LIFETIME, lifetime)
        if audience.token_format is TokenFormat.OPAQUE:
            token = str(random_token_generator(request))
        else:
            authorization = authorization_of(request)
            identifier = None if authorization is None else authorization.identifier
            token_id = new_token_id(request.client, authorization=identifier)
            token = _sign(facts, audience, subject=subject, lifetime=lifetime, token_id=token_id)
    except IssuanceError as error:
        refuse(error, request)
    issued = AccessTokenIssued(
        grant=grant,
        client_id=request.client.client_id,
        audience=tuple(audience.identifiers),
        format=audience.token_format,
        algorithm=token.algorithm if isinstance(token, IssuedAccessToken) else None,
        kid=token.kid if isinstance(token, IssuedAccessToken) else None,
        lifetime=lifetime,
        seconds=time.perf_counter() - began,
    )
    return token, issued


def _sign(
    facts: TokenRequest, audience: Audience, *, subject: str | None, lifetime: int, token_id: str
) -> IssuedAccessToken:
    composed = compose_access_token(
        facts, audience, claim_mappers.current(), subject=subject, lifetime=lifetime, token_id=token_id
    )
    log_problems(composed.mapped)
    token = sign_access_token(composed)
    try:
        last_token_expiry.record(token.kid, token.expires_at)
    except AnyDatabaseError:
        logger.exception("The last expiry of signing key %s could not be recorded", token.kid)
        raise IssuanceUnavailable("the last expiry of the signing key could not be recorded") from None
    return token


def refuse(error: IssuanceError, request: Request) -> NoReturn:
    """Report why no token is issued, and raise the error for the client."""
    report_refusal(error.code, str(error), request)
    raise IssuanceFailed(error, request) from error
