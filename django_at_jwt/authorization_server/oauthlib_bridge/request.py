"""What oauthlib's request says, and what validation has left on it for later steps.

oauthlib makes an attribute of each parameter that a client sends, so that ``request.user`` may be any text. What
validation stored itself is read through ``vars()`` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from oauthlib.common import Request

DEVICE_CODE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"

# What this app keeps on a request; no parameter can set it, since it is read through stored().
AUDIENCE: Final = "at_jwt_audience"
GRANTED: Final = "at_jwt_granted_resources"
CODE_GRANT: Final = "at_jwt_code_grant"
DEVICE_GRANT: Final = "at_jwt_device_grant"
AUTHORIZATION: Final = "at_jwt_authorization"
AUTHENTICATION: Final = "at_jwt_authentication"
LIFETIME: Final = "at_jwt_lifetime"
ISSUED: Final = "at_jwt_issued"


def stored(request: Request, name: str) -> Any:
    """Give what validation has stored on the request under a name, or ``None``."""
    return vars(request).get(name)


def token_grant(request: Request) -> str | None:
    """Give the grant type of a token request, and ``None`` for an authorization request, which has no body."""
    return dict(request.decoded_body or ()).get("grant_type")


def is_authorization_request(request: Request) -> bool:
    """Tell whether the request is one to the authorization endpoint (RFC 6749 §3.1)."""
    return request.response_type is not None and token_grant(request) is None


def requested_resources(request: Request) -> list[object]:
    """Give all values of the ``resource`` parameter: oauthlib alone would keep the last one (RFC 8707 §2)."""
    # The consent form's values arrive as a list, set by django-oauth-toolkit after it was shown to the resource owner.
    from_consent = stored(request, "resource")
    if isinstance(from_consent, list):
        return list(from_consent)
    sent = [value for name, value in (request.decoded_body or []) if name == "resource"]
    if not sent:
        sent = [value for name, value in request.uri_query_params if name == "resource"]
    return [value for value in sent if value]


def asked_scopes(request: Request) -> list[str]:
    """Give the scopes that the client itself asked for, and not those that are filled in for it."""
    return str(request.scope or "").split()
