"""Authentication by access token, for Django REST framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.views.decorators.debug import sensitive_variables
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication

from django_at_jwt.conf import audiences_of_view
from django_at_jwt.core.bearer import (
    INVALID_REQUEST,
    INVALID_TOKEN,
    Challenge,
    MalformedCredentials,
    bearer_token,
    has_bearer_credentials,
)
from django_at_jwt.core.errors import KeysUnavailable, RevocationUnavailable, TokenRejected
from django_at_jwt.resource_server.access_token import AccessToken
from django_at_jwt.resource_server.protected_resources import identifier_of, metadata_url, name_protected_resource
from django_at_jwt.resource_server.remote.key_source import RETRY_AFTER
from django_at_jwt.resource_server.revocation import revocation_of_view
from django_at_jwt.resource_server.users.resolution import principal_for
from django_at_jwt.resource_server.verification import is_meant_for_this_api, verify_token
from django_at_jwt.resource_server.verified_token import report

from .scopes import scopes_to_ask_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest
    from rest_framework.request import Request

    from django_at_jwt.core.profile import AccessTokenClaims
    from django_at_jwt.core.revocation import Revocation


class InvalidAccessToken(exceptions.AuthenticationFailed):
    """The token is invalid: 401 with RFC 6750's challenge (section 3.1), even if another authenticator comes first."""

    default_detail = "The access token is invalid."
    default_code = INVALID_TOKEN

    def __init__(self, resource_metadata: str | None = None) -> None:
        super().__init__()
        self._challenge = Challenge(
            error=INVALID_TOKEN, description=self.default_detail, resource_metadata=resource_metadata
        )

    # The view sets the first authenticator's challenge here, or 403 if that has none. Both are ignored, so that the
    # client learns that its token is invalid.
    @property
    def auth_header(self) -> str:
        """The value of ``WWW-Authenticate``."""
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


class VerificationUnavailable(exceptions.APIException):
    """The token can be neither accepted nor rejected at the moment: 503."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Access tokens cannot be verified at the moment."
    default_code = "temporarily_unavailable"
    wait = RETRY_AFTER  # Sent as Retry-After.


class KeysAreUnavailable(VerificationUnavailable):
    """The issuer's keys are not available."""


class RevocationIsUnavailable(VerificationUnavailable):
    """Whether the token was revoked cannot be found out."""


class AmbiguousCredentials(exceptions.ParseError):
    """Malformed credentials, or a token sent in two ways: 400 ``invalid_request`` (RFC 6750 section 3.1)."""

    default_code = INVALID_REQUEST

    def __init__(self, detail: str, resource_metadata: str | None = None) -> None:
        super().__init__(detail)
        challenge = Challenge(error=INVALID_REQUEST, description=detail, resource_metadata=resource_metadata)
        self.auth_header = str(challenge)


class AccessTokenAuthentication(BaseAuthentication):
    """Authenticate by an RFC 9068 access token of an accepted issuer, without a query for the token.

    ``request.auth`` is an ``AccessToken``. ``request.user`` is the site's user, a ``TokenPrincipal`` in stateless mode,
    or a ``MachinePrincipal`` for a client that acts for itself.

    Attributes:
        audience: the value that ``aud`` must contain, or a list of values, of which one suffices; ``None`` for the
            audience in the settings.
        revocation: how tokens are checked for revocation; ``None`` for the settings. ``"deny_list"`` and ``"row"``
            apply to this project's own tokens, ``"introspect"`` to those of other issuers, ``"offline"`` to both.
        exclusive: whether a ``Bearer`` token that is not for this class is rejected. If ``False``, it is left to the
            next class in ``authentication_classes``. A token is for this class if it claims to be an ``at+jwt`` of an
            accepted issuer for an accepted audience; it must then be valid. Leave the last class exclusive.
    """

    audience: ClassVar[str | Sequence[str] | None] = None
    revocation: ClassVar[str | None] = None
    exclusive: ClassVar[bool] = True
    _audiences: ClassVar[tuple[str, ...]] = ()
    _revocation: ClassVar[Revocation | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._revocation = revocation_of_view(cls.revocation)
        cls._audiences = audiences_of_view(cls.audience)
        for audience in cls._audiences:
            name_protected_resource(audience)

    @classmethod
    def for_audience(
        cls, audience: str | Sequence[str] | None, *, revocation: str | None = None, exclusive: bool | None = None
    ) -> type[Self]:
        """Return an authentication class for the API with this identifier.

        Args:
            audience: the identifier, or several; ``None`` for the audience of this class.
            revocation: see the attribute; ``None`` for that of this class.
            exclusive: see the attribute; ``None`` for that of this class.

        Raises:
            ImproperlyConfigured: ``audience`` is empty, or ``revocation`` is unknown.
        """
        attributes = {
            "audience": cls.audience if audience is None else audience,
            "revocation": cls.revocation if revocation is None else revocation,
            "exclusive": cls.exclusive if exclusive is None else exclusive,
        }
        return type(cls.__name__, (cls,), {**attributes, "__doc__": cls.__doc__, "__module__": cls.__module__})

    @sensitive_variables()
    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the user and the token.

        Returns:
            ``None`` if the request has no credentials, or credentials of another scheme, or a token that is left to
            the next class.

        Raises:
            InvalidAccessToken: 401, the token must not be accepted.
            AmbiguousCredentials: 400, the header is malformed or the token was sent in two ways.
            KeysAreUnavailable: 503, the issuer's keys are not available.
            RevocationIsUnavailable: 503, whether the token was revoked, or its user deactivated, cannot be found out.

        Not checked: scopes (permission classes check them).
        """
        token = self.token_in(request._request)  # Faster than DRF's request, which looks up attributes in three steps.
        if token is None:
            return None
        try:
            claims = verify_token(token, self._audiences, self._revocation)
            user = self.get_user(claims, token)
        except KeysUnavailable as error:
            report(error)
            raise KeysAreUnavailable from None
        except RevocationUnavailable as error:
            report(error)
            raise RevocationIsUnavailable from None
        except TokenRejected as rejected:
            if not self.exclusive and not is_meant_for_this_api(token, self._audiences):
                return None
            report(rejected)
            raise InvalidAccessToken(self.metadata_url(request)) from None
        return user, AccessToken(claims)

    @sensitive_variables()
    def token_in(self, request: HttpRequest) -> str | None:
        """Return the token of a plain request, or ``None`` without credentials of the scheme ``Bearer``.

        Raises:
            AmbiguousCredentials: as :meth:`authenticate`.
        """
        try:
            token = bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
        except MalformedCredentials as error:
            raise AmbiguousCredentials(str(error), self.metadata_url(request)) from None
        if token is not None and _is_sent_twice(request):
            raise AmbiguousCredentials("The access token was sent in more than one way.", self.metadata_url(request))
        return token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge for a request without a token: scopes and metadata URL (RFC 6750 section 3).

        Django REST framework sends it if this class is the first in the view's ``authentication_classes``. If the
        request has an invalid token, :class:`InvalidAccessToken` has the challenge instead, and the scopes are left out
        here: the view's permissions may rely on a valid token. A token that this class has left to others, and that
        none of them has accepted, is ``invalid_token``.
        """
        has_token = has_bearer_credentials(request._request.META.get("HTTP_AUTHORIZATION", ""))
        if has_token and not self.exclusive:
            return InvalidAccessToken(self.metadata_url(request)).auth_header
        view = (request.parser_context or {}).get("view")
        scopes = () if view is None or has_token else scopes_to_ask_for(request, view)
        return str(Challenge(scopes=scopes, resource_metadata=self.metadata_url(request)))

    def metadata_url(self, request: HttpRequest) -> str | None:
        """Return the URL of the API's metadata document, or ``None`` if it has none (RFC 9728 section 5.1).

        If the API has several identifiers, it is that of the identifier with the request's host, or of the first one.
        """
        return metadata_url(identifier_of(self._audiences, request))

    def get_user(self, claims: AccessTokenClaims, token: str) -> Any:
        """Return the token's user or principal, by the user mode of its issuer.

        Raises:
            TokenRejected: the user does not exist, or is not active.
            RevocationUnavailable: the database is not available.
        """
        return principal_for(claims, token)


def _is_sent_twice(request: HttpRequest) -> bool:
    """Return whether a token is in the query or the form too, which RFC 6750 section 2 forbids."""
    # Parsing an empty query would cost as much as all other checks of a valid header.
    if request.META.get("QUERY_STRING") and "access_token" in request.GET:
        return True
    is_form = (request.content_type or "").lower() == "application/x-www-form-urlencoded"
    return is_form and "access_token" in request.POST
