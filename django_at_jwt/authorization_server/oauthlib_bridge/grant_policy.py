"""Grants and response types that a client may not use, whatever it is registered for (RFC 9700)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oauth2_provider.settings import oauth2_settings
from oauthlib.oauth2 import InvalidRequestError

if TYPE_CHECKING:
    from oauthlib.common import Request


def allows_front_channel_tokens() -> bool:
    """Return whether the authorization endpoint may answer with access tokens (RFC 9700 §2.1.2).

    DOT's setting covers the implicit grant; here it also covers the hybrid response types with ``token``.
    """
    return not oauth2_settings.COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT


class GrantPolicyMixin:
    """Refuses access tokens in the front channel, ``plain`` challenges, and client credentials of public clients."""

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the client may use the grant; a public client gets no token for itself (RFC 6749 §4.4).

        It cannot keep a secret, so anyone could get the token.
        """
        if grant_type == "client_credentials" and request.client.client_type == request.client.CLIENT_PUBLIC:
            return False
        return bool(
            super().validate_grant_type(client_id, grant_type, client, request, *args, **kwargs)  # type: ignore[misc]
        )

    def validate_response_type(
        self, client_id: str, response_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the client may use the response type, by the settings for RFC 9700 too.

        Raises:
            InvalidRequestError: the challenge method is ``plain``, which is also the default (RFC 7636 §4.3). DOT
                refuses it only after the user has consented.
        """
        if "token" in response_type.split() and not allows_front_channel_tokens():
            return False
        if not super().validate_response_type(client_id, response_type, client, request, *args, **kwargs):  # type: ignore[misc]
            return False
        if request.code_challenge and request.code_challenge_method in {None, "", "plain"}:
            _refuse_plain_challenge(request)
        return True


def _refuse_plain_challenge(request: Request) -> None:
    if oauth2_settings.COMPLIANT_BCP_RFC9700_PKCE_METHOD:
        description = "The code_challenge_method must be S256; without the parameter, it is plain."
        raise InvalidRequestError(description, request=request)
