"""ID tokens and userinfo with the same ``sub`` and login as the access token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from oauth2_provider.models import get_id_token_model
from oauthlib.openid.connect.core.exceptions import InvalidTokenError

from django_at_jwt.authorization_server.login.events import authentication_by_password
from django_at_jwt.authorization_server.subject import subject_of
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.core.quotation import single_line

from .generator import refuse
from .request import AUTHENTICATION, stored

if TYPE_CHECKING:
    from oauthlib.common import Request


class IssuedIdToken(str):
    """An ID token that was just issued, with its row."""

    __slots__ = ("row",)

    row: Any


class IdTokenMixin:
    """Makes ID tokens and userinfo consistent with access tokens (OpenID Connect Core sections 2 and 5.3.2)."""

    def get_userinfo_claims(self, request: Request) -> dict[str, Any]:
        """Return the userinfo claims; reject tokens without a user (OpenID Connect Core section 5.3)."""
        if request.user is None:
            raise InvalidTokenError(request=request)
        return super().get_userinfo_claims(request)  # type: ignore[misc]

    def get_claim_dict(self, request: Request) -> dict[str, Any]:
        """Return the claims about the user, with the ``sub`` of the access token."""
        claims: dict[str, Any] = super().get_claim_dict(request)  # type: ignore[misc]
        # If DOT builds the claims without a request, "sub" is a function that it calls with the request later.
        claims["sub"] = _subject if callable(claims.get("sub")) else _subject(request)
        return claims

    def get_id_token_dictionary(self, token: Any, token_handler: Any, request: Request) -> tuple[dict[str, Any], Any]:
        """Return the claims of an ID token, with how and when the user logged in for this authorization.

        DOT would take ``auth_time`` from ``last_login``, which changes with every login on any device. If no login was
        recorded, the claims are omitted.
        """
        claims, expires = super().get_id_token_dictionary(token, token_handler, request)  # type: ignore[misc]
        claims.pop("auth_time", None)
        event = stored(request, AUTHENTICATION)
        if event is not None:
            claims.update(event.as_claims())
        return claims, expires

    def refresh_id_token(self, request: Request) -> bool:
        """Return whether a refresh brings a new ID token: not if the client has no algorithm for it any more."""
        return bool(request.client.algorithm and super().refresh_id_token(request))  # type: ignore[misc]

    def finalize_id_token(self, id_token: Any, token: Any, token_handler: Any, request: Request) -> str:
        """Sign and store an ID token, and return it with its row. Until then, nothing of the response is stored."""
        try:
            signed: str = super().finalize_id_token(id_token, token, token_handler, request)  # type: ignore[misc]
        except ImproperlyConfigured as error:
            text = "The authorization server cannot sign ID tokens for this client."
            refuse(IssuanceError(text, detail=single_line(error)), request)
        row = stored(request, "id_token")
        if not isinstance(row, get_id_token_model()):
            # The site's validator has stored it in another way.
            return signed
        issued = IssuedIdToken(signed)
        issued.row = row
        return issued

    def _load_id_token(self, token: str) -> Any:
        # To link the access token, DOT would verify the ID token that it has just signed, and read its row again.
        return token.row if isinstance(token, IssuedIdToken) else super()._load_id_token(token)  # type: ignore[misc]

    def validate_user(self, username: str, password: str, client: Any, request: Request, *args: Any, **kw: Any) -> bool:
        """Validate a user's password, and record the login for the password grant (RFC 6749 section 4.3)."""
        valid = super().validate_user(username, password, client, request, *args, **kw)  # type: ignore[misc]
        if valid:
            setattr(request, AUTHENTICATION, authentication_by_password(request.user, time.time()))
        return valid


def _subject(request: Request) -> str:
    try:
        return subject_of(request.user, request.client)
    except IssuanceError as error:
        refuse(error, request)
