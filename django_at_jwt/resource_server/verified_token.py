"""Verification of a token with this project's settings, for code that is not a Django REST framework view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.views.decorators.debug import sensitive_variables

from django_at_jwt.conf import audiences_of_view
from django_at_jwt.core.errors import KeysUnavailable, ReadNeeded, RevocationUnavailable, TokenRejected
from django_at_jwt.events import AccessTokenRejected, AccessTokenUnverifiable, emit
from django_at_jwt.inbound.connections import without_broken_connections

from .access_token import AccessToken
from .revocation import revocation_of_view
from .users.resolution import principal_for, principal_in_memory
from .verification import verify_token, verify_token_in_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_at_jwt.core.revocation import Revocation


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifiedToken:
    """A verified access token and its principal.

    Attributes:
        auth: the token, as ``request.auth`` in Django REST framework.
        user: as ``request.user``: the site's user, a ``TokenPrincipal`` in stateless mode, or a ``MachinePrincipal``
            for a client that acts for itself.
    """

    auth: AccessToken
    user: Any


@sensitive_variables()
def verify(token: str, *, audience: str | Sequence[str] | None = None, revocation: str | None = None) -> VerifiedToken:
    """Verify an access token with the settings of this Django project, as the authentication class does.

    In an event loop, call :func:`averify`.

    Args:
        token: what followed ``Bearer``.
        audience: the value that ``aud`` must contain, or several, of which one suffices; ``None`` for the audience in
            the settings.
        revocation: how the token is checked for revocation; ``None`` for the settings. See
            :class:`~django_at_jwt.rest_framework.AccessTokenAuthentication`.

    Raises:
        TokenRejected: the token must not be accepted: 401. ``reason`` and ``detail`` are for the log.
        KeysUnavailable: the issuer's keys are not available: 503.
        RevocationUnavailable: whether the token was revoked, or its user deactivated, cannot be found out: 503.
        ImproperlyConfigured: no issuer or audience is configured, or ``revocation`` is unknown.

    Not checked: scopes.
    """
    return _verified(token, audiences_of_view(audience), revocation_of_view(revocation))


@sensitive_variables()
async def averify(
    token: str, *, audience: str | Sequence[str] | None = None, revocation: str | None = None
) -> VerifiedToken:
    """Verify as :func:`verify`, in an event loop.

    Runs without a thread if the token is valid, and the check needs neither a query nor a request: the keys and the
    deny list in memory are recent, and the principal has no row. Otherwise it runs in Django's thread for queries.

    Raises:
        TokenRejected, KeysUnavailable, RevocationUnavailable, ImproperlyConfigured: as :func:`verify`.
    """
    audiences, how = audiences_of_view(audience), revocation_of_view(revocation)
    try:
        claims = verify_token_in_memory(token, audiences, how)
        return VerifiedToken(auth=AccessToken(claims), user=principal_in_memory(claims))
    except (ReadNeeded, TokenRejected):
        # Receivers of the event of a rejection may make queries, so it is emitted in the thread.
        pass
    return await sync_to_async(without_broken_connections(_verified))(token, audiences, how)


@sensitive_variables()
def _verified(token: str, audiences: tuple[str, ...], revocation: Revocation | None) -> VerifiedToken:
    try:
        claims = verify_token(token, audiences, revocation)
        user = principal_for(claims, token)
    except (KeysUnavailable, RevocationUnavailable, TokenRejected) as error:
        report(error)
        raise
    return VerifiedToken(auth=AccessToken(claims), user=user)


def report(error: KeysUnavailable | RevocationUnavailable | TokenRejected) -> None:
    """Emit the event of a token that an API did not accept."""
    if isinstance(error, TokenRejected):
        emit(AccessTokenRejected(where="api", reason=error.reason, detail=error.detail))
    else:
        missing = "keys" if isinstance(error, KeysUnavailable) else "revocation"
        emit(AccessTokenUnverifiable(missing=missing, detail=str(error)))
