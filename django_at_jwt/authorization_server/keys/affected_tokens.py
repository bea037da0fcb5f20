"""Tokens, clients and users affected by a compromised signing key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, Max, Q, QuerySet
from django.utils.translation import gettext
from oauth2_provider.models import get_access_token_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.client_options import some_tokens_are_unstored
from django_at_jwt.authorization_server.revocation.rows import access_token_keys
from django_at_jwt.models import IssuedToken
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
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
            ones, and ``clients`` and ``users`` are empty.
        tokens: number of tokens.
        unproven: number of unexpired tokens whose key is unknown, revoked ones included.
        clients: pairs of a client's name and its number of tokens.
        users: number of users.
        last_expires_at: when the last of the tokens expires, or ``None`` if there are none.
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
    """Return the links of unexpired tokens that a key has signed or may have signed, those of revoked ones included."""
    return _unexpired(now).filter(Q(kid=key.kid) | Q(kid__isnull=True))


def live_tokens(key: KeyTimes, now: datetime) -> QuerySet[Any]:
    """Return the rows of unexpired access tokens that a key has signed or may have signed."""
    return _rows(live_links(key, now), now)


def affected_tokens(
    key: KeyTimes, now: datetime, *, last_token_expires_at: datetime | None = None, exact: bool = True
) -> AffectedTokens:
    """Count the live tokens that a key may have signed, and their clients and users.

    Args:
        last_token_expires_at: recorded expiry of the key's last token, or ``None``.
        exact: count any number of tokens exactly, which takes a second for 100,000. Otherwise, more than
            :data:`COUNTED_AT_ONCE` are only counted in an index.
    """
    links = live_links(key, now)
    is_exact = exact or links[: COUNTED_AT_ONCE + 1].count() <= COUNTED_AT_ONCE
    # An index alone has the number of links, which includes revoked tokens.
    counted = _counted(_rows(links, now)) if is_exact else links.aggregate(tokens=Count("*"), last=Max("expires_at"))
    expiries = (counted.pop("last"), last_token_expires_at)
    return AffectedTokens(
        is_exact=is_exact,
        unproven=_unexpired(now).filter(kid__isnull=True).count(),
        last_expires_at=max((at for at in expiries if at is not None and at > now), default=None),
        replaced_without_rows=not oauth2_settings.ROTATE_REFRESH_TOKEN,
        issued_without_rows=some_tokens_are_unstored(),
        **counted,
    )


def _counted(live: QuerySet[Any]) -> dict[str, Any]:
    """Return the number of tokens, their clients and users, and when the last of them expires."""
    totals = live.aggregate(tokens=Count("pk"), users=Count("user", distinct=True), last=Max("expires"))
    clients = live.values("application__client_id", "application__name").annotate(number=Count("pk"))
    return totals | {
        "clients": tuple(
            (each["application__name"] or each["application__client_id"] or gettext("(deleted client)"), each["number"])
            for each in clients.order_by("-number", "application__client_id")
        )
    }


def _unexpired(now: datetime) -> QuerySet[IssuedToken]:
    return primary_rows(IssuedToken).filter(expires_at__gt=now)


def _rows(links: QuerySet[IssuedToken], now: datetime) -> QuerySet[Any]:
    # The row of a revoked token has expired, but its link has not.
    return primary_rows(get_access_token_model()).filter(pk__in=access_token_keys(links), expires__gt=now)
