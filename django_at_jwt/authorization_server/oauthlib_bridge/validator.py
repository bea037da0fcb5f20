"""The mixin for DOT's OAuth2 validator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from oauthlib.oauth2 import InvalidRequestError

from django_at_jwt.core.errors import IssuanceError

from .audience import resolve_for_authorization
from .bearer import BearerTokenMixin
from .client_authentication import ClientAuthenticationMixin
from .client_lookup import ClientLookupMixin
from .client_policy import GrantPolicyMixin
from .device_grant import DeviceGrantMixin
from .generator import refuse
from .grants import GrantStorageMixin
from .id_token import IdTokenMixin
from .pkce import PkceMixin, check_code_challenge
from .refresh_grant import RefreshGrantMixin
from .request import is_authorization_request
from .site_views import check_consent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauthlib.common import Request

# The length of the column in DOT's grant model; databases reject or truncate longer values.
_LONGEST_NONCE: Final = 255


class AccessTokenValidatorMixin(
    PkceMixin,
    GrantStorageMixin,
    RefreshGrantMixin,
    DeviceGrantMixin,
    GrantPolicyMixin,
    IdTokenMixin,
    BearerTokenMixin,
    ClientAuthenticationMixin,
    ClientLookupMixin,
):
    """Makes django-oauth-toolkit's validator issue and accept ``at+jwt`` access tokens.

    In a site's own validator class, put it first::

        class SiteValidator(AccessTokenValidatorMixin, OAuth2Validator): ...
    """

    def validate_scopes(
        self, client_id: str, scopes: Sequence[str], client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Validate the scopes and, for an authorization request, the requested resources.

        An unknown resource is thus rejected before the user is asked for consent, by a redirect with the ``state``.
        """
        if not is_authorization_request(request):
            return super().validate_scopes(client_id, scopes, client, request, *args, **kwargs)
        # oauthlib exposes parameters as attributes. With "grant_type" in the query of an authorization request, DOT
        # would store the user's token as the client's own.
        request.grant_type = None
        # Also checked when the consent form is sent: the user may have changed its hidden fields.
        if len(request.nonce or "") > _LONGEST_NONCE:
            raise InvalidRequestError(f"The nonce must have at most {_LONGEST_NONCE} characters.", request=request)
        check_code_challenge(request, is_required=self.is_pkce_required(client_id, request))  # type: ignore[attr-defined]
        if not super().validate_scopes(client_id, scopes, client, request, *args, **kwargs):
            return False
        try:
            check_consent(request, resolve_for_authorization(request))
        except IssuanceError as error:
            refuse(error, request)
        return True

    def validate_redirect_uri(
        self, client_id: str, redirect_uri: str, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether a redirect URI is the client's; ``False`` if it is malformed, such as with an invalid port."""
        try:
            # DOT ignores the port of a loopback URI.
            _ = urlsplit(redirect_uri).port
            return super().validate_redirect_uri(client_id, redirect_uri, request, *args, **kwargs)  # type: ignore[misc]
        except ValueError:
            # DOT's forms accept such a URI for a client, but DOT cannot parse it to compare it.
            return False

    def validate_silent_login(self, request: Request) -> bool:
        """Return ``True``, for ``prompt=none``: the authorization endpoint checks the login.

        It answers ``login_required`` if the user is not logged in (OpenID Connect Core section 3.1.2.6).
        """
        return True

    def validate_silent_authorization(self, request: Request) -> bool:
        """Return whether no consent page is needed, for ``prompt=none``: only if the client always skips it."""
        return bool(request.client.skip_authorization)
