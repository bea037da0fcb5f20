"""Token introspection: which tokens are active, and which clients may ask about them (RFC 7662)."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from django.views.decorators.debug import sensitive_variables

from django_at_jwt.conf import app_settings, local_issuer, register_process_cache
from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.introspection import INACTIVE, active_response
from django_at_jwt.core.jose.jws import CompactJws
from django_at_jwt.core.profile import check_type
from django_at_jwt.core.quotation import quote
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.token_id import is_unstored
from django_at_jwt.core.verifier import Expectations
from django_at_jwt.events import AccessTokenRejected, emit
from django_at_jwt.models import Authorization, IntrospectionClient
from django_at_jwt.models.primary import primary_rows

from .oauthlib_bridge.bearer import live_row, verify_own
from .oauthlib_bridge.opaque_token import authorization_of_row, read_stored_token
from .resource_servers import registry
from .revocation.deny_list import deny_list
from .row_cache import RowCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_at_jwt.core.profile import AccessTokenClaims
    from django_at_jwt.core.resource_servers import ResourceServerConfig

logger = logging.getLogger("django_at_jwt")


def _read_clients(database: str) -> frozenset[str]:
    return frozenset(IntrospectionClient.objects.using(database).values_list("client_id", flat=True))


_all_tokens_clients: Final = RowCache(IntrospectionClient, _read_clients)
register_process_cache(_all_tokens_clients.clear)


@sensitive_variables()
def introspect(token: str, *, caller: str) -> dict[str, Any]:
    """Return the introspection response for a token (RFC 7662 section 2.2).

    A token that is not active, and one that the caller may not ask about, get the same answer. A client may ask about
    its own tokens and about those of the APIs that name it in ``introspection_clients``; clients in
    ``AT_JWT["INTROSPECTION_CLIENTS"]`` and in the admin's list may ask about all.

    Args:
        token: the ``token`` parameter, which may be anything.
        caller: the ``client_id`` of the authenticated client.

    Raises:
        KeysUnavailable: the issuer's keys cannot be read.
        RevocationUnavailable: the deny list cannot be read.
        django.db.Error: a row cannot be read.
    """
    try:
        claims, row = _live_access_jwt(token) if _is_access_jwt(token) else _live_stored_token(token)
        servers = list(_servers_left(claims))
        if not servers:
            raise TokenRejected(RejectionReason.WRONG_AUDIENCE, "no audience of the token is an enabled API")  # noqa: TRY301
    except TokenRejected as rejected:
        emit(AccessTokenRejected(where="introspection", reason=rejected.reason, detail=rejected.detail))
        return dict(INACTIVE)
    if not _may_ask(caller, claims, servers):
        logger.info("A token was introspected by client %s, which may not ask about it", quote(caller))
        return dict(INACTIVE)
    return active_response(claims.raw, username=_username(row.user))


def _username(user: Any) -> str | None:
    # A swapped model for the user of tokens need not have a username.
    get_username = getattr(user, "get_username", None)
    return None if get_username is None else str(get_username())


def _is_access_jwt(token: str) -> bool:
    """Return whether a token has the form of an ``at+jwt``. Nothing is verified."""
    try:
        check_type(CompactJws.split(token, max_bytes=app_settings().max_token_bytes).header)
    except TokenRejected:
        return False
    return True


@sensitive_variables()
def _live_access_jwt(token: str) -> tuple[AccessTokenClaims, Any]:
    """Return the claims and the row of an ``at+jwt`` of this issuer. The row is unsaved if none was stored.

    Raises:
        TokenRejected: the token is invalid, expired or revoked, its user is inactive, or its client not usable.
    """
    claims = verify_own(token)
    if claims.expires_at <= time.time():
        # Leeway is for the clocks of others.
        raise TokenRejected(RejectionReason.EXPIRED, "exp has passed")
    deny_list.check(claims)
    row = live_row(claims, token)
    identifier, dot, _ = claims.token_id.partition(".")
    if identifier and is_unstored(claims.token_id):
        # The deny list may not know it yet.
        if primary_rows(Authorization).filter(identifier=identifier, ended_at__isnull=False).exists():
            raise TokenRejected(RejectionReason.REVOKED, "the authorization of the token has ended")
    elif not dot:
        # From before the format of jti, which contains the authorization.
        deny_list.check_authorization(lambda: authorization_of_row(row))
    return claims, row


@sensitive_variables()
def _live_stored_token(token: str) -> tuple[AccessTokenClaims, Any]:
    """Return the claims and the row of an opaque token.

    Raises:
        TokenRejected: as for a JWT.
    """
    expected = Expectations(issuer=local_issuer(), audiences=None, leeway=0, max_bytes=app_settings().max_token_bytes)
    return read_stored_token(token, expected=expected, now=time.time(), revocation=Revocation.ROW)


def _servers_left(claims: AccessTokenClaims) -> Iterator[ResourceServerConfig]:
    """Yield the APIs that accept a token: enabled ones for which it was not revoked."""
    known = registry.knowing(claims.audience)
    for identifier in claims.audience:
        # A token from before its API moved contains the former identifier.
        server = known.named(identifier)
        if server is None or not server.enabled:
            continue
        try:
            deny_list.check(claims.limited_to(frozenset({identifier})))
        except TokenRejected:
            continue
        yield server


def _may_ask(caller: str, claims: AccessTokenClaims, servers: list[ResourceServerConfig]) -> bool:
    return (
        caller == claims.client_id
        or any(caller in server.introspection_clients for server in servers)
        or caller in app_settings().introspection_clients
        or caller in _all_tokens_clients.current()
    )
