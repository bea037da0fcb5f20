"""Issue access tokens from code of the site, for instance for its own frontend, a job or a support tool."""

from .conf import require_installed

require_installed()

from django_at_jwt.authorization_server.oauthlib_bridge.direct_issuance import DirectAccessToken, issue_access_token  # noqa: E402 - it imports the models
from django_at_jwt.core.errors import (  # noqa: E402
    InvalidGrant,
    InvalidLifetime,
    InvalidScope,
    InvalidTarget,
    IssuanceError,
    IssuanceUnavailable,
)

__all__ = [
    "DirectAccessToken",
    "InvalidGrant",
    "InvalidLifetime",
    "InvalidScope",
    "InvalidTarget",
    "IssuanceError",
    "IssuanceUnavailable",
    "issue_access_token",
]
