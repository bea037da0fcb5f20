"""Count what a revocation would end, without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Q
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.models.primary import primary_rows

from .authorizations import live_authorizations_of_client, live_authorizations_of_users
from .issued_tokens import access_tokens_of
from .rows import access_tokens_of_users, access_tokens_with, in_batches, of_users

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_at_jwt.models import Authorization, IssuedToken


class TokenCounts(NamedTuple):
    """Numbers of authorizations that have not ended, unexpired access tokens and live refresh tokens."""

    authorizations: int = 0
    access_tokens: int = 0
    refresh_tokens: int = 0


def tokens_of_users(users: Iterable[Any], model: Any) -> TokenCounts:
    """Count what :func:`~.revoke.revoke_users` would end."""
    counts = TokenCounts()
    for batch in in_batches(users):
        of_batch = _counted(
            live_authorizations_of_users(batch, model).count(),
            access_tokens=access_tokens_of_users(batch),
            refresh_tokens=of_users(get_refresh_token_model(), batch),
        )
        counts = TokenCounts(*map(sum, zip(counts, of_batch, strict=True)))
    return counts


def tokens_of_client(client: Any) -> TokenCounts:
    """Count what :func:`~.revoke.revoke_client` would end."""
    own = Q(application=client.pk)
    return _counted(live_authorizations_of_client(client).count(), access_tokens=own, refresh_tokens=own)


def tokens_of_authorization(row: Authorization) -> TokenCounts:
    """Count what :func:`~.revoke.revoke_authorization` would end."""
    if row.ended_at is not None:
        return TokenCounts()
    of_family = Q(token_family=row.family) if row.family else Q(pk__in=[])
    access_tokens = access_tokens_of(row) | Q(pk__in=access_tokens_with(of_family))
    return _counted(1, access_tokens=access_tokens, refresh_tokens=of_family)


def tokens_of_link(link: IssuedToken) -> TokenCounts:
    """Count what :func:`~.revoke.revoke_token` would end."""
    if not link.access_token:
        return TokenCounts(access_tokens=1)
    own = Q(access_token=link.access_token)
    return _counted(0, access_tokens=Q(pk=link.access_token), refresh_tokens=own)


def _counted(authorizations: int, *, access_tokens: Q, refresh_tokens: Q) -> TokenCounts:
    rows = primary_rows(get_access_token_model()).filter(access_tokens, expires__gt=timezone.now())
    live = primary_rows(get_refresh_token_model()).filter(refresh_tokens, revoked__isnull=True)
    return TokenCounts(authorizations, rows.count(), live.count())
