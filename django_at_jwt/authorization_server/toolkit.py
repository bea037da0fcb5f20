"""The bridge to django-oauth-toolkit and oauthlib: the only module that knows how they pass things around.

oauthlib calls the token generator before django-oauth-toolkit has read, inherited or narrowed the ``resource``
parameter, so the audience is resolved here, before anything is signed, and handed back for the rows to agree with it.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from oauth2_provider.models import get_device_grant_model, get_grant_model
from oauthlib.oauth2 import InvalidGrantError, OAuth2Error
from oauthlib.oauth2.rfc6749.tokens import random_token_generator
from oauthlib.oauth2.rfc8628.errors import AccessDenied, AuthorizationPendingError, ExpiredTokenError

from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.audience import resolve_audience
from django_at_jwt.core.bearer import INVALID_TOKEN
from django_at_jwt.core.errors import (
    InvalidGrant,
    IssuanceError,
    NoSigningKey,
    RejectionReason,
    TokenRejected,
)
from django_at_jwt.core.jws import CompactJws, decode_object
from django_at_jwt.core.profile import ACCEPTED_TYPES
from django_at_jwt.core.verifier import Expectations, verify_with_current_keys

from .issuance import IssuanceRequest, IssuedAccessToken, issue_access_token
from .keystore import key_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauthlib.common import Request

logger = logging.getLogger("django_at_jwt")

_DEVICE_CODE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_OWN_ENDPOINTS: Final = ("user-info", "introspect", "dcr-register")
_GRANTED: Final = "at_jwt_granted_resources"
_ISSUED: Final = "at_jwt_issued"
_CODE_GRANT: Final = "at_jwt_code_grant"


class IssuanceFailed(OAuth2Error):
    """An :class:`IssuanceError` on its way through oauthlib to the client, as JSON (RFC 6749 §5.2)."""

    def __init__(self, error: IssuanceError, request: Request) -> None:
        self.error = error.code
        super().__init__(description=error.description, status_code=error.status, request=request)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer; oauthlib's own errors say no content type, which Django makes HTML of."""
        return {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}


def generate_access_token(request: Request) -> str:
    """Issue the access token for a request that oauthlib has validated: ``ACCESS_TOKEN_GENERATOR``.

    Where a site has not set ``REFRESH_TOKEN_GENERATOR``, oauthlib asks here for the refresh token as well, right after
    the access token. A second token for the same request is therefore an opaque one.

    Raises:
        IssuanceFailed: what the client is told as JSON or in the redirect. The reason is in the log.
    """
    if vars(request).get(_ISSUED) is True:
        logger.error("OAUTH2_PROVIDER['REFRESH_TOKEN_GENERATOR'] is not set; see manage.py check")
        opaque: str = random_token_generator(request)
        return opaque
    try:
        issuer = local_issuer()
        if not issuer:
            raise NoSigningKey("OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not set, so tokens would have no issuer")
        issuance = IssuanceRequest(
            issuer=issuer,
            client_id=request.client.client_id,
            audience=_resolve_for_token(request),
            user_subject=_user_subject(request),
            scopes=request.scopes or (),
            lifetime=vars(request)["expires_in"],
            now=time.time(),
        )
        token = issue_access_token(issuance, key_store.current())
    except IssuanceError as error:
        _fail(error, request)
    except DatabaseError as error:
        logger.exception("The signing keys could not be read")
        raise IssuanceFailed(NoSigningKey("the signing keys could not be read"), request) from error
    setattr(request, _ISSUED, True)
    return token


def _fail(error: IssuanceError, request: Request) -> NoReturn:
    level = logging.ERROR if error.code == "server_error" else logging.INFO
    logger.log(level, "No access token was issued (%s): %s", error.code, error)
    raise IssuanceFailed(error, request) from error


def _token_grant(request: Request) -> str | None:
    """The grant type of a token request, and ``None`` for an authorization request, which has no body."""
    return dict(request.decoded_body or ()).get("grant_type")


def _user_subject(request: Request) -> str | None:
    """The ``sub`` of the resource owner, or ``None`` where the client acts for itself (RFC 9068 §2.2)."""
    # oauthlib fills attributes from the request's parameters, so "user" may be any text that the client sent. Only what
    # validation stored on the request itself is the resource owner.
    user = vars(request).get("user")
    if _token_grant(request) == "client_credentials" or user is None:
        _refuse_client_that_reads_as_user(request.client.client_id)
        return None
    if not user.is_active:
        raise InvalidGrant("The resource owner's account is not active.")
    return str(user.pk)


def _refuse_client_that_reads_as_user(client_id: str) -> None:
    """Refuse a client that an administrator gave the identifier of a user (RFC 9068 §5).

    The generated ids of django-oauth-toolkit are no primary keys by their form, so they cost no query.
    """
    user_model = get_user_model()
    key = user_model._meta.pk
    try:
        value = key.to_python(client_id)
    except (ValidationError, ValueError):
        return
    if str(value) == client_id and user_model._base_manager.filter(pk=value).exists():
        raise InvalidGrant(
            "This client cannot get a token for itself.",
            detail="the client's id is also the identifier of a user (RFC 9068 section 5); give the client another id",
        )


def _requested_resources(request: Request) -> list[object]:
    """All values of the request's ``resource`` parameter: oauthlib alone would keep the last one (RFC 8707 §2)."""
    # The consent form's values arrive as a list, set by django-oauth-toolkit after it was shown to the resource owner.
    from_consent = vars(request).get("resource")
    if isinstance(from_consent, list):
        return list(from_consent)
    sent = [value for name, value in (request.decoded_body or []) if name == "resource"]
    if not sent:
        sent = [value for name, value in request.uri_query_params if name == "resource"]
    return [value for value in sent if value]


def _resolve_default() -> list[str]:
    default = app_settings().default_resource
    if default is None:
        raise NoSigningKey("AT_JWT['DEFAULT_RESOURCE'] is not set, so tokens would have no audience")
    return [default]


def resolve_requested(requested: Sequence[object], granted: Sequence[str] | None = None) -> list[str]:
    """Resolve the audience for the values of ``resource`` parameters; raises as :func:`resolve_audience`."""
    [default] = _resolve_default()
    known = app_settings().known_resources
    return list(resolve_audience(requested=requested, granted=granted, known=known, default=default))


def _resolve(request: Request, granted: Sequence[str] | None) -> list[str]:
    return resolve_requested(_requested_resources(request), granted)


def _resolve_for_token(request: Request) -> list[str]:
    """Resolve the audience of the token that is about to be signed, and leave it for the rows to hold as well."""
    earlier = None
    match _token_grant(request):
        case "authorization_code":
            earlier = vars(request).get(_CODE_GRANT)
        case "refresh_token":
            earlier = vars(request).get("refresh_token_instance")
    granted: Sequence[str] | None = None
    if earlier is not None:
        # A row from before this app was installed names no resource: then it is what nobody asking would get now.
        granted = earlier.resource or _resolve_default()
    audience = _resolve(request, granted)
    setattr(request, _GRANTED, list(granted or audience))
    request.resource = audience
    return audience


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
        if request.response_type is not None and _token_grant(request) is None:
            # oauthlib takes parameters for attributes: a "grant_type" in the address of an authorization request would
            # make the toolkit store somebody's token as the client's own.
            request.grant_type = None
            try:
                _resolve(request, None)
            except IssuanceError as error:
                _fail(error, request)
        return bool(super().validate_scopes(client_id, scopes, client, request, *args, **kwargs))  # type: ignore[misc]

    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Keep the grant at hand for the audience."""
        valid = bool(super().validate_code(client_id, code, client, request, *args, **kwargs))  # type: ignore[misc]
        if valid:
            setattr(request, _CODE_GRANT, get_grant_model().objects.filter(code=code, application=client).first())
        return valid

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Refuse a device code that was given to another client, which oauthlib 3 has no step for (RFC 8628 §3.4)."""
        allowed = bool(
            super().validate_grant_type(client_id, grant_type, client, request, *args, **kwargs)  # type: ignore[misc]
        )
        if allowed and grant_type == _DEVICE_CODE_GRANT and _device_grant(request) is None:
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
            request.resource = _resolve(request, None)
        except IssuanceError as error:
            _fail(error, request)
        return super()._create_authorization_code(request, code, expires)  # type: ignore[misc]

    def _check_and_set_request_resource(self, request: Request) -> None:
        # The generator has done it already, and more strictly. Other tokens than ours keep the toolkit's rules.
        if _GRANTED not in vars(request):
            super()._check_and_set_request_resource(request)  # type: ignore[misc]

    def _create_refresh_token(self, request: Request, *args: Any) -> Any:
        # A refresh token keeps what was granted; this access token may be for less (RFC 8707 §2.2).
        narrowed = vars(request).get("resource")
        request.resource = vars(request).get(_GRANTED, narrowed)
        try:
            return super()._create_refresh_token(request, *args)  # type: ignore[misc]
        finally:
            request.resource = narrowed

    def _set_token_value(self, token_instance: Any, raw_token: str) -> None:
        if isinstance(raw_token, IssuedAccessToken):
            # The toolkit counts the lifetime from a later moment than the token does.
            token_instance.expires = _as_datetime(raw_token.expires_at)
        super()._set_token_value(token_instance, str(raw_token))  # type: ignore[misc]

    def _save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> Any:
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
        if not token or not _claims_to_be_ours(token):
            return bool(super().validate_bearer_token(token, scopes, request))  # type: ignore[misc]
        row = None
        try:
            _verify_own(token)
            row = self._load_access_token(token)  # type: ignore[attr-defined]
            _check_row(row, request)
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


def _device_grant(request: Request) -> Any:
    """The device grant of a token request, if it belongs to the client that asks."""
    grants = get_device_grant_model().objects
    return grants.filter(device_code=request.device_code, client_id=request.client.client_id).first()


def _as_datetime(seconds: int) -> datetime:
    instant = datetime.fromtimestamp(seconds, tz=UTC)
    return instant if django_settings.USE_TZ else timezone.make_naive(instant)


def _claims_to_be_ours(token: str) -> bool:
    """Whether a token says that it is an ``at+jwt`` of this issuer, without believing it."""
    try:
        jws = CompactJws.split(token, max_bytes=app_settings().max_token_bytes)
        typ = jws.header.get("typ")
        issuer = decode_object(jws.payload, RejectionReason.BAD_CLAIMS).get("iss")
    except TokenRejected:
        return False
    return isinstance(typ, str) and typ.lower() in ACCEPTED_TYPES and issuer == local_issuer()


def _verify_own(token: str) -> None:
    settings = app_settings()
    verify_with_current_keys(
        token,
        keys=key_store,
        # The audience is looked at below, together with the address of the view that the token was sent to.
        expected=Expectations(
            issuer=local_issuer(), audiences=None, leeway=settings.leeway, max_bytes=settings.max_token_bytes
        ),
        now=time.time(),
    )


def _check_row(row: Any, request: Request) -> None:
    if row is None:
        raise TokenRejected(RejectionReason.REVOKED, "no row holds this token any more")
    if row.user is not None and not row.user.is_active:
        raise TokenRejected(RejectionReason.INACTIVE_SUBJECT, "the user is not active")
    if row.application is not None and not row.application.is_usable(request):
        raise TokenRejected(RejectionReason.REVOKED, "the client is not usable any more")
    address = (getattr(request, "uri", None) or "").split("?")[0]
    if not _is_own_endpoint(address) and not row.allows_audience(address):
        raise TokenRejected(RejectionReason.WRONG_AUDIENCE, "no resource of the token covers this address")


def _is_own_endpoint(address: str) -> bool:
    """Whether an address is one of the issuer's own endpoints, which take each of its tokens: a scope decides there."""
    return urlsplit(address).path in {path for name in _OWN_ENDPOINTS if (path := _path_of(name))}


def _path_of(name: str) -> str | None:
    try:
        return reverse(f"oauth2_provider:{name}")
    except NoReverseMatch:
        return None
