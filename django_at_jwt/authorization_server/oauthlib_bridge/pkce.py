"""PKCE, where it goes beyond oauthlib: the syntax of its values, and downgrades (RFC 7636, RFC 9700 section 2.1.1).

oauthlib compares the ``code_verifier`` with the challenge, and DOT's ``PKCE_REQUIRED`` decides whether a client must
use PKCE.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from oauth2_provider.settings import oauth2_settings
from oauthlib.oauth2 import InvalidGrantError, InvalidRequestError
from oauthlib.oauth2.rfc6749.errors import MissingCodeChallengeError

from .request import CODE_GRANT, stored

if TYPE_CHECKING:
    from oauthlib.common import Request

# RFC 7636 section 4.2. oauthlib compares the challenge with a function that accepts ASCII only.
_CODE_CHALLENGE: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def check_code_challenge(request: Request, *, is_required: bool) -> None:
    """Check the ``code_challenge`` of an authorization request.

    Raises:
        InvalidRequestError: it is malformed, or empty although the client must use PKCE. A parameter without a value
            counts as omitted (RFC 6749 section 3.1), but oauthlib accepts it.
    """
    if is_required and request.code_challenge == "":
        raise MissingCodeChallengeError(request=request)
    if request.code_challenge and not _CODE_CHALLENGE.fullmatch(request.code_challenge):
        description = "The code_challenge must be 43 to 128 letters, digits and characters of '-._~'."
        raise InvalidRequestError(description, request=request)


def check_challenge_method(request: Request) -> None:
    """Check the ``code_challenge_method`` of an authorization request, before the user is asked for consent.

    DOT checks it only after that.

    Raises:
        InvalidRequestError: it is ``plain``, which is also the default (RFC 7636 section 4.3), and the settings for RFC
            9700 allow only ``S256``.
    """
    is_plain = request.code_challenge and request.code_challenge_method in {None, "", "plain"}
    if is_plain and oauth2_settings.COMPLIANT_BCP_RFC9700_PKCE_METHOD:
        description = "The code_challenge_method must be S256; without the parameter, it is plain."
        raise InvalidRequestError(description, request=request)


class PkceMixin:
    """Checks the ``code_verifier`` of a token request, and reads the challenge from the grant on the request."""

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Validate a code, and reject a ``code_verifier`` for a code without a ``code_challenge``.

        An attacker may have removed the challenge from the authorization request (RFC 9700 section 2.1.1). oauthlib
        rejects it only if PKCE is required.
        """
        valid = super().validate_code(client_id, code, client, request, *args, **kwargs)  # type: ignore[misc]
        verifier = request.code_verifier or ""
        if valid and not verifier.isascii():
            # A code_verifier is ASCII (RFC 7636 section 4.1); oauthlib would raise UnicodeEncodeError.
            raise InvalidGrantError("The code_verifier is not ASCII.", request=request)
        grant = stored(request, CODE_GRANT)
        if valid and verifier and grant is not None and not grant.code_challenge:
            description = "The code was issued without a code_challenge; send no code_verifier."
            raise InvalidGrantError(description, request=request)
        return valid

    def get_code_challenge(self, code: str, request: Request) -> Any:
        """Return the ``code_challenge`` of the grant stored on the request, without a query."""
        grant = stored(request, CODE_GRANT)
        if grant is None:
            return super().get_code_challenge(code, request)  # type: ignore[misc]
        return grant.code_challenge or None

    def get_code_challenge_method(self, code: str, request: Request) -> Any:
        """Return the ``code_challenge_method`` of the grant stored on the request, without a query."""
        grant = stored(request, CODE_GRANT)
        if grant is None:
            return super().get_code_challenge_method(code, request)  # type: ignore[misc]
        return grant.code_challenge_method or None
