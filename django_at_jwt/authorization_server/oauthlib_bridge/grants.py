"""Store codes, access tokens and refresh tokens so that they match what was signed and consented to."""

from __future__ import annotations

import hashlib
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import router, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.models import get_device_grant_model, get_grant_model, get_refresh_token_model
from oauthlib.oauth2 import InvalidGrantError

from django_at_jwt.authorization_server.issuance import IssuedAccessToken
from django_at_jwt.authorization_server.keys.last_expiry import as_datetime
from django_at_jwt.authorization_server.revocation.supersession import refreshing
from django_at_jwt.core.authentication import AuthenticationEvent
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.models import Authorization

from .audience import check_requested_resources, resolve_for_authorization, resolved_audience
from .generator import refuse
from .refresh_families import can_have_sibling, first_replacement, live_of_client, lock_family
from .request import (
    AUDIENCE,
    AUTHENTICATION,
    AUTHORIZATION,
    CODE_GRANT,
    DEVICE_CODE_GRANT,
    GRANTED,
    LIFETIME,
    stored,
    token_grant,
)

if TYPE_CHECKING:
    from datetime import datetime

    from oauthlib.common import Request

    from django_at_jwt.core.audience import Audience

_CLEAN_UP_NOT_BEFORE: Final = timedelta(days=1)


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
        grant = super()._create_authorization_code(request, code, expires)  # type: ignore[misc]
        Authorization.for_code(
            code["code"],
            client=request.client,
            user=request.user,
            scopes=audience.scopes,
            resources=audience.identifiers,
            authentication=_as_json(stored(request, AUTHENTICATION)),
            expires_at=grant.expires,
        ).save()
        return grant

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Validate a code, and store its grant and its authorization on the request."""
        valid = bool(super().validate_code(client_id, code, client, request, *args, **kwargs))  # type: ignore[misc]
        if valid:
            setattr(request, CODE_GRANT, get_grant_model().objects.filter(code=code, application=client).first())
            attach_authorization(request, Authorization.objects.of_code(code))
        return valid

    # Refresh tokens

    def rotate_refresh_token(self, request: Request) -> bool:
        """Return whether to issue a new refresh token; only a refresh with a live refresh token may keep it.

        For any other request, oauthlib would hand out its ``refresh_token`` parameter as the refresh token.
        """
        used = stored(request, "refresh_token_instance")
        if token_grant(request) != "refresh_token" or (used is not None and used.revoked is not None):
            return True
        return bool(super().rotate_refresh_token(request))  # type: ignore[misc]

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Validate a refresh token, store its family's authorization on the request, and check requested resources."""
        valid = bool(
            super().validate_refresh_token(refresh_token, client, request, *args, **kwargs)  # type: ignore[misc]
        )
        if valid:
            attach_authorization(request, Authorization.objects.of_family(request.refresh_token_instance.token_family))
            try:
                check_requested_resources(request)
            except IssuanceError as error:
                refuse(error, request)
        return valid

    def get_original_scopes(self, refresh_token: str, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Return the granted scopes; DOT would return those of the last access token, which may be fewer."""
        authorization: Authorization | None = stored(request, AUTHORIZATION)
        if authorization is None:
            return super().get_original_scopes(refresh_token, request, *args, **kwargs)  # type: ignore[misc]
        return authorization.scopes

    def _create_refresh_token(self, request: Request, *args: Any) -> Any:
        # The refresh token keeps all granted resources; this access token may have fewer (RFC 8707 §2.2).
        narrowed = stored(request, "resource")
        request.resource = stored(request, GRANTED) or narrowed
        try:
            refresh_token = super()._create_refresh_token(request, *args)  # type: ignore[misc]
        finally:
            request.resource = narrowed
        if token_grant(request) != "refresh_token":
            self._begin_family(request, refresh_token)
        return refresh_token

    def _begin_family(self, request: Request, refresh_token: Any) -> None:
        authorization: Authorization | None = stored(request, AUTHORIZATION)
        if authorization is None:
            # This token request is the first, or the authorization is older than this app.
            authorization = Authorization(
                scopes=" ".join(request.scopes or ()),
                resources=refresh_token.resource,
                authentication=_as_json(stored(request, AUTHENTICATION)),
            )
        authorization.set_client(request.client)
        authorization.set_user(stored(request, "user"))
        authorization.family = refresh_token.token_family
        authorization.expires_at = timezone.now() + _CLEAN_UP_NOT_BEFORE
        authorization.save()

    # Access tokens

    def _check_and_set_request_resource(self, request: Request) -> None:
        # Our generator has done it, and more strictly. Tokens of other generators keep DOT's rules.
        if stored(request, GRANTED) is None:
            super()._check_and_set_request_resource(request)  # type: ignore[misc]

    def _set_token_value(self, token_instance: Any, raw_token: str) -> None:
        if isinstance(raw_token, IssuedAccessToken):
            # DOT would count the lifetime from a later moment than ``iat``.
            token_instance.expires = as_datetime(raw_token.expires_at)
        super()._set_token_value(token_instance, str(raw_token))  # type: ignore[misc]

    @sensitive_variables()
    def _save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> Any:
        # DOT reads this attribute; a request parameter of the same name must not set it.
        request.refresh_token_instance = stored(request, "refresh_token_instance")
        if token_grant(request) == DEVICE_CODE_GRANT:
            _consume_device_code(request)
        if stored(request, LIFETIME) is not None:
            # oauthlib has set it before the audience was resolved.
            token["expires_in"] = stored(request, LIFETIME)
        if request.refresh_token_instance is not None:
            with refreshing():
                return self._save_refreshed_token(token, request, *args, **kwargs)
        return super()._save_bearer_token(token, request, *args, **kwargs)  # type: ignore[misc]

    def _save_refreshed_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> Any:
        family = lock_family(request.refresh_token_instance)
        if family.token is None:
            raise InvalidGrantError("The refresh token was deleted by another request.", request=request)
        if family.token.revoked is None:
            family.end_siblings()
            return super()._save_bearer_token(token, request, *args, **kwargs)  # type: ignore[misc]
        replacement = first_replacement(family.token)
        if replacement is None:
            raise InvalidGrantError("The refresh token was revoked by another request.", request=request)
        if _can_reissue(replacement, request):
            super()._save_bearer_token(token, request, *args, **kwargs)  # type: ignore[misc]
            token["expires_in"] = int((replacement.expires - timezone.now()).total_seconds())
        elif can_have_sibling(family.token, replacement):
            self._store_sibling(token, request, family.token)
        else:
            raise InvalidGrantError("The refresh token was used by another request.", request=request)
        return None

    def _store_sibling(self, token: dict[str, Any], request: Request, replaced: Any) -> None:
        """Store the tokens of a retry in addition to those of the first use.

        DOT allows one access token per used refresh token, so ``source_refresh_token`` stays empty here.
        """
        self._check_and_set_request_resource(request)
        expires = timezone.now() + timedelta(seconds=token["expires_in"])
        access_token = self._create_access_token(expires, request, token)  # type: ignore[attr-defined]
        self._create_refresh_token(request, token["refresh_token"], access_token, replaced)

    # Revocation

    def revoke_token(self, token: str, token_type_hint: str | None, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Revoke a token and, for a live refresh token, its siblings: the client may have missed their responses."""
        with transaction.atomic(using=router.db_for_write(get_refresh_token_model())):
            for refresh_token in live_of_client(hashlib.sha256(token.encode()).hexdigest(), request.client):
                lock_family(refresh_token).end_siblings()
            return super().revoke_token(token, token_type_hint, request, *args, **kwargs)  # type: ignore[misc]


def _can_reissue(replacement: Any, request: Request) -> bool:
    """Return whether a retry can get the tokens of the first use: stored in clear, not expired, and as requested."""
    audience = resolved_audience(request)
    return (
        bool(replacement.token)
        and not replacement.is_expired()
        and (audience is None or _is_for(replacement, audience))
    )


def _is_for(row: Any, audience: Audience) -> bool:
    return set(row.resource) == set(audience.identifiers) and set(row.scope.split()) == set(audience.scopes)


def attach_authorization(request: Request, authorization: Authorization | None) -> None:
    """Store the authorization of an earlier request, and its login, on this request."""
    setattr(request, AUTHORIZATION, authorization)
    kept = None if authorization is None else authorization.authentication
    # That the login is in the past was checked when it was recorded.
    setattr(request, AUTHENTICATION, AuthenticationEvent.from_session(kept, now=math.inf))


def _as_json(event: AuthenticationEvent | None) -> Any:
    return None if event is None else event.to_session()


def _consume_device_code(request: Request) -> None:
    """Mark a device code as used, in the transaction that stores its token, so that it is used only once."""
    model = get_device_grant_model()
    grants = model.objects.filter(device_code=request.device_code, status=model.AUTHORIZED)
    if not grants.update(status=model.EXPIRED):
        raise InvalidGrantError(request=request)
