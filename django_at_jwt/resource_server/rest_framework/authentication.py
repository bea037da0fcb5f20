"""Authentication by access token, for Django REST framework."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Self

from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication

from django_at_jwt.core.bearer import (
    INSUFFICIENT_SCOPE,
    INVALID_REQUEST,
    INVALID_TOKEN,
    SCHEME,
    Challenge,
    MalformedCredentials,
    bearer_token,
)
from django_at_jwt.core.errors import KeysUnavailable, TokenRejected
from django_at_jwt.resource_server.subjects import principal_for
from django_at_jwt.resource_server.verification import verify_token

from .principal import AccessToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from rest_framework.request import Request
    from rest_framework.views import APIView

    from django_at_jwt.core.profile import AccessTokenClaims

logger = logging.getLogger("django_at_jwt")

_INVALID_TOKEN = Challenge(error=INVALID_TOKEN, description="The access token is invalid.")


class InvalidAccessToken(exceptions.AuthenticationFailed):
    """A bad token: 401 and the challenge of RFC 6750 §3.1, whichever authenticator the view asks first."""

    default_detail = "The access token is invalid."
    default_code = INVALID_TOKEN

    # A view takes the first authenticator's challenge, and makes a 403 of the answer if that one has none. The client
    # must learn what was wrong with its token, so what the view would set here is not taken.
    @property
    def auth_header(self) -> str:
        """The ``WWW-Authenticate`` header's value."""
        return str(_INVALID_TOKEN)

    @auth_header.setter
    def auth_header(self, _value: str) -> None:
        pass

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return status.HTTP_401_UNAUTHORIZED

    @status_code.setter
    def status_code(self, _value: int) -> None:
        pass


class KeysAreUnavailable(exceptions.APIException):
    """The issuer's keys cannot be had: 503, since neither accepting nor refusing the token would be right."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Access tokens cannot be verified at the moment."
    default_code = "temporarily_unavailable"


class AmbiguousCredentials(exceptions.ParseError):
    """Credentials that cannot be read, or that came in two ways at once: 400 ``invalid_request`` (RFC 6750 §3.1)."""

    default_code = INVALID_REQUEST

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.auth_header = str(Challenge(error=INVALID_REQUEST, description=detail))


class AccessTokenAuthentication(BaseAuthentication):
    """Authenticate by an RFC 9068 access token of an issuer that the settings name, without a query for the token.

    ``request.auth`` is an :class:`~.principal.AccessToken`; ``request.user`` is the site's user, a
    :class:`~.principal.TokenPrincipal` for a subject of whom the site keeps nothing, or a
    :class:`~.principal.MachinePrincipal` for a client that acts for itself.

    Attributes:
        audience: what the token's ``aud`` must hold; ``None`` for the project's own setting.
    """

    audience: ClassVar[str | None] = None

    @classmethod
    def for_audience(cls, audience: str) -> type[Self]:
        """Make the authentication class of an API that has its own identifier."""
        return type(cls.__name__, (cls,), {"audience": audience, "__doc__": cls.__doc__, "__module__": cls.__module__})

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Give the user and the token.

        Returns:
            ``None`` where the request has no credentials or those of another scheme.

        Raises:
            InvalidAccessToken: 401, the token must not be accepted.
            AmbiguousCredentials: 400, the header is malformed or the token was sent in two ways.
            KeysAreUnavailable: 503, the issuer's keys cannot be read.

        It does *not* check any scope (permission classes do), nor whether the token was revoked before it expired.
        """
        plain = request._request  # DRF's own request looks up every attribute in three steps.
        try:
            token = bearer_token(plain.META.get("HTTP_AUTHORIZATION", ""))
        except MalformedCredentials as error:
            raise AmbiguousCredentials(str(error)) from None
        if token is None:
            return None
        if _sent_elsewhere_too(plain):
            raise AmbiguousCredentials("The access token was sent in more than one way.")
        try:
            claims = verify_token(token, audience=self.audience)
            user = self.get_user(claims, token)
        except KeysUnavailable as error:
            logger.error("No access token can be verified: %s", error)  # noqa: TRY400 - the cause is logged where it is
            raise KeysAreUnavailable from None
        except TokenRejected as rejected:
            logger.info("An access token was refused (%s)", rejected)
            raise InvalidAccessToken from None
        access_token = AccessToken(claims)
        _explain_refused_scopes((request.parser_context or {}).get("view"), access_token)
        return user, access_token

    def authenticate_header(self, request: Request) -> str:
        """Say which scheme is wanted, to a request without credentials (RFC 6750 §3)."""
        return SCHEME

    def get_user(self, claims: AccessTokenClaims, token: str) -> Any:
        """Find who the token speaks for, as the user mode of its issuer says.

        Raises:
            TokenRejected: there is no such user, or the account is not active.
        """
        return principal_for(claims, token)


def _sent_elsewhere_too(request: HttpRequest) -> bool:
    """Whether a token is in the query or the form as well, which RFC 6750 §2 forbids."""
    # Reading an empty query costs as much as all other checks of a header that is in order.
    if request.META.get("QUERY_STRING") and "access_token" in request.GET:
        return True
    is_form = (request.content_type or "").lower() == "application/x-www-form-urlencoded"
    return is_form and "access_token" in request.POST


def _explain_refused_scopes(view: APIView | None, token: AccessToken) -> None:
    """Let the view's 403 say which scopes are missing (RFC 6750 §3.1), whichever permission class asked for them.

    A permission class can only say no; the view turns that into the exception, which the answer is made of. So it is
    the view of this one request where the challenge is added, and no site has to replace its exception handler.
    """
    if view is None:
        return
    deny = view.permission_denied

    def permission_denied(request: Request, message: str | None = None, code: str | None = None) -> None:
        try:
            deny(request, message=message, code=code)
        except exceptions.PermissionDenied as denied:
            if token.refused_scopes:
                challenge = Challenge(error=INSUFFICIENT_SCOPE, scopes=token.refused_scopes)
                denied.auth_header = str(challenge)  # type: ignore[attr-defined]
            raise

    def forgetting(check: Callable[..., None]) -> Callable[..., None]:
        # What was asked before this check, for instance by the view itself, is not why this one says no.
        def wrapper(*args: Any) -> None:
            token.refused_scopes = ()
            check(*args)

        return wrapper

    view.check_permissions = forgetting(view.check_permissions)  # type: ignore[method-assign]
    view.check_object_permissions = forgetting(view.check_object_permissions)  # type: ignore[method-assign]
    view.permission_denied = permission_denied  # type: ignore[assignment, method-assign]
