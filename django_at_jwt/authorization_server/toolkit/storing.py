"""What the toolkit stores: codes, tokens and refresh tokens that agree with what was signed and agreed to."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone
from oauth2_provider.models import get_device_grant_model, get_grant_model
from oauthlib.oauth2 import InvalidGrantError

from django_at_jwt.authorization_server.high_water import as_datetime
from django_at_jwt.authorization_server.issuance import IssuedAccessToken
from django_at_jwt.core.authentication import AuthenticationEvent
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.models import Authorization

from .audiences import refuse_other_resources, resolve_for_authorization, resolved_audience
from .issuing import refuse
from .requests import (
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


class StoringMixin:
    """Keeps with each code and each family of refresh tokens what was agreed to, and how the user had logged in."""

    # Codes

    def _create_authorization_code(
        self, request: Request, code: dict[str, str], expires: datetime | None = None
    ) -> Any:
        # What the grant holds is what later requests may narrow, so it is never left open.
        try:
            audience = stored(request, AUDIENCE) or resolve_for_authorization(request)
        except IssuanceError as error:
            refuse(error, request)
        request.resource = audience.identifiers
        grant = super()._create_authorization_code(request, code, expires)  # type: ignore[misc]
        Authorization.for_code(
            code["code"],
            scopes=audience.scopes,
            resources=audience.identifiers,
            authentication=_as_json(stored(request, AUTHENTICATION)),
            expires_at=grant.expires,
        ).save()
        return grant

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Keep the grant at hand, and what was settled with it."""
        valid = bool(super().validate_code(client_id, code, client, request, *args, **kwargs))  # type: ignore[misc]
        if valid:
            if not (request.code_verifier or "").isascii():
                # No challenge is made of it (RFC 7636 §4.1), and oauthlib cannot compare it with one.
                raise InvalidGrantError("The code_verifier is not ASCII.", request=request)
            setattr(request, CODE_GRANT, get_grant_model().objects.filter(code=code, application=client).first())
            recall(request, Authorization.objects.of_code(code))
        return valid

    def get_code_challenge(self, code: str, request: Request) -> Any:
        """Give the challenge of the grant, which is at hand."""
        grant = stored(request, CODE_GRANT)
        if grant is None:
            return super().get_code_challenge(code, request)  # type: ignore[misc]
        return grant.code_challenge or None

    def get_code_challenge_method(self, code: str, request: Request) -> Any:
        """Give the method of the challenge of the grant, which is at hand."""
        grant = stored(request, CODE_GRANT)
        if grant is None:
            return super().get_code_challenge_method(code, request)  # type: ignore[misc]
        return grant.code_challenge_method or None

    # Refresh tokens

    def rotate_refresh_token(self, request: Request) -> bool:
        """Tell whether the answer has a new refresh token; only a refresh can keep the one that it was asked with.

        oauthlib would take a ``refresh_token`` parameter of any other request for the token to hand out.
        """
        return token_grant(request) != "refresh_token" or bool(super().rotate_refresh_token(request))  # type: ignore[misc]

    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Keep at hand what was settled when the family of this refresh token began, and see what it is asked for."""
        valid = bool(
            super().validate_refresh_token(refresh_token, client, request, *args, **kwargs)  # type: ignore[misc]
        )
        if valid:
            recall(request, Authorization.objects.of_family(request.refresh_token_instance.token_family))
            try:
                refuse_other_resources(request)
            except IssuanceError as error:
                refuse(error, request)
        return valid

    def get_original_scopes(self, refresh_token: str, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Give the scopes that were granted; the toolkit gives those of the last token, which may be fewer."""
        authorization: Authorization | None = stored(request, AUTHORIZATION)
        if authorization is None:
            return super().get_original_scopes(refresh_token, request, *args, **kwargs)  # type: ignore[misc]
        return authorization.scopes

    def _create_refresh_token(self, request: Request, *args: Any) -> Any:
        # A refresh token keeps what was granted; this access token may be for less (RFC 8707 §2.2).
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
            # Nothing came before this token request, or nothing that this app was there for.
            authorization = Authorization(
                scopes=" ".join(request.scopes or ()),
                resources=refresh_token.resource,
                authentication=_as_json(stored(request, AUTHENTICATION)),
            )
        authorization.move_to_family(refresh_token.token_family, keep_until=timezone.now() + _CLEAN_UP_NOT_BEFORE)

    # Access tokens

    def _create_access_token(
        self, expires: datetime, request: Request, token: dict[str, Any], source_refresh_token: Any = None
    ) -> Any:
        # The toolkit has just read the refresh token again, and locked it. If it was used meanwhile, its successor
        # would be handed out; there is none where the whole family was revoked, and then it gets no new member.
        if source_refresh_token is not None and source_refresh_token.revoked is not None:
            raise InvalidGrantError("The refresh token was revoked by another request.", request=request)
        return super()._create_access_token(expires, request, token, source_refresh_token)  # type: ignore[misc]

    def _check_and_set_request_resource(self, request: Request) -> None:
        # The generator has done it already, and more strictly. Other tokens than ours keep the toolkit's rules.
        if stored(request, GRANTED) is None:
            super()._check_and_set_request_resource(request)  # type: ignore[misc]

    def _set_token_value(self, token_instance: Any, raw_token: str) -> None:
        if isinstance(raw_token, IssuedAccessToken):
            # The toolkit counts the lifetime from a later moment than the token does.
            token_instance.expires = as_datetime(raw_token.expires_at)
        super()._set_token_value(token_instance, str(raw_token))  # type: ignore[misc]

    def _save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> Any:
        # The toolkit looks for this attribute, which a parameter of the same name would be.
        request.refresh_token_instance = stored(request, "refresh_token_instance")
        if token_grant(request) == DEVICE_CODE_GRANT:
            _use_up_device_code(request)
        if stored(request, LIFETIME) is not None:
            # oauthlib has worked it out before anybody knew which resource server the token is for.
            token["expires_in"] = stored(request, LIFETIME)
        issued = token.get("access_token")
        result = super()._save_bearer_token(token, request, *args, **kwargs)  # type: ignore[misc]
        if token.get("access_token") is not issued:
            self._hand_out_again(token, request)
        return result

    def _hand_out_again(self, token: dict[str, Any], request: Request) -> None:
        """Mend the answer to a refresh that came second, at the same time or within the grace period.

        The toolkit hands out the first one's tokens again, whatever the second one asks for. Where only their hashes
        are stored, those are empty texts.
        """
        if not token["access_token"] or not token.get("refresh_token"):
            raise InvalidGrantError("The refresh token was used by another request.", request=request)
        row = self._load_access_token(token["access_token"])  # type: ignore[attr-defined]
        audience = resolved_audience(request)
        if row is not None and audience is not None and not _is_for(row, audience):
            description = "The refresh token was used by another request, which asked for something else."
            raise InvalidGrantError(description, request=request)
        if row is not None and "expires_in" in token:
            token["expires_in"] = max(0, int((row.expires - timezone.now()).total_seconds()))


def _is_for(row: Any, audience: Audience) -> bool:
    return set(row.resource) == set(audience.identifiers) and set(row.scope.split()) == set(audience.scopes)


def recall(request: Request, authorization: Authorization | None) -> None:
    """Take up an authorization that an earlier request has settled."""
    setattr(request, AUTHORIZATION, authorization)
    kept = None if authorization is None else authorization.authentication
    # Whether it lies in the past was checked when it was recorded.
    setattr(request, AUTHENTICATION, AuthenticationEvent.from_session(kept, now=math.inf))


def _as_json(event: AuthenticationEvent | None) -> Any:
    return None if event is None else event.to_session()


def _use_up_device_code(request: Request) -> None:
    """Let a device code bring one token and no second one, in the transaction that stores the token."""
    model = get_device_grant_model()
    grants = model.objects.filter(device_code=request.device_code, status=model.AUTHORIZED)
    if not grants.update(status=model.EXPIRED):
        raise InvalidGrantError(request=request)
