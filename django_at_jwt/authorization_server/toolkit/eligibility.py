"""What a client may ask for at all, by the word of the validator that this site has: its grants and its scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from oauth2_provider.oauth2_validators import GRANT_TYPE_MAPPING
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import Request

from django_at_jwt.core.errors import InvalidScope, IssuanceError

if TYPE_CHECKING:
    from collections.abc import Sequence

IMPLICIT: Final = "implicit"
# The response types for which the authorization endpoint itself issues an access token.
_WITH_A_TOKEN: Final = ("token", "code token")
# No grants by which a client begins to act for a user.
_NOT_THE_FIRST: Final = ("client_credentials", "refresh_token")


class UnauthorizedClient(IssuanceError):
    """The client may not use this grant (RFC 6749 §5.2)."""

    code = "unauthorized_client"
    status = 400


def known_grants() -> tuple[str, ...]:
    """Give the grant types that the toolkit knows, and ``implicit``, which is no grant type on the wire."""
    return (*GRANT_TYPE_MAPPING, IMPLICIT)


def eligible_scopes(client: Any, *, grant: str, user: Any, asked: Sequence[str]) -> list[str]:
    """Give the scopes of a request that asks for these: them, or where there are none the default ones.

    The validator is asked what it is asked for a request, and nothing else: who the client and the user are is taken
    for granted.

    Raises:
        UnauthorizedClient: the client may not use the grant.
        InvalidScope: a scope is unknown, or not for this client.
    """
    validator = oauth2_settings.OAUTH2_VALIDATOR_CLASS()
    request = Request("", "POST", {"grant_type": grant, "scope": " ".join(asked)})
    request.client, request.user, client_id = client, user, client.client_id
    if grant == IMPLICIT:
        types = _WITH_A_TOKEN
        may = any(validator.validate_response_type(client_id, each, client, request) for each in types)
    else:
        may = grant in GRANT_TYPE_MAPPING and validator.validate_grant_type(client_id, grant, client, request)
    if not may:
        raise UnauthorizedClient("This client may not use this grant.", detail=f"the client is not for {grant}")
    request.scopes = list(asked or validator.get_default_scopes(client_id, request))
    if not validator.validate_scopes(client_id, request.scopes, client, request):
        raise InvalidScope("A requested scope is unknown or not for this client.")
    return list(request.scopes)


def usual_grant(client: Any, user: Any) -> str:
    """Give the grant by which a client gets a token for this user or, without one, for itself."""
    if user is None:
        return "client_credentials"
    if client.authorization_grant_type == client.GRANT_IMPLICIT:
        return IMPLICIT
    grants = (grant for grant, kinds in GRANT_TYPE_MAPPING.items() if client.authorization_grant_type in kinds)
    return next((grant for grant in grants if grant not in _NOT_THE_FIRST), "authorization_code")
