"""Issuing: from oauthlib's request to a token.

oauthlib calls the token generator before django-oauth-toolkit has read, inherited or narrowed the ``resource``
parameter, so the audience is resolved here, before anything is signed, and handed back for the rows to agree with it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import Error as AnyDatabaseError
from oauthlib.oauth2 import OAuth2Error
from oauthlib.oauth2.rfc6749.tokens import random_token_generator

from django_at_jwt.authorization_server.high_water import high_water_marks
from django_at_jwt.authorization_server.issuance import IssuanceRequest, IssuedAccessToken, issue_access_token
from django_at_jwt.authorization_server.keystore import key_store
from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.audience import resolve_audience
from django_at_jwt.core.errors import InvalidGrant, IssuanceError, IssuanceUnavailable
from django_at_jwt.models import DeviceResources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauthlib.common import Request

logger = logging.getLogger("django_at_jwt")

# What is kept on oauthlib's request. It is read through vars() alone, since a parameter of the same name would be an
# attribute too.
GRANTED: Final = "at_jwt_granted_resources"
CODE_GRANT: Final = "at_jwt_code_grant"
DEVICE_CODE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_ISSUED: Final = "at_jwt_issued"


class IssuanceFailed(OAuth2Error):
    """An :class:`IssuanceError` on its way through oauthlib to the client, as JSON (RFC 6749 §5.2)."""

    def __init__(self, error: IssuanceError, request: Request) -> None:
        self.error = error.code
        super().__init__(description=error.description, status_code=error.status, request=request)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer; oauthlib's own errors say no content type, which Django makes HTML of."""
        return {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}


def generate_access_token(request: Request) -> str:
    """Issue the access token for a request that oauthlib has validated: ``ACCESS_TOKEN_GENERATOR``.

    Where a site has not set ``REFRESH_TOKEN_GENERATOR``, oauthlib asks here for the refresh token as well, right after
    the access token. A second token for the same request is therefore an opaque one.

    Raises:
        IssuanceFailed: what the client is told as JSON or in the redirect. The reason is in the log.
    """
    if vars(request).get(_ISSUED) is True:
        logger.error("OAUTH2_PROVIDER['REFRESH_TOKEN_GENERATOR'] is not set; see manage.py check")
        opaque: str = random_token_generator(request)
        return opaque
    try:
        issuer = local_issuer()
        if not issuer:
            raise IssuanceUnavailable("OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not set, so tokens would have no issuer")
        issuance = IssuanceRequest(
            issuer=issuer,
            client_id=request.client.client_id,
            audience=_resolve_for_token(request),
            user_subject=_user_subject(request),
            scopes=request.scopes or (),
            lifetime=vars(request)["expires_in"],
            now=time.time(),
        )
        token = issue_access_token(issuance, key_store.current())
        _account_for(token)
    except IssuanceError as error:
        refuse(error, request)
    setattr(request, _ISSUED, True)
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


def token_grant(request: Request) -> str | None:
    """Give the grant type of a token request, and ``None`` for an authorization request, which has no body."""
    return dict(request.decoded_body or ()).get("grant_type")


def _user_subject(request: Request) -> str | None:
    """The ``sub`` of the resource owner, or ``None`` where the client acts for itself (RFC 9068 §2.2)."""
    # oauthlib fills attributes from the request's parameters, so "user" may be any text that the client sent. Only what
    # validation stored on the request itself is the resource owner.
    user = vars(request).get("user")
    if token_grant(request) == "client_credentials" or user is None:
        _refuse_client_that_reads_as_user(request.client.client_id)
        return None
    if not user.is_active:
        raise InvalidGrant("The resource owner's account is not active.")
    return str(user.pk)


def _refuse_client_that_reads_as_user(client_id: str) -> None:
    """Refuse a client that an administrator gave the identifier of a user (RFC 9068 §5).

    The generated ids of django-oauth-toolkit are no primary keys by their form, so they cost no query.
    """
    user_model = get_user_model()
    key = user_model._meta.pk
    try:
        value = key.to_python(client_id)
    except (ValidationError, ValueError):
        return
    if str(value) == client_id and user_model._base_manager.filter(pk=value).exists():
        raise InvalidGrant(
            "This client cannot get a token for itself.",
            detail="the client's id is also the identifier of a user (RFC 9068 section 5); give the client another id",
        )


def _requested_resources(request: Request) -> list[object]:
    """All values of the request's ``resource`` parameter: oauthlib alone would keep the last one (RFC 8707 §2)."""
    # The consent form's values arrive as a list, set by django-oauth-toolkit after it was shown to the resource owner.
    from_consent = vars(request).get("resource")
    if isinstance(from_consent, list):
        return list(from_consent)
    sent = [value for name, value in (request.decoded_body or []) if name == "resource"]
    if not sent:
        sent = [value for name, value in request.uri_query_params if name == "resource"]
    return [value for value in sent if value]


def _granted_before(request: Request) -> Sequence[str] | None:
    """Give what the resource owner agreed to in an earlier request, or ``None`` where this one is the first."""
    match token_grant(request):
        case "authorization_code":
            return _resources_of(vars(request).get(CODE_GRANT))
        case "refresh_token":
            return _resources_of(vars(request).get("refresh_token_instance"))
        case str(grant_type) if grant_type == DEVICE_CODE_GRANT:
            return DeviceResources.objects.given(request.device_code)
    return None


def _resources_of(row: Any) -> Sequence[str]:
    if row is None:
        # Without it nobody can say what was agreed to, and so nothing was.
        raise InvalidGrant("The grant is not there any more.")
    return list(row.resource)


def _resolve_default() -> list[str]:
    default = app_settings().default_resource
    if default is None:
        raise IssuanceUnavailable("AT_JWT['DEFAULT_RESOURCE'] is not set, so tokens would have no audience")
    return [default]


def resolve_requested(requested: Sequence[object], granted: Sequence[str] | None = None) -> list[str]:
    """Resolve the audience for the values of ``resource`` parameters; raises as :func:`resolve_audience`."""
    [default] = _resolve_default()
    known = app_settings().known_resources
    return list(resolve_audience(requested=requested, granted=granted, known=known, default=default))


def resolve_for_request(request: Request, granted: Sequence[str] | None) -> list[str]:
    """Resolve the audience for what a request asks; raises as :func:`resolve_audience`."""
    return resolve_requested(_requested_resources(request), granted)


def _resolve_for_token(request: Request) -> list[str]:
    """Resolve the audience of the token that is about to be signed, and leave it for the rows to hold as well."""
    granted = _granted_before(request)
    if granted is not None:
        # A row from before this app was installed names no resource: then it is what nobody asking would get now.
        granted = granted or _resolve_default()
    audience = resolve_for_request(request, granted)
    setattr(request, GRANTED, list(granted or audience))
    request.resource = audience
    return audience
