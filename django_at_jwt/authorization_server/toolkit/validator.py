"""The validator: where oauthlib asks django-oauth-toolkit, and this app has a say."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone
from oauth2_provider.models import get_device_grant_model, get_grant_model
from oauthlib.oauth2 import InvalidGrantError, InvalidRequestError
from oauthlib.oauth2.rfc8628.errors import AccessDenied, AuthorizationPendingError, ExpiredTokenError

from django_at_jwt.authorization_server.high_water import as_datetime
from django_at_jwt.authorization_server.issuance import IssuedAccessToken
from django_at_jwt.core.bearer import INVALID_TOKEN
from django_at_jwt.core.errors import IssuanceError, TokenRejected

from .accepting import check_row, claims_to_be_ours, verify_own
from .issuing import CODE_GRANT, DEVICE_CODE_GRANT, GRANTED, refuse, resolve_for_request, token_grant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from oauthlib.common import Request

logger = logging.getLogger("django_at_jwt")

_LONGEST: Final = {"nonce": 255, "code_challenge": 128}


class AccessTokenValidatorMixin:
    """What makes django-oauth-toolkit's validator issue and accept ``at+jwt`` access tokens.

    A site with its own validator class puts it first::

        class SiteValidator(AccessTokenValidatorMixin, OAuth2Validator): ...
    """

    # Issuing

    def validate_scopes(
        self, client_id: str, scopes: Sequence[str], client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Look at the requested resources too, while the authorization request is validated.

        So an unknown resource is refused before anybody is asked for consent, and the redirect carries the ``state``.
        """
        if request.response_type is not None and token_grant(request) is None:
            # oauthlib takes parameters for attributes: a "grant_type" in the address of an authorization request would
            # make the toolkit store somebody's token as the client's own.
            request.grant_type = None
            for name, longest in _LONGEST.items():
                # The columns of the toolkit's grant; some databases refuse what does not fit, others cut it off.
                if len(getattr(request, name) or "") > longest:
                    raise InvalidRequestError(f"The {name} is longer than {longest} characters.", request=request)
            try:
                resolve_for_request(request, None)
            except IssuanceError as error:
                refuse(error, request)
        return bool(super().validate_scopes(client_id, scopes, client, request, *args, **kwargs))  # type: ignore[misc]

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Keep the grant at hand for the audience."""
        valid = bool(super().validate_code(client_id, code, client, request, *args, **kwargs))  # type: ignore[misc]
        if valid:
            setattr(request, CODE_GRANT, get_grant_model().objects.filter(code=code, application=client).first())
        return valid

    def validate_silent_login(self, request: Request) -> bool:
        """Tell whether somebody is logged in, for ``prompt=none`` (OpenID Connect Core §3.1.2.1).

        The authorization endpoint has sent anybody else to the client with ``login_required`` before.
        """
        return True

    def validate_silent_authorization(self, request: Request) -> bool:
        """Tell whether no consent page is needed, for ``prompt=none``: only where the client skips it always."""
        return bool(request.client.skip_authorization)

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Refuse a device code that was given to another client, which oauthlib 3 has no step for (RFC 8628 §3.4)."""
        allowed = bool(
            super().validate_grant_type(client_id, grant_type, client, request, *args, **kwargs)  # type: ignore[misc]
        )
        if allowed and grant_type == DEVICE_CODE_GRANT and _device_grant(request) is None:
            raise InvalidGrantError(request=request)
        return allowed

    def validate_device_code(
        self, client_id: str, device_code: str, request: Request, *args: Any, **kwargs: Any
    ) -> Any:
        """Tell oauthlib 4 how far a device's authorization is, which the toolkit does not yet (RFC 8628 §3.5)."""
        device = _device_grant(request)
        if device is None:
            return None
        if device.is_expired():
            return ExpiredTokenError.error
        if device.status == device.DENIED:
            return AccessDenied.error
        if device.status != device.AUTHORIZED:
            return AuthorizationPendingError.error
        request.user = device.user
        request.scopes = device.scope.split()
        return "authorized"

    def _create_authorization_code(
        self, request: Request, code: dict[str, str], expires: datetime | None = None
    ) -> Any:
        # What the grant holds is what later requests may narrow, so it is never left open.
        try:
            request.resource = resolve_for_request(request, None)
        except IssuanceError as error:
            refuse(error, request)
        return super()._create_authorization_code(request, code, expires)  # type: ignore[misc]

    def _check_and_set_request_resource(self, request: Request) -> None:
        # The generator has done it already, and more strictly. Other tokens than ours keep the toolkit's rules.
        if GRANTED not in vars(request):
            super()._check_and_set_request_resource(request)  # type: ignore[misc]

    def _create_refresh_token(self, request: Request, *args: Any) -> Any:
        # A refresh token keeps what was granted; this access token may be for less (RFC 8707 §2.2).
        narrowed = vars(request).get("resource")
        request.resource = vars(request).get(GRANTED, narrowed)
        try:
            return super()._create_refresh_token(request, *args)  # type: ignore[misc]
        finally:
            request.resource = narrowed

    def _set_token_value(self, token_instance: Any, raw_token: str) -> None:
        if isinstance(raw_token, IssuedAccessToken):
            # The toolkit counts the lifetime from a later moment than the token does.
            token_instance.expires = as_datetime(raw_token.expires_at)
        super()._set_token_value(token_instance, str(raw_token))  # type: ignore[misc]

    def _save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> Any:
        # The toolkit looks for this attribute, which a parameter of the same name would be.
        request.refresh_token_instance = vars(request).get("refresh_token_instance")
        if token_grant(request) == DEVICE_CODE_GRANT:
            _use_up_device_code(request)
        issued = token.get("access_token")
        result = super()._save_bearer_token(token, request, *args, **kwargs)  # type: ignore[misc]
        if token.get("access_token") is not issued and "expires_in" in token:
            # Within the grace period the toolkit hands out the first refresh's token again, which has less to live.
            row = self._load_access_token(token["access_token"])  # type: ignore[attr-defined]
            if row is not None:
                token["expires_in"] = max(0, int((row.expires - timezone.now()).total_seconds()))
        return result

    # Accepting, on the authorization server's own views and on views that the toolkit protects

    def validate_jwt_bearer_token(self, token: str, scopes: Sequence[str], request: Request) -> bool:
        """Treat what looks like a JWT as an access token: an ID token is none (RFC 9068 §5)."""
        return self.validate_bearer_token(token, scopes, request)

    def validate_bearer_token(self, token: str, scopes: Sequence[str], request: Request) -> bool:
        """Verify an ``at+jwt`` token of this issuer and look up its row; leave any other to the toolkit.

        A token without a row was revoked or replaced by a refresh, and is refused here.
        """
        if not token or not claims_to_be_ours(token):
            return bool(super().validate_bearer_token(token, scopes, request))  # type: ignore[misc]
        row = None
        try:
            verify_own(token)
            row = self._load_access_token(token)  # type: ignore[attr-defined]
            check_row(row, request)
        except TokenRejected as rejected:
            logger.info("An access token was refused (%s)", rejected)
            request.oauth2_error = {"error": INVALID_TOKEN, "error_description": "The access token is invalid."}
            return False
        if not row.is_valid(scopes):
            self._set_oauth2_error_on_request(request, row, scopes)  # type: ignore[attr-defined]
            return False
        request.client = row.application
        request.user = row.user
        request.scopes = list(row.scopes)
        request.access_token = row
        return True


def _use_up_device_code(request: Request) -> None:
    """Let a device code bring one token and no second one, in the transaction that stores the token."""
    model = get_device_grant_model()
    grants = model.objects.filter(device_code=request.device_code, status=model.AUTHORIZED)
    if not grants.update(status=model.EXPIRED):
        raise InvalidGrantError(request=request)


def _device_grant(request: Request) -> Any:
    """The device grant of a token request, if it belongs to the client that asks."""
    grants = get_device_grant_model().objects
    return grants.filter(device_code=request.device_code, client_id=request.client.client_id).first()
