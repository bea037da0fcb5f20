"""What a client may ask for at all, by the word of the validator that this site has: its grants and its scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from oauth2_provider.oauth2_validators import GRANT_TYPE_MAPPING
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import Request
from oauthlib.oauth2 import InvalidScopeError, OAuth2Error, UnauthorizedClientError

from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.core.quotation import quote

from .request import DEVICE_CODE_GRANT

if TYPE_CHECKING:
    from collections.abc import Sequence

IMPLICIT: Final = "implicit"
# No grants by which a client begins to act for a user.
_NOT_THE_FIRST: Final = ("client_credentials", "refresh_token")


class RefusedByTheToolkit(IssuanceError):
    """What the validator of the site refuses before a token is thought of, with its own code (RFC 6749 §5.2).

    Args:
        error: what the validator raised, or would have a request answered with.
        detail: why, where that is known. An error's own text has a request in it, as programs see one.
    """

    def __init__(self, error: OAuth2Error, *, detail: str = "") -> None:
        description = error.description or error.error
        super().__init__(description, detail=detail or f"the validator of this site refuses it: {description}")
        self.code, self.status = error.error, error.status_code


def known_grants() -> tuple[str, ...]:
    """Give the grant types that the toolkit knows, and ``implicit``, which is no grant type on the wire."""
    return (*GRANT_TYPE_MAPPING, IMPLICIT)


def eligible_scopes(client: Any, *, grant: str, user: Any, asked: Sequence[str]) -> list[str]:
    """Give the scopes of a request that asks for these: them, or where there are none the default ones.

    The validator is asked what it is asked for a request, and nothing else: who the client and the user are is taken
    for granted.

    Raises:
        RefusedByTheToolkit: the client may not use the grant, or a scope is unknown or not for this client.
    """
    validator = oauth2_settings.OAUTH2_VALIDATOR_CLASS()
    request = Request("", "POST", {"grant_type": grant, "scope": " ".join(asked)})
    request.client, request.user = client, user
    try:
        if not _may_use(grant, validator, request):
            raise RefusedByTheToolkit(UnauthorizedClientError(), detail=_not_its_grant(client, grant))
        request.scopes = list(asked or validator.get_default_scopes(client.client_id, request))
        if not validator.validate_scopes(client.client_id, request.scopes, client, request):
            refused = [
                each
                for each in request.scopes
                if not validator.validate_scopes(client.client_id, [each], client, request)
            ]
            named = ", ".join(map(quote, refused or request.scopes))
            raise RefusedByTheToolkit(InvalidScopeError(), detail=f"unknown, or not for this client: {named}")
    except OAuth2Error as error:
        raise RefusedByTheToolkit(error) from None
    return list(request.scopes)


def _not_its_grant(client: Any, grant: str) -> str:
    own = [each for each, kinds in GRANT_TYPE_MAPPING.items() if client.authorization_grant_type in kinds]
    if client.authorization_grant_type == client.GRANT_IMPLICIT:
        own = [IMPLICIT]
    grants = " and ".join(each for each in own if each != "refresh_token") or client.authorization_grant_type
    return f"{quote(client.client_id)} is for {grants}, not for {grant}"


def _may_use(grant: str, validator: Any, request: Request) -> bool:
    client = request.client
    if grant == IMPLICIT:
        # The response types for which the authorization endpoint itself issues an access token.
        types = ("token", "code token")
        return any(validator.validate_response_type(client.client_id, each, client, request) for each in types)
    if grant == DEVICE_CODE_GRANT:
        # The validator looks for the device's code, and there is none.
        return bool(client.allows_grant_type(*GRANT_TYPE_MAPPING[grant]))
    known = grant in GRANT_TYPE_MAPPING
    return known and bool(validator.validate_grant_type(client.client_id, grant, client, request))


def usual_grant(client: Any, user: Any) -> str:
    """Give the grant by which a client gets a token for this user or, without one, for itself."""
    if user is None:
        return "client_credentials"
    if client.authorization_grant_type == client.GRANT_IMPLICIT:
        return IMPLICIT
    grants = (grant for grant, kinds in GRANT_TYPE_MAPPING.items() if client.authorization_grant_type in kinds)
    return next((grant for grant in grants if grant not in _NOT_THE_FIRST), "authorization_code")
