"""Grant types by their names in requests and metadata (RFC 6749, RFC 8628)."""

from __future__ import annotations

from typing import Final

AUTHORIZATION_CODE: Final = "authorization_code"
CLIENT_CREDENTIALS: Final = "client_credentials"
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
# Only in metadata: the authorization endpoint issues the token, so no request has this grant type.
IMPLICIT: Final = "implicit"
PASSWORD: Final = "password"  # noqa: S105 - the name of a grant
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - the name of a grant
