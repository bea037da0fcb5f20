"""Authentication by access token, for Django REST framework."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.views.decorators.debug import sensitive_variables
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication

from django_at_jwt.core.bearer import INVALID_REQUEST, INVALID_TOKEN, Challenge, MalformedCredentials, bearer_token
from django_at_jwt.core.errors import KeysUnavailable, TokenRejected
from django_at_jwt.resource_server.protected_resources import default_identifier, metadata_url, name_protected_resource
from django_at_jwt.resource_server.remote.key_source import RETRY_AFTER
from django_at_jwt.resource_server.users.principal import principal_for
from django_at_jwt.resource_server.verification import verify_token

from .principal import AccessToken
from .required_scopes import scopes_to_ask_for

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

    from django_at_jwt.core.profile import AccessTokenClaims

logger = logging.getLogger("django_at_jwt")


class InvalidAccessToken(exceptions.AuthenticationFailed):
    """A bad token: 401 and the challenge of RFC 6750 §3.1, whichever authenticator the view asks first."""

    default_detail = "The access token is invalid."
    default_code = INVALID_TOKEN

    def __init__(self, resource_metadata: str | None = None) -> None:
        super().__init__()
        self._challenge = Challenge(
            error=INVALID_TOKEN, description=self.default_detail, resource_metadata=resource_metadata
        )

    # A view takes the first authenticator's challenge, and makes a 403 of the answer if that one has none. The client
    # must learn what was wrong with its token, so what the view would set here is not taken.
    @property
    def auth_header(self) -> str:
        """The ``WWW-Authenticate`` header's value."""
        return str(self._challenge)

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
    wait = RETRY_AFTER  # What Django REST framework says in Retry-After.


class AmbiguousCredentials(exceptions.ParseError):
    """Credentials that cannot be read, or that came in two ways at once: 400 ``invalid_request`` (RFC 6750 §3.1)."""

    default_code = INVALID_REQUEST

    def __init__(self, detail: str, resource_metadata: str | None = None) -> None:
        super().__init__(detail)
        challenge = Challenge(error=INVALID_REQUEST, description=detail, resource_metadata=resource_metadata)
        self.auth_header = str(challenge)


class AccessTokenAuthentication(BaseAuthentication):
    """Authenticate by an RFC 9068 access token of an issuer that the settings name, without a query for the token.

    ``request.auth`` is an :class:`~.principal.AccessToken`; ``request.user`` is the site's user, a
    :class:`~.principal.TokenPrincipal` for a subject of whom the site keeps nothing, or a
    :class:`~.principal.MachinePrincipal` for a client that acts for itself.

    Attributes:
        audience: what the token's ``aud`` must hold; ``None`` for the project's own setting.
    """

    audience: ClassVar[str | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.audience is not None:
            name_protected_resource(cls.audience)

    @classmethod
    def for_audience(cls, audience: str) -> type[Self]:
        """Make the authentication class of an API that has its own identifier."""
        return type(cls.__name__, (cls,), {"audience": audience, "__doc__": cls.__doc__, "__module__": cls.__module__})

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the user and the token.

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
            raise AmbiguousCredentials(str(error), self.metadata_url()) from None
        if token is None:
            return None
        if _sent_elsewhere_too(plain):
            raise AmbiguousCredentials("The access token was sent in more than one way.", self.metadata_url())
        try:
            claims = verify_token(token, self.audience)
            user = self.get_user(claims, token)
        except KeysUnavailable as error:
            logger.error("No access token can be verified: %s", error)  # noqa: TRY400 - the cause is logged where it is
            raise KeysAreUnavailable from None
        except TokenRejected as rejected:
            logger.info("An access token was refused (%s)", rejected)
            raise InvalidAccessToken(self.metadata_url()) from None
        return user, AccessToken(claims)

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge for a request without a token: the scopes, and who issues tokens (RFC 6750 section 3).

        Django REST framework sends it if this class is the first in the view's ``authentication_classes``. A bad token
        has a challenge of its own. The view's permissions are not asked then, since they may rely on a token.
        """
        view = (request.parser_context or {}).get("view")
        scopes = () if view is None or _has_bearer_credentials(request) else scopes_to_ask_for(request, view)
        return str(Challenge(scopes=scopes, resource_metadata=self.metadata_url()))

    def metadata_url(self) -> str | None:
        """Return the address of the API's metadata document, or ``None`` where it has none (RFC 9728 §5.1)."""
        return metadata_url(self.audience or default_identifier())

    def get_user(self, claims: AccessTokenClaims, token: str) -> Any:
        """Find who the token speaks for, as the user mode of its issuer says.

        Raises:
            TokenRejected: there is no such user, or the account is not active.
        """
        return principal_for(claims, token)


def _has_bearer_credentials(request: Request) -> bool:
    try:
        return bearer_token(request._request.META.get("HTTP_AUTHORIZATION", "")) is not None
    except MalformedCredentials:
        return True


def _sent_elsewhere_too(request: HttpRequest) -> bool:
    """Whether a token is in the query or the form as well, which RFC 6750 §2 forbids."""
    # Reading an empty query costs as much as all other checks of a header that is in order.
    if request.META.get("QUERY_STRING") and "access_token" in request.GET:
        return True
    is_form = (request.content_type or "").lower() == "application/x-www-form-urlencoded"
    return is_form and "access_token" in request.POST
