"""The authorization of an oauthlib request: chosen before its token is signed, and stored together with it."""

from __future__ import annotations

import math
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, router, transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone
from oauth2_provider.models import get_access_token_model
from oauthlib.oauth2 import InvalidGrantError

from django_at_jwt.authorization_server.issuance import IssuedAccessToken
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.revocation.entries import deny_tokens
from django_at_jwt.authorization_server.revocation.revoke import end_authorizations, one_transaction
from django_at_jwt.conf import access_token_lifetime
from django_at_jwt.core.grant_types import CLIENT_CREDENTIALS
from django_at_jwt.core.login import AuthenticationEvent
from django_at_jwt.core.token_id import is_unstored
from django_at_jwt.events import CredentialReused, emit
from django_at_jwt.models import Authorization, IssuedToken
from django_at_jwt.models.authorization import FIRST_TOKEN_FIELDS, EndReason, credential_hash, reference_to
from django_at_jwt.models.instants import as_datetime
from django_at_jwt.models.primary import primary_rows

from .opaque_token import opaque_token_id
from .request import (
    AUTHENTICATION,
    AUTHORIZATION,
    GRANTED,
    LATE_LINK,
    LINK,
    is_authorization_request,
    stored,
    token_grant,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from oauthlib.common import Request

    from django_at_jwt.core.profile import AccessTokenClaims


class CodeReplayed(InvalidGrantError):
    """Another request has exchanged the code."""


def attach_authorization(request: Request, authorization: Authorization | None) -> None:
    """Store the authorization of an earlier request, and its login, on this request."""
    setattr(request, AUTHORIZATION, authorization)
    kept = None if authorization is None else authorization.authentication
    # That the login is in the past was checked when it was recorded.
    setattr(request, AUTHENTICATION, AuthenticationEvent.from_session(kept, now=math.inf))


def authorization_of(request: Request) -> Authorization | None:
    """Return the authorization of a request: that of the code, device code or refresh token, else a new, unsaved one.

    ``None`` if the client acts for itself. Both tokens of a hybrid flow get the same authorization.
    """
    user = stored(request, "user")
    if user is None or token_grant(request) == CLIENT_CREDENTIALS:
        return None
    authorization: Authorization | None = stored(request, AUTHORIZATION)
    if authorization is None:
        event: AuthenticationEvent | None = stored(request, AUTHENTICATION)
        authorization = Authorization(authentication=None if event is None else event.to_session())
        setattr(request, AUTHORIZATION, authorization)
    authorization.set_client(request.client)
    authorization.set_user(user)
    return authorization


def is_unstored_token(access_token: object) -> bool:
    """Return whether an access token that was just issued gets no row. Opaque tokens always get one."""
    return isinstance(access_token, IssuedAccessToken) and is_unstored(access_token.token_id)


def expiry_of(token: Mapping[str, Any]) -> datetime:
    """Return when the access token of a token response expires."""
    raw = token["access_token"]
    if isinstance(raw, IssuedAccessToken):
        # DOT would count the lifetime from a later moment than ``iat``.
        return as_datetime(raw.expires_at)
    return timezone.now() + timedelta(seconds=token.get("expires_in", access_token_lifetime()))


def store_first_token(request: Request, token: Mapping[str, Any], *, code: str | None) -> bool:
    """Store the authorization of the request with its first access token, as :func:`store_authorization` does.

    The link of a JWT is stored in the same statement. That of a token that comes before its code, in a hybrid flow, is
    not: the one that the code is exchanged for is the first.

    Args:
        token: the token response.
        code: the authorization code or device code that is exchanged for it.
    """
    authorization, raw, expires_at = authorization_of(request), token["access_token"], expiry_of(token)
    is_before_code = is_authorization_request(request) and "code" in request.response_type.split()
    if authorization is not None and isinstance(raw, IssuedAccessToken) and not is_before_code:
        authorization.first_token_id, authorization.first_token_kid = raw.token_id, raw.kid
        authorization.first_token_checksum, authorization.first_token_expires_at = raw.row_checksum, expires_at
    return store_authorization(request, expires_at=expires_at, code=code)


def store_authorization(request: Request, *, expires_at: datetime, code: str | None = None) -> bool:
    """Store that an access token of the request's authorization was issued, in one statement.

    The row stays locked until the end of the transaction. Lock it before the rows of codes, device codes and tokens:
    so does everything that ends an authorization.

    Args:
        expires_at: when the token expires.
        code: the authorization code or device code that is exchanged for it.

    Returns:
        Whether the authorization may have the token: ``False`` if it has ended or its code was exchanged before. The
        caller then raises an error that rolls back the transaction.
    """
    authorization = authorization_of(request)
    if authorization is None:
        return True
    now = timezone.now()
    authorization.last_token_at = now.replace(minute=0, second=0, microsecond=0)
    if code is not None:
        authorization.code_used_at = now
    if authorization._state.adding:
        authorization.code_hash = None if code is None else credential_hash(code)
        authorization.scopes = " ".join(request.scopes or ())
        authorization.resources = list(stored(request, GRANTED) or stored(request, "resource") or ())
        authorization.tokens_expire_at = authorization.expires_at = expires_at
        try:
            authorization.save(force_insert=True)
        except IntegrityError:
            if code is None:
                raise
            # Another request has stored the authorization of this code.
            return False
        return True
    same = primary_rows(Authorization).filter(pk=authorization.pk, ended_at__isnull=True)
    changed = ["last_token_at", "family", "user_model", "user_key", "client_model", "client_key"]
    if code is not None:
        same = same.filter(code_used_at__isnull=True)
        changed += ["code_used_at", *FIRST_TOKEN_FIELDS]
    # Consent stays valid when an API moves to a new identifier.
    resources = registry.current().registered(authorization.resources)
    if resources != authorization.resources:
        authorization.resources = resources
        changed.append("resources")
    # An earlier token may expire later, for instance if it is for another API.
    later = Case(When(tokens_expire_at__gt=expires_at, then=F("tokens_expire_at")), default=Value(expires_at))
    return bool(same.update(tokens_expire_at=later, **{name: getattr(authorization, name) for name in changed}))


def link_token(request: Request, row: Any, token: Mapping[str, Any]) -> None:
    """Store which ``jti``, signing key and authorization the row of an access token has, unless it is the first one."""
    raw, authorization = token["access_token"], authorization_of(request)
    is_signed = isinstance(raw, IssuedAccessToken)
    is_first = is_signed and authorization is not None and authorization.first_token_id == raw.token_id
    # A site may store another value than the token, and so another checksum.
    if is_first and row.token_checksum == raw.row_checksum:
        return
    # A refresh hands on the link of the access token that it replaces.
    link: IssuedToken = stored(request, LINK) or IssuedToken()
    link.access_token = str(row.pk)
    link.token_id, link.kid = (raw.token_id, raw.kid) if is_signed else (opaque_token_id(row), "")
    link.authorization = "" if authorization is None else authorization.identifier
    link.has_refresh_token = bool(token.get("refresh_token"))
    link.expires_at = row.expires
    if link.pk is not None:
        link.save()
    elif authorization is not None or _is_one_database():
        link.insert()
    else:
        # The link is the only row in its database, so no transaction includes it and its token. If it were stored
        # before and the token were not, SQLite would give the token's primary key to another token.
        setattr(request, LATE_LINK, link)


def _is_one_database() -> bool:
    return router.db_for_write(Authorization) == router.db_for_write(get_access_token_model())


def store_code(request: Request, code: str, *, scopes: Sequence[str], expires_at: datetime) -> None:
    """Store the authorization that a code is issued for."""
    authorization = authorization_of(request)
    if authorization is None:
        return
    authorization.code_hash = credential_hash(code)
    authorization.scopes, authorization.resources = " ".join(scopes), list(stored(request, "resource"))
    # In a hybrid flow, the row of the access token that comes with the code may expire later.
    expiries = (expires_at, authorization.tokens_expire_at)
    authorization.expires_at = max(each for each in expiries if each is not None)
    authorization.save()


def end_replayed_code(code: str, client: Any) -> None:
    """End the authorization of a code that the client has exchanged before (RFC 6749 section 4.1.2)."""
    model, key = reference_to(client)
    rows = primary_rows(Authorization).filter(
        code_hash=credential_hash(code), client_model=model, client_key=key, ended_at__isnull=True
    )
    with one_transaction():
        # A locking read also sees what was committed since this transaction began, and waits for an exchange that has
        # committed in the database of the grant, but not yet here.
        used = [row for row in rows.select_for_update() if row.code_used_at is not None]
        ended = end_authorizations(used, reason=EndReason.CODE_REPLAYED)
    if ended:
        emit(CredentialReused(credential="code", client_id=client.client_id))


def end_unstored(claims: AccessTokenClaims) -> None:
    """End the authorization of a token without a row; if the client acts for itself, deny the token."""
    identifier = claims.token_id.partition(".")[0]
    with one_transaction():
        if identifier:
            rows = primary_rows(Authorization).filter(identifier=identifier)
            end_authorizations(rows, reason=EndReason.TOKEN_REVOKED)
        else:
            expiry = as_datetime(math.ceil(claims.expires_at))
            deny_tokens([(claims.token_id, expiry)], reason=EndReason.TOKEN_REVOKED)


def transaction_of(authorization: Authorization | None) -> AbstractContextManager[None]:
    """Return the transaction that stores an authorization, if it is in another database than its tokens.

    Entered before the transaction that DOT opens for the tokens, it ends after it, so that the authorization is locked
    until the tokens are stored. If they are not stored, no authorization is left that would count as consent.
    """
    if authorization is None or _is_one_database():
        return nullcontext()
    return transaction.atomic(using=router.db_for_write(Authorization))
