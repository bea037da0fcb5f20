"""Find access tokens that the issuer has stored, and when the last of all expires.

The link between a token and its row is an :class:`~django_at_jwt.models.IssuedToken` or, for a JWT that is the first
token of an authorization, part of the authorization. The functions here return both kinds as the former.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Max, Q
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.core.deny_list import DenyKind
from django_at_jwt.core.quotation import is_storable, quote
from django_at_jwt.core.token_id import LONGEST_TOKEN_ID, TokenId, is_unstored
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken, SigningKey
from django_at_jwt.models.authorization import FIRST_TOKEN_FIELDS
from django_at_jwt.models.primary import primary_rows

from .rows import BATCH, in_batches

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet


class UnknownToken(LookupError):
    """The issuer stored no token with this ``jti``, or it has been purged since it expired."""


def issued_token(token_id: str) -> IssuedToken | None:
    """Return the stored link of a ``jti``, or ``None`` if the token was revoked and its link is gone.

    For a token that was issued without a row, it is an unsaved one that expires with the last token issued until now.

    Raises:
        UnknownToken: the issuer stored no such token.
    """
    if len(token_id) <= LONGEST_TOKEN_ID and is_storable(token_id):
        link = stored_link(token_id)
        if link is not None:
            return link
        if _is_denied(token_id):
            return None
        if is_unstored(token_id) and _names_known_authorization(token_id):
            return IssuedToken(token_id=token_id, expires_at=latest_expiry(timezone.now()))
    raise UnknownToken(
        f"no token with the jti {quote(token_id)} is stored: it expired and was purged, or the jti is mistyped"
    )


def stored_link(token_id: str) -> IssuedToken | None:
    """Return the link of the token with a ``jti``, or ``None``. ``access_token`` is empty if its row is gone."""
    link = primary_rows(IssuedToken).filter(token_id=token_id).first()
    if link is None:
        # By the identifier too: the column of the jti has no index.
        named = primary_rows(Authorization).filter(identifier=_named(token_id), first_token_id=token_id)
        link = next(iter(first_links(named)), None)
    return link


def link_of_row(row: Any) -> IssuedToken | None:
    """Return the link of the row of an access token, or ``None`` if the token is from before this app."""
    # First by the checksum: if only the tokens were restored from a backup, their primary keys are given again.
    authorization = primary_rows(Authorization).filter(first_token_checksum=row.token_checksum).first()
    if authorization is not None:
        return authorization.first_link(str(row.pk))
    return primary_rows(IssuedToken).filter(access_token=str(row.pk)).first()


def access_tokens_of(authorization: Authorization) -> Q:
    """Return the condition for the rows of an authorization's access tokens, expired ones included."""
    links = primary_rows(IssuedToken).filter(authorization=authorization.identifier)
    # Each row has a checksum, so no row matches an authorization whose first token has no link.
    is_first = Q(token_checksum=authorization.first_token_checksum)
    return is_first | Q(pk__in=list(links.values_list("access_token", flat=True)))


def first_links(authorizations: QuerySet[Authorization]) -> list[IssuedToken]:
    """Return the links of the first tokens of authorizations. ``access_token`` is empty if the row is gone."""
    found: list[IssuedToken] = []
    rows_with_one = authorizations.filter(first_token_id__isnull=False)
    for batch in in_batches(rows_with_one.only("identifier", "family", *FIRST_TOKEN_FIELDS)):
        checksums = [row.first_token_checksum for row in batch]
        rows = primary_rows(get_access_token_model()).filter(token_checksum__in=checksums)
        keys = dict(rows.values_list("token_checksum", "pk"))
        found.extend(row.first_link(str(keys.get(row.first_token_checksum, ""))) for row in batch)
    return found


def _named(token_id: str) -> str:
    """Return the identifier of the authorization that a ``jti`` names, or an empty string."""
    return token_id.partition(".")[0]


def _names_known_authorization(token_id: str) -> bool:
    """Return whether the authorization that a ``jti`` names exists; ``True`` if the client acts for itself."""
    identifier = _named(token_id)
    return not identifier or primary_rows(Authorization).filter(identifier=identifier).exists()


def links_of(identifier: str) -> list[IssuedToken]:
    """Return the stored link of a ``jti``, or the first and latest links of an authorization, at most a thousand."""
    if len(identifier) > LONGEST_TOKEN_ID or not identifier or not is_storable(identifier):
        return []
    named = Q(token_id=identifier) | Q(authorization=identifier)
    latest = list(primary_rows(IssuedToken).filter(named).order_by("-pk")[: BATCH - 1])
    named = Q(identifier=identifier) | Q(identifier=_named(identifier), first_token_id=identifier)
    return [*latest, *first_links(primary_rows(Authorization).filter(named))]


def is_live(link: IssuedToken) -> bool:
    """Return whether a token is neither expired nor denied by its ``jti`` or its authorization.

    A denied one counts as live while the refresh token issued with it is: with several databases, the transaction that
    ends the refresh token can fail after that of the deny list.
    """
    if link.expires_at <= timezone.now():
        return False
    return not _is_denied(link.token_id) or _has_live_refresh_token(link)


def _has_live_refresh_token(link: IssuedToken) -> bool:
    live = primary_rows(get_refresh_token_model()).filter(revoked__isnull=True)
    return bool(link.access_token) and live.filter(access_token=link.access_token).exists()


def _is_denied(token_id: str) -> bool:
    condition = Q(kind=DenyKind.TOKEN, value=token_id)
    parsed = TokenId.parse(token_id)
    if parsed is not None and parsed.authorization:
        condition |= Q(kind=DenyKind.AUTHORIZATION, value=parsed.authorization)
    return primary_rows(DenyListEntry).filter(condition).exists()


def latest_expiry(now: datetime) -> datetime:
    """Return when all access tokens issued until now have expired, also those with a lifetime of former settings."""
    signed = primary_rows(SigningKey).aggregate(latest=Max("last_token_expires_at"))["latest"]
    stored = primary_rows(IssuedToken).aggregate(latest=Max("expires_at"))["latest"]
    # A token may be issued at this moment.
    issued_now = now + timedelta(seconds=registry.longest_lifetime())
    return max(issued_now, signed or now, stored or now)
