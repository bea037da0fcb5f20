"""Issue an access token for code of the site, by the steps of a token request."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.views.decorators.debug import sensitive_variables
from oauth2_provider.models import get_application_model
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import Request
from oauthlib.oauth2 import InvalidClientError, OAuth2Error

from django_at_jwt.authorization_server.issuance import IssuedAccessToken
from django_at_jwt.conf import token_user_model
from django_at_jwt.core.errors import IssuanceError

from .authorization import authorization_of
from .client_policy import RejectedByValidator, eligible_scopes, usual_grant
from .generator import IssuanceFailed, generate_access_token, refuse
from .refusals import report_refusal
from .request import AUDIENCE, IS_DIRECT, LIFETIME, REQUESTED_LIFETIME, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model

    from django_at_jwt.core.resource_servers import TokenFormat


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectAccessToken:
    """An access token that code of the site has issued. Its ``repr`` omits the token.

    Attributes:
        token: the access token.
        token_format: ``at+jwt`` or ``opaque``.
        expires_at: seconds since the epoch.
        lifetime: in seconds.
        scopes: the scopes of the token, which may be fewer than were asked for.
        audience: the identifiers of the APIs.
        token_id: the ``jti``, or ``None`` for an opaque token.
        authorization: the identifier by which ``revoke_authorization()`` revokes the token, or ``None`` if the client
            acts for itself.
    """

    token: str = field(repr=False)
    token_format: TokenFormat
    expires_at: int
    lifetime: int
    scopes: tuple[str, ...]
    audience: tuple[str, ...]
    token_id: str | None
    authorization: str | None


@sensitive_variables()
def issue_access_token(
    *,
    client: Any,
    user: Any = None,
    scopes: Sequence[str] = (),
    resource: str | Sequence[str] | None = None,
    lifetime: int | None = None,
) -> DirectAccessToken:
    """Issue an access token without a request from the client, as a request would get it.

    The audience, the scopes, the claim mappers, the key, the row, the authorization and the events are those of a
    token request. The grant, in events and for claim mappers, is ``direct``. There is no refresh token, and no login,
    so that a token has no ``auth_time``, ``amr`` or ``acr``.

    Not checked: the client's secret, and whether the user has consented.

    Args:
        client: a row of DOT's application model.
        user: the resource owner, a row of the model that ``AccessToken.user`` refers to, or ``None`` if the client acts
            for itself. The client must be one that can get such a token by a request: without a user, a confidential
            client with the grant ``client_credentials``.
        scopes: the requested scopes; if empty, the site's default scopes.
        resource: the identifiers of the APIs, or a single one; if empty, those that the scopes imply, or the default.
        lifetime: in seconds, at most that of the APIs; if ``None``, theirs, or that of ``AT_JWT["TOKEN_LIFETIME"]``,
            which may also shorten this one.

    Returns:
        The token, which is stored.

    Raises:
        InvalidTarget: an API is unknown or not available to this client, or the APIs cannot share a token.
        InvalidScope: the scopes belong to different APIs.
        InvalidGrant: the user is inactive, or the client and the user have the same identifier.
        InvalidLifetime: ``lifetime`` is longer than that of the APIs.
        IssuanceUnavailable: there is no key, issuer or default resource, or a function of the site failed.
        IssuanceError: the base of these. Its ``code`` is ``unauthorized_client``, ``invalid_scope`` or another if the
            site's validator refuses the client or a scope, and ``server_error`` if a required claim mapper failed.
        TypeError: ``client`` or ``user`` is not a row of its model, ``scopes`` is a string, or ``lifetime`` is not a
            whole number.
        ValueError: ``lifetime`` is not positive.
        django.db.Error: the token cannot be stored.
    """
    _check_row("client", client, get_application_model())
    if user is not None:
        _check_row("user", user, token_user_model())
    if isinstance(scopes, str):
        raise TypeError("scopes must be a list of strings (got a str)")
    if lifetime is not None and type(lifetime) is not int:
        raise TypeError(f"lifetime must be a whole number of seconds (got a {type(lifetime).__name__})")
    if lifetime is not None and lifetime < 1:
        raise ValueError(f"lifetime must be at least 1 second (got {lifetime})")
    request = Request("", "POST", {"scope": " ".join(scopes)})
    request.client, request.user = client, user
    request.resource = [resource] if isinstance(resource, str) else list(resource or ())
    setattr(request, IS_DIRECT, True)
    setattr(request, REQUESTED_LIFETIME, lifetime)
    try:
        _set_scopes(request, scopes)
        # As oauthlib does for a token request: the site's default, which may come from a function.
        usual = oauth2_settings.server_kwargs.get("token_expires_in")
        request.expires_in = usual(request) if callable(usual) else usual
        return _issue(request)
    except IssuanceFailed as failed:
        raise failed.reason from None
    except OAuth2Error as error:
        # The site's validator has refused to store the token.
        rejected = RejectedByValidator(error)
        report_refusal(rejected.code, str(rejected), request)
        raise rejected from None


def _check_row(name: str, row: object, model: type[Model]) -> None:
    if not isinstance(row, model._meta.concrete_model or model):
        raise TypeError(f"{name} must be a row of {model._meta.label} (got a {type(row).__name__})")


def _set_scopes(request: Request, asked: Sequence[str]) -> None:
    client, user = request.client, request.user
    try:
        if not client.is_usable(request):
            raise RejectedByValidator(InvalidClientError(), detail="the client is not usable")
        request.scopes = eligible_scopes(client, grant=usual_grant(client, user), user=user, asked=asked)
    except IssuanceError as error:
        refuse(error, request)


@sensitive_variables()
def _issue(request: Request) -> DirectAccessToken:
    issued_at = int(time.time())
    raw = generate_access_token(request)
    lifetime, audience = stored(request, LIFETIME), stored(request, AUDIENCE)
    token = {"access_token": raw, "expires_in": lifetime, "token_type": "Bearer", "scope": " ".join(audience.scopes)}
    oauth2_settings.OAUTH2_VALIDATOR_CLASS().save_bearer_token(token, request)
    authorization = authorization_of(request)
    signed = raw if isinstance(raw, IssuedAccessToken) else None
    return DirectAccessToken(
        token=str(raw),
        token_format=audience.token_format,
        expires_at=issued_at + lifetime if signed is None else signed.expires_at,
        lifetime=lifetime,
        scopes=audience.scopes,
        audience=tuple(audience.identifiers),
        token_id=None if signed is None else signed.token_id,
        authorization=None if authorization is None else authorization.identifier,
    )
