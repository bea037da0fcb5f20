"""Fill a PostgreSQL database with the rows of a site, each table from one row that is made as the site makes it."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.models import (
    Authorization,
    ClaimMapper,
    DenyListEntry,
    IssuedToken,
    ResourceServer,
    SigningKey,
)
from django_at_jwt.models.authorization import reference_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

    from .sizes import Size

SECRET: Final = "the client's secret"
PASSWORD: Final = "correct horse"
_MAPPERS_OF_ALL_TOKENS: Final = 5
_HEX: Final = "md5(n::text)"
_CHECKSUM: Final = "md5(n::text) || md5('second half ' || n)"
_CHECKSUM_OF_DELETED_ROW: Final = "md5('deleted ' || n) || md5('second half ' || n)"


def fill(size: Size) -> None:
    """Fill an empty database."""
    rotate_signing_keys()
    _fill_keys(size.keys)
    _fill_apis(size.apis)
    _fill_mappers(size.mappers)
    user, client = _fill_users(size.users), _fill_clients(size.clients)
    with _without_indexes(get_access_token_model(), get_refresh_token_model(), Authorization, IssuedToken):
        _fill_tokens(size, user, client)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def _without_indexes(*models: type[Model]) -> Iterator[None]:
    """Drop the indexes and constraints of tables except primary keys, and make them again at the end.

    One sort is many times faster than a million insertions at random places.
    """
    tables = [model._meta.db_table for model in models]
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '256MB'")
        # Foreign keys last when they are made, and first when they are dropped: they need the unique indexes.
        cursor.execute(
            "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('f', 'u') ORDER BY contype = 'f'",
            [tables],
        )
        constraints = cursor.fetchall()
        for table, name, _ in reversed(constraints):
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index "
            "WHERE indrelid = ANY(%s::regclass[]) AND NOT indisprimary",
            [tables],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        yield
        for _, definition in indexes:
            cursor.execute(definition)
        for table, name, definition in constraints:
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


def _fill_keys(count: int) -> None:
    """Add retired keys: one a week, back from today."""
    kid = "translate(substr(encode(sha256(n::text::bytea), 'base64'), 1, 43), '+/', '-_')"
    ends = "t.signing_at - n * interval '7 days'"
    _multiply(
        SigningKey.objects.order_by("signing_at").first(),
        count,
        kid=kid,
        public_jwk=f"jsonb_set(t.public_jwk, '{{kid}}', to_jsonb({kid}))",
        announced_at=f"{ends} - interval '8 days'",
        signing_at=f"{ends} - interval '7 days'",
        retained_at=ends,
        retired_at=f"{ends} + interval '2 hours'",
        last_token_expires_at=f"{ends} + interval '1 hour'",
    )


def _fill_apis(count: int) -> None:
    model = ResourceServer.objects.create(
        identifier="https://api0.example.com/", name="API 0", scopes={"read": "Read"}, open_to_all_clients=True
    )
    _multiply(
        model,
        count,
        identifier="'https://api' || n || '.example.com/'",
        name="'API ' || n",
        scopes="jsonb_build_object('api' || n || ':read', 'Read', 'api' || n || ':write', 'Write')",
    )
    model.delete()


def _fill_mappers(count: int) -> None:
    """Add mappers: the first few apply to all tokens, each of the others to one client."""
    model = ClaimMapper.objects.create(
        name="mapper", claim="email", source={"kind": "user", "path": "email"}, conditions={}
    )
    _multiply(
        model,
        count,
        name="'mapper ' || n",
        claim="'claim' || n",
        conditions=f"CASE WHEN n <= {_MAPPERS_OF_ALL_TOKENS} THEN t.conditions "
        "ELSE jsonb_build_object('clients', jsonb_build_array('client-' || n)) END",
    )
    model.delete()


def _fill_users(count: int) -> Any:
    get_user_model().objects.create_superuser("admin", password=PASSWORD)
    model = get_user_model().objects.create_user("user", email="user@example.com", password=PASSWORD)
    _multiply(model, count, username="'user-' || n", email="'user-' || n || '@example.com'")
    return model


def _fill_clients(count: int) -> Any:
    model = get_application_model().objects.create(
        name="A client",
        client_id="client-0",
        client_secret=SECRET,
        hash_client_secret=False,
        client_type="confidential",
        authorization_grant_type="password",
        redirect_uris="https://client.example.com/callback",
    )
    _multiply(model, count, name="'Client ' || n", client_id="'client-' || n")
    get_application_model().objects.create(
        name="A program",
        client_id="program",
        client_secret=SECRET,
        hash_client_secret=False,
        client_type="confidential",
        authorization_grant_type="client-credentials",
    )
    return model


def _fill_tokens(size: Size, user: Any, client: Any) -> None:
    """Add authorizations with an access and a refresh token each: of two live access tokens, one came of a refresh."""
    now = timezone.now()
    later, kid = now + timedelta(hours=1), SigningKey.objects.filter(signing_at__lte=now).latest("signing_at").kid
    access_token = get_access_token_model()(user=user, application=client, token="", expires=later, scope="read")
    access_token._raw_token = "of no request"
    access_token.resource = ["https://api.example.com/"]
    access_token.save()
    refresh_token = get_refresh_token_model().objects.create(
        user=user, application=client, token="", access_token=access_token
    )
    (user_model, user_key), (client_model, client_key) = reference_to(user), reference_to(client)
    authorization = Authorization.objects.create(
        user_model=user_model,
        user_key=user_key,
        client_model=client_model,
        client_key=client_key,
        scopes="read",
        resources=access_token.resource,
        expires_at=now - timedelta(days=1),
        tokens_expire_at=later,
        first_token_kid=kid,
    )
    link = IssuedToken.objects.create(
        access_token=str(access_token.pk), token_id="jti", kid=kid, has_refresh_token=True, expires_at=later
    )
    denied = DenyListEntry.objects.create(kind="token", value="jti", expires_at=later)

    of_user = f"{user.pk} + n %% {size.users + 1}"
    of_client = f"{client.pk} + n %% {size.clients + 1}"
    past = "-(n %% 700 + 1) * interval '1 hour'"
    expires = f"now() + CASE n %% {size.live_share} WHEN 0 THEN interval '1 hour' ELSE {past} END"
    refreshed_share = 2 * size.live_share
    is_refreshed = f"n %% {refreshed_share} = 0"
    owners = {"user": of_user, "application": of_client}
    _multiply(access_token, size.tokens, **owners, token_checksum=_CHECKSUM, expires=expires)
    _multiply(
        refresh_token,
        size.tokens,
        **owners,
        token_checksum=_CHECKSUM,
        access_token=f"{access_token.pk} + n",
        token_family=f"{_HEX}::uuid",
    )
    _multiply(
        authorization,
        size.tokens,
        identifier=_HEX,
        family=f"{_HEX}::uuid",
        user_key=f"({of_user})::text",
        client_key=f"({of_client})::text",
        tokens_expire_at=expires,
        first_token_id=f"{_HEX} || '.' || {_HEX} || '.1'",
        first_token_checksum=f"CASE WHEN {is_refreshed} THEN {_CHECKSUM_OF_DELETED_ROW} ELSE {_CHECKSUM} END",
        first_token_expires_at=f"{expires} - CASE WHEN {is_refreshed} THEN interval '1 hour' ELSE interval '0' END",
    )
    # Only tokens that came of a refresh have links. Links and entries of expired tokens have been purged.
    _multiply(
        link,
        size.tokens // refreshed_share,
        access_token=f"({access_token.pk} + n * {refreshed_share})::text",
        token_id=f"md5((n * {refreshed_share})::text) || '.' || {_HEX} || '.1'",
        authorization=f"md5((n * {refreshed_share})::text)",
    )
    _multiply(denied, size.tokens // 1000, value=f"{_HEX} || '.' || {_HEX} || '.1'", digest=_CHECKSUM)
    for row in (denied, link, authorization, refresh_token, access_token):
        type(row)._default_manager.filter(pk=row.pk).delete()


def _multiply(row: Model | None, count: int, **expressions: str) -> None:
    """Insert copies of a row with the next primary keys.

    Args:
        row: the row to copy, with the highest primary key of its table.
        count: number of copies.
        expressions: SQL by field, in which ``n`` counts from 1 and ``t`` is the copied row.
    """
    assert row is not None
    meta = row._meta
    quote, table = connection.ops.quote_name, connection.ops.quote_name(meta.db_table)
    key = quote(meta.pk.column)
    expressions.setdefault(meta.pk.name, f"(SELECT max({key}) FROM {table}) + n")
    columns = ", ".join(quote(field.column) for field in meta.concrete_fields)
    values = ", ".join(
        expressions.pop(field.name, None) or f"t.{quote(field.column)}" for field in meta.concrete_fields
    )
    assert not expressions, expressions
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} t, generate_series(1, {count}) n "
            f"WHERE t.{key} = %s",
            [row.pk],
        )
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence(%s, %s), (SELECT max({key}) FROM {table}))",
            [table, meta.pk.column],
        )
