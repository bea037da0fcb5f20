"""Accept access tokens on the authorization server's own endpoints and on views that DOT protects."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from django.db import Error as AnyDatabaseError
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.models import get_access_token_model
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.errors import InsufficientScopeError

from django_at_jwt.authorization_server.clients import stored_client
from django_at_jwt.authorization_server.endpoint_urls import TOOLKIT_VIEWS, is_endpoint, mounted_views
from django_at_jwt.authorization_server.keys.local import local_keys
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.authorization_server.revocation.issued_tokens import stored_link
from django_at_jwt.conf import app_settings, audiences_of_view, local_issuer
from django_at_jwt.core.bearer import INSUFFICIENT_SCOPE, INVALID_TOKEN
from django_at_jwt.core.errors import KeysUnavailable, RejectionReason, RevocationUnavailable, TokenRejected
from django_at_jwt.core.jose.jws import CompactJws
from django_at_jwt.core.profile import check_type
from django_at_jwt.core.quotation import single_line
from django_at_jwt.core.token_id import is_unstored
from django_at_jwt.core.verifier import Expectations, verify_with_current_keys
from django_at_jwt.events import AccessTokenRejected, emit
from django_at_jwt.models.authorization import credential_hash
from django_at_jwt.models.instants import as_datetime
from django_at_jwt.models.primary import primary_rows

from .opaque_token import authorization_of_row, check_holders, check_kind, claims_of_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django_at_jwt.core.profile import AccessTokenClaims

_OWN_ENDPOINTS: Final = ("user-info", "introspect", "dcr-register")


class BearerTokenMixin:
    """Validates access tokens on the authorization server's own endpoints and on views that DOT protects.

    Attributes:
        audience: the identifier of the API that tokens must be for, or several, of which one suffices; ``None`` to
            compare with the request's address or, if it has none, with the project's own identifiers. The issuer's own
            endpoints accept tokens for any API.
    """

    audience: str | Sequence[str] | None = None

    @sensitive_variables()
    def validate_jwt_bearer_token(self, token: str, scopes: Sequence[str], request: Request) -> bool:
        """Validate a JWT as an access token; ID tokens are rejected (RFC 9068 section 5)."""
        return self.validate_bearer_token(token, scopes, request)

    @sensitive_variables()
    def validate_bearer_token(self, token: str, scopes: Sequence[str], request: Request) -> bool:
        """Return whether the token is valid, has the scopes and is for this API; set the request's user and client.

        An ``at+jwt`` token of this issuer is verified, and must have a row if its ``jti`` says that one was stored: one
        without was revoked or replaced by a refresh. Other tokens are left to DOT, except tokens with resources if an
        audience is expected, or at the issuer's own endpoints: DOT would compare them with the request's address only.
        The deny list applies to all.

        Args:
            token: the access token, without the scheme.
            scopes: the scopes that the token must have, all of them.
            request: the request; its ``uri`` may be empty, as for a WebSocket. The audience never depends on the
                request's parameters.

        Raises:
            InsufficientScopeError: at DOT's userinfo view, the token lacks the scope.
        """
        if not token:
            return super().validate_bearer_token(token, scopes, request)  # type: ignore[misc]
        try:
            with _rejecting_in_outages(request):
                accepted = self._validate_access_token(token, scopes, request)
        except TokenRejected as rejected:
            emit(AccessTokenRejected(where="issuer", reason=rejected.reason, detail=rejected.detail))
            request.oauth2_error = {"error": INVALID_TOKEN, "error_description": "The access token is invalid."}
            return False
        if not accepted and _lacks_scope(request) and _is_to_userinfo_view(request):
            # oauthlib would answer that the token is invalid. A site's own view gets False, as from DOT.
            raise InsufficientScopeError(request=request)
        return accepted

    @sensitive_variables()
    def _validate_access_token(self, token: str, scopes: Sequence[str], request: Request) -> bool:
        audiences = self._expected_audiences(request)
        row: Any = None
        claims = verify_own(token) if claims_to_be_ours(token) else None
        if claims is not None:
            row = self._load_access_token(token) or _unstored_row(claims, token)  # type: ignore[attr-defined]
        elif audiences is not None or _is_own_endpoint(request):
            row = self._load_access_token(token)  # type: ignore[attr-defined]
        if claims is None and (row is None or not row.resource):
            if not super().validate_bearer_token(token, scopes, request):  # type: ignore[misc]
                return False
            check_kind(request.access_token)
            _check_deny_list(None, request.access_token, request, audiences)
            return True
        check_holders(row, request)
        _check_audience(row, request, audiences)
        _check_deny_list(claims, row, request, audiences)
        if not row.is_valid(scopes):
            self._set_oauth2_error_on_request(request, row, scopes)  # type: ignore[attr-defined]
            return False
        request.client = row.application
        request.user = row.user
        request.scopes = list(row.scopes)
        request.access_token = row
        return True

    def _expected_audiences(self, request: Request) -> tuple[str, ...] | None:
        """Return the identifiers that tokens may be for, or ``None`` to compare with the request's address."""
        if _is_own_endpoint(request):
            return None
        if self.audience is not None or urlsplit(_address_of(request)).netloc:
            return None if self.audience is None else audiences_of_view(self.audience)
        # Without a default resource, an empty tuple rejects all tokens.
        return app_settings().audience or tuple(registry.current().or_default(None))


def claims_to_be_ours(token: str) -> bool:
    """Return whether a token claims to be an ``at+jwt`` of this issuer. Nothing is verified."""
    try:
        jws = CompactJws.split(token, max_bytes=app_settings().max_token_bytes)
        check_type(jws.header)
        return bool(jws.claims.get("iss") == local_issuer())
    except TokenRejected:
        return False


@contextmanager
def _rejecting_in_outages(request: Request) -> Iterator[None]:
    """Reject a token that cannot be checked, except at the issuer's own endpoints, which answer 503.

    DOT's other views cannot answer 503. Rejecting is safe, and the reason is logged.

    Raises:
        TokenRejected: the keys or the deny list cannot be read.
    """
    try:
        yield
    except (KeysUnavailable, RevocationUnavailable) as error:
        if _is_own_endpoint(request):
            raise
        is_key = isinstance(error, KeysUnavailable)
        reason = RejectionReason.UNKNOWN_KEY if is_key else RejectionReason.UNKNOWN_REVOCATION
        raise TokenRejected(reason, str(error)) from None


def verify_own(token: str) -> AccessTokenClaims:
    """Verify a token of this issuer, and return its claims. Not checked: the audience, the row and the deny list.

    Raises:
        TokenRejected: the token must not be accepted.
        KeysUnavailable: the keys cannot be read.
    """
    settings = app_settings()
    return verify_with_current_keys(
        token,
        keys=local_keys(),
        # _check_audience() checks the audience, together with the address of the request.
        expected=Expectations(
            issuer=local_issuer(), audiences=None, leeway=settings.leeway, max_bytes=settings.max_token_bytes
        ),
        now=time.time(),
    )


def _check_deny_list(
    claims: AccessTokenClaims | None, row: Any, request: Request, audiences: tuple[str, ...] | None
) -> None:
    """Check that the deny list does not name a token; ``claims`` is ``None`` for an opaque one.

    Raises:
        TokenRejected: it does.
        RevocationUnavailable: the list cannot be read.
    """
    checked = claims or claims_of_row(row)
    if audiences is not None:
        # DOT accepts a row without resources for any API.
        checked = checked.limited_to(frozenset(audiences)) if checked.audience else checked._replace(audience=audiences)
    elif not _is_own_endpoint(request):
        checked = checked._replace(audience=_covering(row.resource or (), _address_of(request)) or checked.audience)
    deny_list.check(checked)
    if claims is None:
        deny_list.check_authorization(lambda: authorization_of_row(row))


def _covering(resources: Sequence[str], address: str) -> tuple[str, ...]:
    """Return the resources that cover an address, as DOT compares them."""
    covers = oauth2_settings.RESOURCE_SERVER_TOKEN_RESOURCE_VALIDATOR
    return tuple(each for each in resources if covers is None or covers(address, [each]))


@sensitive_variables()
def unstored_claims(token: str) -> AccessTokenClaims | None:
    """Return the claims of a valid token of this issuer for which no row was stored; ``None`` for any other token.

    Raises:
        KeysUnavailable: the keys cannot be read.
    """
    try:
        claims = verify_own(token) if claims_to_be_ours(token) else None
    except TokenRejected:
        return None
    return claims if claims is not None and is_unstored(claims.token_id) else None


@sensitive_variables()
def _unstored_row(claims: AccessTokenClaims, token: str) -> Any:
    """Return an unsaved row for a token that was issued without one, or ``None`` if its row is gone.

    Raises:
        TokenRejected: the client or the user does not exist.
    """
    if not is_unstored(claims.token_id):
        return None
    application = stored_client(claims.client_id)
    if application is None:
        raise TokenRejected(RejectionReason.REVOKED, "the client was deleted")
    user = None
    if not claims.is_machine:
        user = import_string(app_settings().local_subject_lookup)(claims, token)
        if user is None:
            raise TokenRejected(RejectionReason.UNKNOWN_SUBJECT, "no user has this identifier")
    return get_access_token_model()(
        user=user,
        application=application,
        token=token,
        scope=claims.scope,
        resource=list(claims.audience),
        expires=as_datetime(int(claims.expires_at)),
    )


@sensitive_variables()
def live_row(claims: AccessTokenClaims, token: str) -> Any:
    """Return the row of a verified token of this issuer; an unsaved one if its ``jti`` says that none was stored.

    A row is found by the hash of the token or, if the token has another valid signature, by its ``jti``.

    Raises:
        TokenRejected: the row is gone or has expired, the user is inactive, or the client is not usable.
    """
    row = _unstored_row(claims, token) or _stored_row(claims, token)
    _check_live(row)
    return row


@sensitive_variables()
def _stored_row(claims: AccessTokenClaims, token: str) -> Any:
    rows = primary_rows(get_access_token_model()).select_related("application", "user")
    row = rows.filter(token_checksum=credential_hash(token)).first()
    if row is None:
        link = stored_link(claims.token_id)
        row = rows.filter(pk=link.access_token).first() if link is not None and link.access_token else None
    return row


@sensitive_variables()
def issued_row(token: str) -> Any:
    """Return the row of a token that was just issued: its own, or that of its authorization, or an unsaved one.

    Raises:
        AccessToken.DoesNotExist: another request has deleted the row.
        TokenRejected: another request has deleted the client.
    """
    claims = unstored_claims(token)
    if claims is None:
        return get_access_token_model().objects.get(token_checksum=credential_hash(token))
    return _stored_row(claims, token) or _unstored_row(claims, token)


@sensitive_variables()
def check_stored(token: str) -> None:
    """Check that a verified token has a live row, its user is active, and its client is usable, in one query.

    Raises:
        TokenRejected: a check fails.
        RevocationUnavailable: the row cannot be read.
    """
    rows = primary_rows(get_access_token_model()).select_related("application", "user")
    try:
        row: Any = rows.filter(token_checksum=credential_hash(token)).first()
    except AnyDatabaseError as error:
        raise RevocationUnavailable(f"the row of an access token cannot be read: {single_line(error)}") from error
    _check_live(row)


def _check_live(row: Any) -> None:
    check_holders(row, Request(""))
    if row.is_expired():
        raise TokenRejected(RejectionReason.REVOKED, "the row of the token has expired")


def _check_audience(row: Any, request: Request, audiences: tuple[str, ...] | None) -> None:
    """Check that a token is for one of the audiences; if they are ``None``, that it covers the request's address.

    Raises:
        TokenRejected: it does not.
    """
    if audiences is not None:
        if not set(audiences).intersection(row.resource or ()):
            api = " or ".join(audiences) or "any API here"
            raise TokenRejected(RejectionReason.WRONG_AUDIENCE, f"the token is not for {api}")
        return
    if not _is_own_endpoint(request) and not row.allows_audience(_address_of(request)):
        detail = "no resource of the token is a prefix of the request's address; compare scheme, host, port and path"
        raise TokenRejected(RejectionReason.WRONG_AUDIENCE, detail)


def _lacks_scope(request: Request) -> bool:
    error = getattr(request, "oauth2_error", None) or {}
    return bool(error.get("error") == INSUFFICIENT_SCOPE)


def _is_to_userinfo_view(request: Request) -> bool:
    path = unquote(urlsplit(_address_of(request)).path)
    return any(view.answers_at(path) for view in mounted_views(TOOLKIT_VIEWS["user-info"]))


def _address_of(request: Request) -> str:
    """Return the request's address without its query, or an empty string."""
    return (getattr(request, "uri", None) or "").split("?")[0]


def _is_own_endpoint(request: Request) -> bool:
    """Return whether a request is to one of the issuer's own endpoints, which check a scope and not the audience."""
    return is_endpoint(_address_of(request), *_OWN_ENDPOINTS)
