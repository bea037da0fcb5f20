"""Live access tokens by client, API and format, for a site that moves from one format to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import connections, router
from django.db.models import Case, CharField, Count, F, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Cast, Coalesce
from oauth2_provider.models import get_access_token_model, get_application_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.core.audience import Audience
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.models import Authorization, IssuedToken
from django_at_jwt.models.change_times import last_change
from django_at_jwt.models.primary import primary_rows

from .client_options import some_tokens_are_unstored, token_formats_by_key
from .oauthlib_bridge.opaque_token import OPAQUE_ID_PREFIX
from .resource_servers import is_open_to, registry
from .revocation.rows import BATCH, rows_in_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from django_at_jwt.core.resource_servers import ResourceServers


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveTokens:
    """The live access tokens of a client for the same APIs in the same format.

    Attributes:
        client_id: empty if the client was deleted.
        client_name: may be empty.
        audience: the identifiers of the APIs; empty for a token without one on a site without a default resource.
        token_format: the format. A token from before this app was installed counts as opaque, even if it is a JWT,
            because only its row makes it valid.
        has_rows: whether each token has its own row. If not, ``tokens`` counts authorizations, each of which has at
            least one live token.
        tokens: their number.
        last_issued_at: when the last one was issued. Using a token writes nothing, so its last use is unknown.
        last_expires_at: when the last one expires.
        next_format: the format of the next token for these APIs, or ``None`` if the client would be refused one.
    """

    client_id: str
    client_name: str
    audience: tuple[str, ...]
    token_format: TokenFormat
    has_rows: bool
    tokens: int
    last_issued_at: datetime
    last_expires_at: datetime
    next_format: TokenFormat | None


@dataclass(frozen=True, kw_only=True, slots=True)
class FormatReport:
    """The live access tokens of a site by client, APIs and format.

    Attributes:
        groups: sorted by client, APIs and format.
        replaced_without_rows: whether there may be more ``at+jwt`` tokens, because refresh tokens are not rotated: a
            refresh overwrites the row of the former access token.
        issued_without_rows: whether there may be more ``at+jwt`` tokens, because some are issued without rows.
    """

    groups: tuple[LiveTokens, ...]
    replaced_without_rows: bool
    issued_without_rows: bool

    def number(self, token_format: TokenFormat) -> int:
        """Return the number of live tokens of a format. It is exact for opaque tokens, else a lower bound."""
        return sum(each.tokens for each in self.groups if each.token_format is token_format)

    def last_expiry(self, token_format: TokenFormat) -> datetime | None:
        """Return when the last counted token of a format expires, or ``None`` without tokens."""
        ends = [each.last_expires_at for each in self.groups if each.token_format is token_format]
        return max(ends, default=None)


class _Kind(NamedTuple):
    """A client's primary key, the APIs, the format, and whether the tokens have rows."""

    client: Any
    audience: tuple[str, ...]
    token_format: TokenFormat
    has_rows: bool


class _Tokens(NamedTuple):
    """A number of tokens, when the last one was issued, and when the last one expires."""

    number: int
    last_issued_at: datetime
    last_expires_at: datetime

    def joined(self, other: _Tokens) -> _Tokens:
        return _Tokens(
            self.number + other.number,
            max(self.last_issued_at, other.last_issued_at),
            max(self.last_expires_at, other.last_expires_at),
        )


_STORED: Final = "stored"
_UNSTORED: Final = "unstored"
_OPAQUE: Final = "opaque"
_FORMATS: Final = {
    _STORED: (TokenFormat.AT_JWT, True),
    _UNSTORED: (TokenFormat.AT_JWT, False),
    _OPAQUE: (TokenFormat.OPAQUE, True),
}
# As in the links: empty for an opaque token, NULL for a token from before the column.
_IS_OPAQUE: Final = Q(kid="") | Q(kid__isnull=True, token_id__startswith=OPAQUE_ID_PREFIX)
_KIND: Final = Case(
    When(_IS_OPAQUE, then=Value(_OPAQUE)),
    When(token_id__endswith=".0", then=Value(_UNSTORED)),  # noqa: S106 - the mark of a jti
    default=Value(_STORED),
    output_field=CharField(),
)


def report_token_formats(now: datetime) -> FormatReport:
    """Count the live access tokens by client, APIs and format.

    Takes three statements. With MariaDB or MySQL, or if the tokens and this app's tables are in different databases, or
    the primary keys of tokens are not integers, takes three more for every thousand live tokens.

    Args:
        now: tokens that have not expired by then are live.

    Raises:
        django.db.Error: the rows cannot be read.
    """
    model = get_access_token_model()
    live = primary_rows(model).filter(expires__gt=now).exclude(scope=oauth2_settings.DCR_REGISTRATION_SCOPE)
    links = primary_rows(IssuedToken)
    # MariaDB and MySQL compare checksums only if both columns have the same collation.
    is_comparable = isinstance(model._meta.pk, IntegerField) and connections[links.db].vendor != "mysql"
    is_one_query = is_comparable and links.db == router.db_for_write(model)
    servers = registry.latest()
    found: dict[_Kind, _Tokens] = {}
    for client, resource, kind, tokens in _counted(live, links) if is_one_query else _looked_up(live, links):
        key = _Kind(client, tuple(servers.or_default(resource)), *_FORMATS[kind])
        found[key] = found[key].joined(tokens) if key in found else tokens
    return FormatReport(
        groups=tuple(sorted(_described(found, servers), key=_place)),
        replaced_without_rows=not oauth2_settings.ROTATE_REFRESH_TOKEN,
        issued_without_rows=some_tokens_are_unstored(),
    )


def _counted(live: QuerySet[Any], links: QuerySet[IssuedToken]) -> Iterator[tuple[Any, Any, str, _Tokens]]:
    """Yield clients, resources, kinds and tokens, in one statement."""
    own = links.filter(access_token=Cast(OuterRef("pk"), CharField(max_length=64))).values(kind=_KIND)[:1]
    first = _first_links().filter(first_token_checksum=OuterRef("token_checksum")).values(kind=_KIND)
    # Without a link, it is from before this app was installed.
    kinds = live.annotate(kind=Coalesce(Subquery(own), Subquery(first), Value(_OPAQUE), output_field=CharField()))
    groups = kinds.order_by().values("application", "resource", "kind")
    for each in groups.annotate(number=Count("pk"), issued=Max(last_change(live.model)), expiry=Max("expires")):
        yield (
            each["application"],
            each["resource"],
            each["kind"],
            _Tokens(each["number"], each["issued"], each["expiry"]),
        )


def _looked_up(live: QuerySet[Any], links: QuerySet[IssuedToken]) -> Iterator[tuple[Any, Any, str, _Tokens]]:
    """Yield clients, resources, kinds and tokens, one at a time."""
    issued = last_change(live.model)
    rows = live.values_list("pk", "token_checksum", "application", "resource", issued, "expires", named=True)
    for batch in rows_in_batches(rows, size=BATCH):
        kinds = dict(links.filter(access_token__in=[str(row.pk) for row in batch]).values_list("access_token", _KIND))
        first = _first_links().filter(first_token_checksum__in=[row.token_checksum for row in batch])
        first_kinds = dict(first.values_list("first_token_checksum", _KIND))
        for row in batch:
            kind = kinds.get(str(row.pk)) or first_kinds.get(row.token_checksum, _OPAQUE)
            yield row.application, row.resource, kind, _Tokens(1, getattr(row, issued), row.expires)


def _first_links() -> QuerySet[Authorization]:
    """Return the authorizations, with the columns of their first token named as those of a link."""
    return primary_rows(Authorization).annotate(token_id=F("first_token_id"), kid=F("first_token_kid"))


def _described(found: dict[_Kind, _Tokens], servers: ResourceServers) -> Iterator[LiveTokens]:
    clients = _clients({kind.client for kind in found})
    formats = token_formats_by_key()
    for kind, tokens in found.items():
        client = clients.get(kind.client)
        chosen = formats.get(str(kind.client))
        yield LiveTokens(
            client_id=client.client_id if client else "",
            client_name=client.name if client else "",
            audience=kind.audience,
            token_format=kind.token_format,
            has_rows=kind.has_rows,
            tokens=tokens.number,
            last_issued_at=tokens.last_issued_at,
            last_expires_at=tokens.last_expires_at,
            next_format=_next_format(servers, kind.audience, client, chosen),
        )


def _clients(keys: Iterable[Any]) -> dict[Any, Any]:
    wanted = [key for key in keys if key is not None]
    clients = primary_rows(get_application_model())
    # More keys than a statement may have parameters: read all clients.
    rows = clients.filter(pk__in=wanted) if len(wanted) <= BATCH else clients
    return {row.pk: row for row in rows.values_list("pk", "client_id", "name", "registration_source", named=True)}


def _next_format(
    servers: ResourceServers, audience: Sequence[str], client: Any, chosen: TokenFormat | None
) -> TokenFormat | None:
    if client is None:
        return None
    known = [servers.named(each) for each in audience]
    usable = tuple(
        server
        for server in known
        if server is not None
        and is_open_to(server, client_id=client.client_id, registration_source=client.registration_source)
    )
    if not usable or len(usable) < len(known):
        return None
    return Audience(servers=usable, scopes=(), client_format=chosen).token_format


def _place(group: LiveTokens) -> tuple[Any, ...]:
    return group.client_name, group.client_id, group.audience, group.token_format.value, group.has_rows
