"""Tokens, clients and users affected by a compromised signing key."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import gettext
from oauth2_provider.models import get_access_token_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.client_options import some_tokens_are_unstored
from django_at_jwt.authorization_server.revocation.rows import access_token_keys, in_batches, values_for
from django_at_jwt.models import Authorization, IssuedToken
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from django_at_jwt.core.key_lifecycle import KeyTimes


# Above this number, a page only shows how many tokens there can be: an exact count reads the row of each token.
COUNTED_AT_ONCE: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class AffectedTokens:
    """Live tokens that a key has signed or may have signed, and their clients and users.

    The link of each token names its key. A token from before links did so may have been signed by any key.

    Attributes:
        is_exact: whether the tokens were counted with their clients and users. Otherwise, ``tokens`` includes revoked
            and replaced ones, and ``clients`` and ``users`` are empty.
        tokens: number of tokens.
        unproven: number of unexpired tokens whose key is unknown, revoked ones included.
        clients: pairs of a client's name and its number of tokens.
        users: number of users.
        last_expires_at: when the last of the tokens would expire, revoked ones included, or ``None`` if there are none.
        replaced_without_rows: whether there may be more, because refresh tokens are not rotated: a refresh overwrites
            the row of the previous access token, which stays valid until it expires.
        issued_without_rows: whether there may be more, because some access tokens are issued without a row.
    """

    is_exact: bool = True
    tokens: int
    unproven: int
    clients: tuple[tuple[str, int], ...] = ()
    users: int = 0
    last_expires_at: datetime | None
    replaced_without_rows: bool
    issued_without_rows: bool

    @property
    def are_all_counted(self) -> bool:
        """Whether every live token is counted."""
        return not (self.replaced_without_rows or self.issued_without_rows)


def live_links(key: KeyTimes, now: datetime) -> QuerySet[IssuedToken]:
    """Return the links of unexpired tokens that a key has signed or may have signed, those of revoked ones included.

    The links of first tokens are not among them: see :func:`live_first_tokens`.
    """
    return _unexpired(now).filter(Q(kid=key.kid) | Q(kid__isnull=True))


def live_first_tokens(key: KeyTimes, now: datetime) -> QuerySet[Authorization]:
    """Return the authorizations whose first token is unexpired and signed by a key.

    Those that have ended, or whose first token a refresh has replaced, are among them.
    """
    return primary_rows(Authorization).filter(first_token_expires_at__gt=now, first_token_kid=key.kid)


def live_tokens(key: KeyTimes, now: datetime) -> Iterator[QuerySet[Any]]:
    """Yield the rows of unexpired access tokens that a key has signed or may have signed, each row once."""
    # The row of a revoked token has expired, but its link has not.
    rows = primary_rows(get_access_token_model()).filter(expires__gt=now)
    yield rows.filter(pk__in=access_token_keys(live_links(key, now)))
    # Not a subquery with MariaDB or MySQL, which compare columns only if both have the same collation.
    checksums = values_for(rows.model, live_first_tokens(key, now).values_list("first_token_checksum", flat=True))
    for batch in in_batches(checksums) if isinstance(checksums, list) else (checksums,):
        yield rows.filter(token_checksum__in=batch)


def count_in_indexes(key: KeyTimes, now: datetime) -> tuple[int, datetime | None]:
    """Return how many unexpired tokens a key may have signed, and when the last one expires.

    Revoked and replaced tokens are included.
    """
    links = live_links(key, now).aggregate(tokens=Count("*"), last=Max("expires_at"))
    first = live_first_tokens(key, now).aggregate(tokens=Count("*"), last=Max("first_token_expires_at"))
    expiries = (each["last"] for each in (links, first) if each["last"] is not None)
    return links["tokens"] + first["tokens"], max(expiries, default=None)


def affected_tokens(
    key: KeyTimes, now: datetime, *, last_token_expires_at: datetime | None = None, exact: bool = True
) -> AffectedTokens:
    """Count the live tokens that a key may have signed, and their clients and users.

    Args:
        last_token_expires_at: recorded expiry of the key's last token, or ``None``.
        exact: count any number of tokens exactly, which takes a second for 100,000. Otherwise, more than
            :data:`COUNTED_AT_ONCE` are only counted by indexes, without the rows of tokens.
    """
    tokens, last = count_in_indexes(key, now)
    is_exact = exact or tokens <= COUNTED_AT_ONCE
    clients, users = _clients_and_users(live_tokens(key, now)) if is_exact else ((), 0)
    expiries = (at for at in (last, last_token_expires_at) if at is not None and at > now)
    return AffectedTokens(
        is_exact=is_exact,
        tokens=sum(number for _, number in clients) if is_exact else tokens,
        unproven=_unexpired(now).filter(kid__isnull=True).count(),
        clients=clients,
        users=users,
        last_expires_at=max(expiries, default=None),
        replaced_without_rows=not oauth2_settings.ROTATE_REFRESH_TOKEN,
        issued_without_rows=some_tokens_are_unstored(),
    )


def _clients_and_users(live: Iterable[QuerySet[Any]]) -> tuple[tuple[tuple[str, int], ...], int]:
    """Return the clients of tokens with their numbers of tokens, and the number of users."""
    clients, users = Counter[tuple[str | None, str | None]](), set[Any]()
    for rows in live:
        groups = rows.order_by().values_list("application__client_id", "application__name")
        for client_id, name, number in groups.annotate(Count("pk")):
            clients[client_id, name] += number
        users.update(rows.order_by().filter(user__isnull=False).values_list("user", flat=True).distinct())
    ordered = sorted(clients.items(), key=lambda each: (-each[1], each[0][0] or ""))
    named = ((name or client_id or gettext("(deleted client)"), number) for (client_id, name), number in ordered)
    return tuple(named), len(users)


def _unexpired(now: datetime) -> QuerySet[IssuedToken]:
    return primary_rows(IssuedToken).filter(expires_at__gt=now)
