"""Issuing: from oauthlib's request to a token."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NoReturn

from django.db import Error as AnyDatabaseError
from oauthlib.oauth2 import OAuth2Error
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error
from oauthlib.oauth2.rfc6749.tokens import random_token_generator

from django_at_jwt.authorization_server.claim_mappers import claim_mappers
from django_at_jwt.authorization_server.high_water import high_water_marks
from django_at_jwt.authorization_server.issuance import (
    IssuanceRequest,
    IssuedAccessToken,
    protocol_claims,
    sign_access_token,
)
from django_at_jwt.authorization_server.keystore import key_store
from django_at_jwt.authorization_server.mapping import log_problems, map_claims
from django_at_jwt.authorization_server.subjects import is_subject_of_somebody, subject_of
from django_at_jwt.claims import ClaimContext
from django_at_jwt.conf import local_issuer
from django_at_jwt.core.errors import InvalidGrant, IssuanceError, IssuanceUnavailable
from django_at_jwt.core.resource_servers import TokenFormat

from .audiences import resolve_for_token
from .requests import AUTHENTICATION, ISSUED, LIFETIME, stored, token_grant

if TYPE_CHECKING:
    from oauthlib.common import Request

    from django_at_jwt.core.audience import Audience

logger = logging.getLogger("django_at_jwt")


class IssuanceFailed(OAuth2Error):
    """An :class:`IssuanceError` on its way through oauthlib to the client, as JSON (RFC 6749 §5.2)."""

    def __init__(self, error: IssuanceError, request: Request) -> None:
        self.error = error.code
        super().__init__(description=error.description, status_code=error.status, request=request)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer; oauthlib's own errors say no content type, which Django makes HTML of."""
        return {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}


def redirectable(error: IssuanceError, *, state: str | None) -> OAuth2Error:
    """Give an error as oauthlib sends it to the client's redirect URI (RFC 6749 §4.1.2.1)."""
    return CustomOAuth2Error(error=error.code, description=error.description, state=state)


def generate_access_token(request: Request) -> str:
    """Issue the access token for a request that oauthlib has validated: ``ACCESS_TOKEN_GENERATOR``.

    Where a site has not set ``REFRESH_TOKEN_GENERATOR``, oauthlib asks here for the refresh token as well, right after
    the access token. A second token for the same request is therefore an opaque one.

    Raises:
        IssuanceFailed: what the client is told as JSON or in the redirect. The reason is in the log.
    """
    if stored(request, ISSUED) is True:
        logger.error("OAUTH2_PROVIDER['REFRESH_TOKEN_GENERATOR'] is not set; see manage.py check")
        return _opaque_token(request)
    try:
        audience = resolve_for_token(request)
        subject = _user_subject(request)
        lifetime = audience.lifetime(stored(request, "expires_in"))
        setattr(request, LIFETIME, lifetime)
        if audience.token_format is TokenFormat.OPAQUE:
            token = _opaque_token(request)
        else:
            token = _sign(request, audience, subject, lifetime)
    except IssuanceError as error:
        refuse(error, request)
    setattr(request, ISSUED, True)
    return token


def _sign(request: Request, audience: Audience, subject: str | None, lifetime: int) -> IssuedAccessToken:
    issuer = local_issuer()
    if not issuer:
        raise IssuanceUnavailable("OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not set, so tokens would have no issuer")
    protocol = protocol_claims(
        IssuanceRequest(
            issuer=issuer,
            client_id=request.client.client_id,
            audience=audience.identifiers,
            user_subject=subject,
            scopes=audience.scopes,
            authentication=None if subject is None else stored(request, AUTHENTICATION),
            lifetime=lifetime,
            now=time.time(),
        )
    )
    context = ClaimContext(
        user=None if subject is None else stored(request, "user"),
        client=request.client,
        scopes=audience.scopes,
        resource_servers=tuple(audience.identifiers),
        # The authorization endpoint issues tokens for the implicit grant, and for the front half of a hybrid flow.
        grant=token_grant(request) or "implicit",
    )
    mapped = map_claims(claim_mappers.current(), context, servers=audience.servers, protocol=protocol)
    log_problems(mapped)
    token = sign_access_token(protocol, mapped.claims, key_store.current(), algorithm=audience.algorithm)
    _account_for(token)
    return token


def _opaque_token(request: Request) -> str:
    token: str = random_token_generator(request)
    return token


def _account_for(token: IssuedAccessToken) -> None:
    """Hold a token to its key's end, and note when it expires, before anybody gets it."""
    end = key_store.end_of(token.kid)
    if end is not None and token.expires_at > end.timestamp():
        raise IssuanceUnavailable(
            f"the token would outlive signing key {token.kid}, which is published until {end}; after the lifetime of "
            "access tokens was raised, run: manage.py rotate_signing_keys"
        )
    try:
        high_water_marks.record(token.kid, token.expires_at)
    except AnyDatabaseError:
        logger.exception("The last expiry of signing key %s could not be recorded", token.kid)
        raise IssuanceUnavailable("what the key signed could not be recorded") from None


def refuse(error: IssuanceError, request: Request) -> NoReturn:
    """Log why no token is issued, and raise what the client is told."""
    level = logging.ERROR if error.code == "server_error" else logging.INFO
    logger.log(level, "No access token was issued (%s): %s", error.code, error)
    raise IssuanceFailed(error, request) from error


def _user_subject(request: Request) -> str | None:
    """The ``sub`` of the resource owner, or ``None`` where the client acts for itself (RFC 9068 §2.2)."""
    user = stored(request, "user")
    client_id = request.client.client_id
    if token_grant(request) == "client_credentials" or user is None:
        if is_subject_of_somebody(client_id):
            raise InvalidGrant(
                "This client cannot get a token for itself.",
                detail="the client's id is also a user's identifier (RFC 9068 section 5); give the client another id",
            )
        return None
    if not user.is_active:
        raise InvalidGrant("The resource owner's account is not active.")
    return subject_of(user, request.client)
