"""The grants, response types and scopes that a client may request, by RFC 9700 and by the site's validator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from oauth2_provider.oauth2_validators import GRANT_TYPE_MAPPING
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import Request
from oauthlib.oauth2 import InvalidScopeError, OAuth2Error, UnauthorizedClientError

from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.core.grant_types import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, DEVICE_CODE, IMPLICIT, REFRESH_TOKEN
from django_at_jwt.core.quotation import quote

from .pkce import check_challenge_method

if TYPE_CHECKING:
    from collections.abc import Sequence

# Grants that do not start an authorization of a user.
_NOT_INITIAL: Final = (CLIENT_CREDENTIALS, REFRESH_TOKEN)


class RejectedByValidator(IssuanceError):
    """A request that the site's validator rejects before a token is created, with the code of RFC 6749 section 5.2.

    Args:
        error: the error that the validator raised, or that would be sent to the client.
        detail: the reason, if known. The text of the error itself may contain the request.
    """

    def __init__(self, error: OAuth2Error, *, detail: str = "") -> None:
        description = error.description or error.error
        super().__init__(description, detail=detail or f"rejected by the site's validator: {description}")
        self.code, self.status = error.error, error.status_code


def known_grants() -> tuple[str, ...]:
    """Return the grant types that DOT knows, and ``implicit``, which is not a ``grant_type`` on the wire."""
    return (*GRANT_TYPE_MAPPING, IMPLICIT)


def eligible_scopes(client: Any, *, grant: str, user: Any, asked: Sequence[str]) -> list[str]:
    """Return the scopes of a request that asks for ``asked``: those, or the default ones if it asks for none.

    The site's validator decides, as for a real request. Not checked: the identity of the client and the user.

    Raises:
        RejectedByValidator: the client may not use the grant, or a scope is unknown or not allowed for this client.
    """
    validator = oauth2_settings.OAUTH2_VALIDATOR_CLASS()
    request = Request("", "POST", {"grant_type": grant, "scope": " ".join(asked)})
    request.client, request.user = client, user
    try:
        if not _may_use(grant, validator, request):
            raise RejectedByValidator(UnauthorizedClientError(), detail=_wrong_grant(client, grant))
        request.scopes = list(asked or validator.get_default_scopes(client.client_id, request))
        if not validator.validate_scopes(client.client_id, request.scopes, client, request):
            refused = [
                each
                for each in request.scopes
                if not validator.validate_scopes(client.client_id, [each], client, request)
            ]
            named = ", ".join(map(quote, refused or request.scopes))
            raise RejectedByValidator(InvalidScopeError(), detail=f"unknown, or not allowed for this client: {named}")
    except OAuth2Error as error:
        raise RejectedByValidator(error) from None
    return list(request.scopes)


def _wrong_grant(client: Any, grant: str) -> str:
    if grant == CLIENT_CREDENTIALS and client.client_type == client.CLIENT_PUBLIC:
        return f"{quote(client.client_id)} is a public client, which gets no token for itself"
    own = [each for each, kinds in GRANT_TYPE_MAPPING.items() if client.authorization_grant_type in kinds]
    if client.authorization_grant_type == client.GRANT_IMPLICIT:
        own = [IMPLICIT]
    grants = " and ".join(each for each in own if each != REFRESH_TOKEN) or client.authorization_grant_type
    return f"{quote(client.client_id)} may use {grants}, not {grant}"


def _may_use(grant: str, validator: Any, request: Request) -> bool:
    client = request.client
    if grant == IMPLICIT:
        # The response types for which the authorization endpoint itself issues an access token.
        types = ("token", "code token")
        return any(validator.validate_response_type(client.client_id, each, client, request) for each in types)
    if grant == DEVICE_CODE:
        # The validator would look up a device code, which a preview does not have.
        return bool(client.allows_grant_type(*GRANT_TYPE_MAPPING[grant]))
    known = grant in GRANT_TYPE_MAPPING
    return known and bool(validator.validate_grant_type(client.client_id, grant, client, request))


def usual_grant(client: Any, user: Any) -> str:
    """Return the grant by which a client gets a token for this user, or for itself if ``user`` is ``None``."""
    if user is None:
        return CLIENT_CREDENTIALS
    if client.authorization_grant_type == client.GRANT_IMPLICIT:
        return IMPLICIT
    grants = (grant for grant, kinds in GRANT_TYPE_MAPPING.items() if client.authorization_grant_type in kinds)
    return next((grant for grant in grants if grant not in _NOT_INITIAL), AUTHORIZATION_CODE)


def allows_front_channel_tokens() -> bool:
    """Return whether the authorization endpoint may answer with access tokens (RFC 9700 section 2.1.2).

    DOT's setting covers the implicit grant; here it also covers the hybrid response types with ``token``.
    """
    return not oauth2_settings.COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT


class GrantPolicyMixin:
    """Refuses access tokens in the front channel, ``plain`` challenges, and client credentials of public clients."""

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the client may use the grant; a public client gets no token for itself (RFC 6749 section 4.4).

        It cannot keep a secret, so anyone could get the token.
        """
        if grant_type == CLIENT_CREDENTIALS and request.client.client_type == request.client.CLIENT_PUBLIC:
            return False
        return super().validate_grant_type(client_id, grant_type, client, request, *args, **kwargs)  # type: ignore[misc]

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the client may use the response type, by the settings for RFC 9700 too.

        Raises:
            InvalidRequestError: as :func:`~.pkce.check_challenge_method`.
        """
        if "token" in response_type.split() and not allows_front_channel_tokens():
            return False
        if not super().validate_response_type(client_id, response_type, client, request, *args, **kwargs):  # type: ignore[misc]
            return False
        if "id_token" in response_type.split() and not request.client.algorithm:
            # DOT would answer with a 500 after the user has consented.
            return False
        check_challenge_method(request)
        return True
