"""Read parameters of an oauthlib request, and values that validation has stored on it.

oauthlib exposes every parameter as an attribute, so a client can set ``request.user`` to any string. Values that
validation stored are therefore read through ``vars()`` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from oauthlib.common import Request

# The grant of tokens that code of the site issues, without a request from a client.
DIRECT: Final = "direct"

# Names of values that this app stores on a request. They are read through stored(), so no parameter can set them.
# Audience: of the access token.
AUDIENCE: Final = "at_jwt_audience"
# list[str]: the resources that the refresh token keeps; the access token may be for fewer.
GRANTED: Final = "at_jwt_granted_resources"
# The row of DOT's grant model for the code of the request, and True once its tokens are stored and it is deleted.
CODE_GRANT: Final = "at_jwt_code_grant"
CODE_USED: Final = "at_jwt_code_used"
# The row of DOT's device grant model: found for a site's own steps, and validated as the client's.
DEVICE_CODE_ROW: Final = "at_jwt_device_code_row"
DEVICE_GRANT: Final = "at_jwt_device_grant"
# bool: whether the authorization of the device code does not name its user yet.
LACKS_USER: Final = "at_jwt_lacks_user"
# Authorization, possibly unsaved, or None: that of the code, device code or refresh token, or a new one.
AUTHORIZATION: Final = "at_jwt_authorization"
# AuthenticationEvent or None: the login that the token describes.
AUTHENTICATION: Final = "at_jwt_authentication"
# int, in seconds: of the access token, and the one that code of the site asked for.
LIFETIME: Final = "at_jwt_lifetime"
REQUESTED_LIFETIME: Final = "at_jwt_requested_lifetime"
# True: code of the site issues the token.
IS_DIRECT: Final = "at_jwt_is_direct"
# IssuedToken: the link that the new access token takes over, and the one that is stored after its transaction.
LINK: Final = "at_jwt_link"
LATE_LINK: Final = "at_jwt_late_link"
# AccessTokenIssued: the event of the access token that was generated, emitted once the token is stored.
ISSUED: Final = "at_jwt_issued"


def stored(request: Request, name: str) -> Any:
    """Return the value that validation has stored on the request under a name, or ``None``."""
    return vars(request).get(name)


def token_grant(request: Request) -> str | None:
    """Return the grant type of a token request, or ``None`` for an authorization request, which has no body.

    ``direct`` if code of the site issues the token.
    """
    if stored(request, IS_DIRECT) is True:
        return DIRECT
    return dict(getattr(request, "decoded_body", None) or ()).get("grant_type")


def is_authorization_request(request: Request) -> bool:
    """Return whether the request is an authorization request (RFC 6749 section 3.1)."""
    return request.response_type is not None and token_grant(request) is None


def requested_resources(request: Request) -> list[object]:
    """Return all values of the ``resource`` parameter; oauthlib keeps only the last (RFC 8707 section 2)."""
    # After consent, DOT sets the values of the consent form as a list.
    from_consent = stored(request, "resource")
    if isinstance(from_consent, list):
        return list(from_consent)
    # Unit tests of sites call the validator with stand-ins that have only the attributes that DOT reads.
    sent = [value for name, value in (getattr(request, "decoded_body", None) or []) if name == "resource"]
    if not sent:
        sent = [value for name, value in getattr(request, "uri_query_params", ()) if name == "resource"]
    return [value for value in sent if value]


def asked_scopes(request: Request) -> list[str]:
    """Return the scopes that the client itself requested, without defaults."""
    return str(getattr(request, "scope", None) or "").split()
