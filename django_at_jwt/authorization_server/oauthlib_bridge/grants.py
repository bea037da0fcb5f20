"""Store codes, access tokens and refresh tokens so that they match what was signed and consented to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

from django.views.decorators.debug import sensitive_variables
from oauth2_provider.models import get_device_grant_model, get_grant_model
from oauth2_provider.settings import oauth2_settings
from oauthlib.oauth2 import InvalidGrantError

from django_at_jwt.authorization_server.issuance import IssuedAccessToken
from django_at_jwt.authorization_server.revocation.authorizations import (
    authorizations_of_access_tokens,
    lock_authorizations,
)
from django_at_jwt.authorization_server.revocation.revoke import one_transaction
from django_at_jwt.authorization_server.unused_clients import record_use
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.core.grant_types import AUTHORIZATION_CODE, DEVICE_CODE
from django_at_jwt.events import emit
from django_at_jwt.models import Authorization
from django_at_jwt.models.authorization import credential_hash
from django_at_jwt.models.instants import as_datetime

from .audience import resolve_for_authorization
from .authorization import (
    CodeReplayed,
    attach_authorization,
    authorization_of,
    end_replayed_code,
    end_unstored,
    is_unstored_token,
    link_token,
    store_code,
    store_first_token,
    transaction_of,
)
from .bearer import unstored_claims
from .generator import refuse
from .refresh_families import access_tokens_of_client, live_of_client, lock_family
from .request import (
    AUDIENCE,
    CODE_GRANT,
    CODE_USED,
    GRANTED,
    ISSUED,
    LACKS_USER,
    LATE_LINK,
    LIFETIME,
    stored,
    token_grant,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from oauthlib.common import Request


logger = logging.getLogger("django_at_jwt")


class GrantStorageMixin:
    """Stores with each code and each family of refresh tokens what was consented to, and how the user logged in."""

    # Codes

    def _create_authorization_code(
        self, request: Request, code: dict[str, str], expires: datetime | None = None
    ) -> Any:
        # Later requests may narrow the grant's resources, so they are never left empty.
        try:
            audience = stored(request, AUDIENCE) or resolve_for_authorization(request)
        except IssuanceError as error:
            refuse(error, request)
        request.resource = audience.identifiers
        scopes = tuple(_possible_scopes(audience.scopes, request.client))
        request.scopes = _possible_scopes(request.scopes or (), request.client)
        grant = super()._create_authorization_code(request, code, expires)  # type: ignore[misc]
        store_code(request, code["code"], scopes=scopes, expires_at=grant.expires)
        return grant

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Validate a code, and store its grant and its authorization on the request.

        If the client has exchanged the code before, its authorization ends (RFC 6749 section 4.1.2).
        """
        valid = super().validate_code(client_id, code, client, request, *args, **kwargs)  # type: ignore[misc]
        # Another request may have exchanged the code since DOT has read its grant.
        grant = get_grant_model().objects.filter(code=code, application=client).first() if valid else None
        if grant is None:
            end_replayed_code(code, client)
            return False
        setattr(request, CODE_GRANT, grant)
        attach_authorization(request, Authorization.objects.of_code(code))
        request.scopes = _possible_scopes(request.scopes or (), request.client)
        return True

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the ``redirect_uri`` is that of the grant stored on the request, without a query."""
        grant = stored(request, CODE_GRANT)
        if grant is None:
            return super().confirm_redirect_uri(client_id, code, redirect_uri, client, request, *args, **kwargs)  # type: ignore[misc]
        return grant.redirect_uri_allowed(redirect_uri)

    def _create_refresh_token(
        self, request: Request, refresh_token_code: str, access_token: Any, previous_refresh_token: Any
    ) -> Any:
        authorization = authorization_of(request)
        if not previous_refresh_token and authorization is not None and authorization.family is not None:
            previous_refresh_token = _NewFamily(authorization.family)
        # The refresh token keeps all granted resources; this access token may have fewer (RFC 8707 section 2.2).
        narrowed = stored(request, "resource")
        request.resource = stored(request, GRANTED) or narrowed
        try:
            return super()._create_refresh_token(  # type: ignore[misc]
                request, refresh_token_code, access_token, previous_refresh_token
            )
        finally:
            request.resource = narrowed

    # Access tokens

    def _check_and_set_request_resource(self, request: Request) -> None:
        # Our generator has done it, and more strictly. Tokens of other generators keep DOT's rules.
        if stored(request, GRANTED) is None:
            super()._check_and_set_request_resource(request)  # type: ignore[misc]

    def _set_token_value(self, token_instance: Any, raw_token: str) -> None:
        if isinstance(raw_token, IssuedAccessToken):
            # DOT would count the lifetime from a later moment than ``iat``.
            token_instance.expires = as_datetime(raw_token.expires_at)
            if is_unstored_token(raw_token):
                # DOT keeps the checksum of a row without a token value.
                token_instance.token, token_instance.token_checksum = "", raw_token.row_checksum
                return
        super()._set_token_value(token_instance, str(raw_token))  # type: ignore[misc]

    def _create_access_token(
        self, expires: datetime, request: Request, token: dict[str, Any], source_refresh_token: Any = None
    ) -> Any:
        row = super()._create_access_token(expires, request, token, source_refresh_token)  # type: ignore[misc]
        link_token(request, row, token)
        return row

    def save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> Any:
        """Store the tokens. If another request has exchanged the code, it was replayed, and its authorization ends.

        A token that has neither a user nor a row needs no statement, and so no transaction.
        """
        saved, authorization = None, authorization_of(request)
        if authorization is None and is_unstored_token(token["access_token"]):
            _set_lifetime(token, request)
        else:
            try:
                with transaction_of(authorization):
                    saved = super().save_bearer_token(token, request, *args, **kwargs)  # type: ignore[misc]
            except CodeReplayed:
                # After the error has rolled back the transaction of the tokens.
                end_replayed_code(request.code, request.client)
                raise
            late_link = stored(request, LATE_LINK)
            if late_link is not None:
                late_link.insert()
        record_use(request.client)
        issued = stored(request, ISSUED)
        if issued is not None:
            emit(issued)
        return saved

    @sensitive_variables()
    def _save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> Any:
        # DOT reads this attribute; a request parameter of the same name must not set it.
        request.refresh_token_instance = stored(request, "refresh_token_instance")
        if stored(request, LIFETIME) is not None:
            _set_lifetime(token, request)
        if request.refresh_token_instance is not None:
            return self._save_refreshed_token(token, request, *args, **kwargs)  # type: ignore[attr-defined]
        _use_grant(request, token)
        return super()._save_bearer_token(token, request, *args, **kwargs)  # type: ignore[misc]

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        """Delete the grant of a code, unless that was done when its tokens were stored."""
        if stored(request, CODE_USED) is not True:
            super().invalidate_authorization_code(client_id, code, request, *args, **kwargs)  # type: ignore[misc]

    # Revocation

    def revoke_token(self, token: str, token_type_hint: str | None, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Revoke a token and, for a live refresh token, its siblings: the client may have missed their responses."""
        claims = unstored_claims(token)
        if claims is not None:
            if claims.client_id == request.client.client_id:
                end_unstored(claims)
            return None
        checksum = credential_hash(token)
        with one_transaction():
            # Lock authorizations before tokens, as a token request does. DOT would lock the refresh token first.
            lock_authorizations(authorizations_of_access_tokens(access_tokens_of_client(checksum, request.client)))
            for refresh_token in live_of_client(checksum, request.client):
                Authorization.objects.lock_family(refresh_token.token_family)
                lock_family(refresh_token).end_siblings()
            return super().revoke_token(token, token_type_hint, request, *args, **kwargs)  # type: ignore[misc]


def _possible_scopes(scopes: Iterable[str], client: Any) -> list[str]:
    """Return the scopes, without ``openid`` if the client has no algorithm for its ID token: DOT would answer 500."""
    has_no_id_token = oauth2_settings.OIDC_ENABLED and not client.algorithm
    return [scope for scope in scopes if not (has_no_id_token and scope == "openid")]


def _set_lifetime(token: dict[str, Any], request: Request) -> None:
    """Set ``expires_in``, which oauthlib has set before the audience was resolved, to the lifetime of the token."""
    lifetime, given = stored(request, LIFETIME), token.get("expires_in")
    if given not in (lifetime, stored(request, "expires_in")):
        logger.warning(
            "expires_in=%r, which the site's validator has set, is ignored: the access token is already issued for %s "
            'seconds; set AT_JWT["TOKEN_LIFETIME"] to a function that returns the lifetime',
            given,
            lifetime,
        )
    token["expires_in"] = lifetime


class _NewFamily(NamedTuple):
    """Takes the place of the previous refresh token, of which DOT reads the family only."""

    token_family: UUID


def _use_grant(request: Request, token: dict[str, Any]) -> None:
    """Store the authorization, and use up the code or device code, in the transaction that stores its tokens.

    Raises:
        CodeReplayed: another request has exchanged the code.
        InvalidGrantError: the authorization has ended, or another request has used the device code.
    """
    grant, authorization = token_grant(request), authorization_of(request)
    if authorization is not None and token.get("refresh_token"):
        authorization.family = uuid4()
    code = request.code if grant == AUTHORIZATION_CODE else request.device_code if grant == DEVICE_CODE else None
    may_have_token = store_first_token(request, token, code=code)
    if grant == AUTHORIZATION_CODE:
        codes = get_grant_model().objects.filter(code=code, application=request.client)
        if not may_have_token or not codes.delete()[0]:
            raise CodeReplayed("The code was used by another request.", request=request)
        setattr(request, CODE_USED, True)
    elif not may_have_token:
        raise InvalidGrantError("The authorization has ended, or its device code was used.", request=request)
    elif grant == DEVICE_CODE and stored(request, LACKS_USER):
        # Revoking the tokens of the user has ended the device code, but has not found the authorization.
        device_codes = get_device_grant_model()
        approved = device_codes.objects.filter(device_code=code, status=device_codes.AUTHORIZED)
        if not approved.update(status=device_codes.EXPIRED):
            raise InvalidGrantError("The device code was ended by another request.", request=request)
