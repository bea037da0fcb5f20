"""Live authorizations of a user or client, and the tokens of a client, for pages that must stay fast on big sites.

Only the newest thousand rows are examined. If there are more, a count is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, Max, Q
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_refresh_token_model,
    refresh_token_expire_timedelta,
)

from django_at_jwt.models.authorization import referenced_rows
from django_at_jwt.models.primary import primary_rows

from .revocation.authorizations import authorizations_of_client, authorizations_of_users

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from django_at_jwt.models import Authorization

MOST_EXAMINED: Final = 1000
"""Rows of each table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveAuthorizations:
    """The live ones among the newest authorizations.

    Attributes:
        rows: the live ones, newest first.
        is_complete: whether there are no older authorizations.
        last_token_at: when the last token of any of the examined authorizations was issued, to the hour.
    """

    rows: tuple[Authorization, ...]
    is_complete: bool
    last_token_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientActivity:
    """What a client holds. A count that is not exact is a lower bound.

    Attributes:
        authorizations: live authorizations.
        authorizations_are_exact: whether their number is exact.
        access_tokens: access tokens that have not expired, those of users and the client's own.
        access_tokens_are_exact: whether their number is exact.
        last_token_at: when the last token was issued, or ``None`` if nothing is stored about one.
    """

    authorizations: int
    authorizations_are_exact: bool
    access_tokens: int
    access_tokens_are_exact: bool
    last_token_at: datetime | None


def live_authorizations_of_user(user: Any) -> LiveAuthorizations:
    """Return the live authorizations of a user, in two statements."""
    return _live(authorizations_of_users([user], type(user)))


def activity_of_client(client: Any) -> ClientActivity:
    """Return what a client holds, in three statements.

    Not counted: tokens whose rows were deleted, and tokens that replaced others in their row.
    """
    live = _live(authorizations_of_client(client).defer("authentication", "resources", "scopes"))
    tokens = primary_rows(get_access_token_model()).filter(application=client.pk).order_by("-pk")
    found = tokens[: MOST_EXAMINED + 1].aggregate(
        examined=Count("pk"), live=Count("pk", filter=Q(expires__gt=timezone.now())), last=Max("created")
    )
    return ClientActivity(
        authorizations=len(live.rows),
        authorizations_are_exact=live.is_complete,
        access_tokens=min(found["live"], MOST_EXAMINED),
        access_tokens_are_exact=found["examined"] <= MOST_EXAMINED,
        last_token_at=max((at for at in (live.last_token_at, found["last"]) if at is not None), default=None),
    )


def clients_of(authorizations: Sequence[Authorization]) -> dict[str, Any]:
    """Return the clients of authorizations by the identifier of the authorization, in one statement.

    Those of deleted clients are missing.
    """
    references = {row.identifier: (row.client_model, row.client_key) for row in authorizations}
    clients = referenced_rows(get_application_model(), references.values())
    return {identifier: clients[reference] for identifier, reference in references.items() if reference in clients}


def _live(authorizations: QuerySet[Authorization]) -> LiveAuthorizations:
    """Return the authorizations that can still bring a token or have a valid one: those that a user would revoke."""
    found = list(authorizations.order_by("-pk")[: MOST_EXAMINED + 1])
    newest, now = found[:MOST_EXAMINED], timezone.now()
    started = [row for row in newest if row.ended_at is None]
    usable = usable_families((row.family for row in started if row.family is not None), now)
    return LiveAuthorizations(
        rows=tuple(
            row
            for row in started
            # expires_at is that of an unused code.
            if row.expires_at > now
            or (row.tokens_expire_at is not None and row.tokens_expire_at > now)
            or row.family in usable
        ),
        is_complete=len(found) <= MOST_EXAMINED,
        last_token_at=max((row.last_token_at for row in newest if row.last_token_at is not None), default=None),
    )


def usable_families(families: Iterable[Any], now: datetime) -> set[Any]:
    """Return which families have a refresh token that DOT accepts."""
    asked = list(families)
    if not asked:
        return set()
    of_families = primary_rows(get_refresh_token_model()).filter(token_family__in=asked)
    return set(usable_refresh_tokens(of_families, now).values_list("token_family", flat=True))


def usable_refresh_tokens(rows: QuerySet[Any], now: datetime) -> QuerySet[Any]:
    """Return those of these refresh tokens that DOT accepts."""
    usable = rows.filter(revoked__isnull=True, access_token__isnull=False)
    lifetime = refresh_token_expire_timedelta()
    # DOT counts it from the end of the access token.
    return usable if lifetime is None else usable.filter(access_token__expires__gt=now - lifetime)
