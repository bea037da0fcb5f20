"""Migrating back from ``0016_first_token`` stores the links of first tokens where the former version finds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, router
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_device_grant_model

from django_at_jwt.authorization_server.revocation.issued_tokens import issued_token
from django_at_jwt.issuance import issue_access_token
from django_at_jwt.models import Authorization, IssuedToken
from django_at_jwt.models.authorization import credential_hash
from tests.conftest import DEVICE_CODE_GRANT, captured_statements, decoded
from tests.openid_connect import OPENID_CONNECT

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("keys_made_quickly", "signing_keys"),
]

MIGRATION = import_module("django_at_jwt.migrations.0016_first_token")


@pytest.fixture
def migrate():
    """Migrate this app's tables forward or back. In the end, all migrations are applied."""
    using = router.db_for_write(Authorization)

    def migrate(*name):
        call_command("migrate", "django_at_jwt", *name, database=using, verbosity=0)

    yield migrate
    migrate()


def columns():
    connection = connections[router.db_for_write(Authorization)]
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, Authorization._meta.db_table)
    return {column.name for column in described}


def links():
    return {
        link.access_token: (link.token_id, link.authorization, link.kid, link.has_refresh_token, link.expires_at)
        for link in IssuedToken.objects.all()
    }


def link_from(token, *, has_refresh_token):
    """Return the link that a token must have, as its row and its claims say."""
    header, claims = decoded(token)
    key = get_access_token_model().objects.get(token_checksum=credential_hash(token)).pk
    expires_at = datetime.fromtimestamp(claims["exp"], tz=UTC)
    return str(key), (
        claims["jti"],
        claims["jti"].partition(".")[0],
        header["kid"],
        has_refresh_token,
        expires_at,
    )


@pytest.fixture
def first_tokens(make_client, user, settings):
    """Issue a first token with each grant, and return the links that they must have."""
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}
    web, device = make_client(), make_client(DEVICE_CODE_GRANT, client_type="public")
    hybrid = make_client("openid-hybrid", algorithm="RS256")
    front = hybrid.authorize(user, response_type="code token", scope="openid read write")
    started = device.post("/o/device-authorization/", {"scope": "read"}).json()
    get_device_grant_model().objects.update(status="authorized", user=user)
    answers = [
        web.code_flow(user).json(),
        hybrid.exchange(front["code"]).json(),
        make_client("password").token("password", username="alice", password="correct horse").json(),
        make_client("implicit").authorize(user, response_type="token"),
        device.token(DEVICE_CODE_GRANT, device_code=started["device_code"]).json(),
        {"access_token": issue_access_token(client=web.application, user=user, scopes=["read"]).token},
    ]
    return dict(link_from(answer["access_token"], has_refresh_token="refresh_token" in answer) for answer in answers)


def test_live_first_tokens_of_all_grants_get_links(first_tokens, migrate, monkeypatch):
    monkeypatch.setattr(MIGRATION, "_BATCH", 2)
    later = links()
    assert len(later) == 1, "that of the front-channel token of the hybrid flow"
    assert not later.keys() & first_tokens.keys()
    migrate("0015")
    assert links() == {**later, **first_tokens}
    assert not any(name.startswith("first_token") for name in columns())


def test_code_that_reads_both_places_finds_the_links_after_a_way_back_and_forth(web, user, migrate):
    answer = web.code_flow(user).json()
    key, (token_id, *_) = link_from(answer["access_token"], has_refresh_token=True)
    before = links()
    migrate("0015")
    stored = links()
    migrate()
    assert before == {}
    assert links() == stored
    assert issued_token(token_id).access_token == key
    again = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
    migrate("0015")
    assert links().keys() == {link_from(again["access_token"], has_refresh_token=True)[0]}


def test_expired_tokens_and_those_whose_row_is_gone_get_none(web, user, migrate):
    live = web.code_flow(user).json()["access_token"]
    expired, gone = (web.code_flow(user).json()["access_token"] for _ in range(2))
    Authorization.objects.filter(first_token_checksum=credential_hash(expired)).update(
        first_token_expires_at=timezone.now() - timedelta(seconds=1)
    )
    get_access_token_model().objects.filter(token_checksum=credential_hash(gone)).delete()
    migrate("0015")
    assert links() == dict([link_from(live, has_refresh_token=True)])


def test_row_without_a_token_value_gets_one(web, user, settings, migrate):
    settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": False}
    token_id = decoded(web.code_flow(user).json()["access_token"])[1]["jti"]
    migrate("0015")
    assert {key: link[0] for key, link in links().items()} == {str(get_access_token_model().objects.get().pk): token_id}


def test_refreshed_token_keeps_the_link_of_its_successor(web, user, migrate):
    answer = web.code_flow(user).json()
    again = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
    before = links()
    assert before == dict([link_from(again["access_token"], has_refresh_token=True)])
    migrate("0015")
    assert links() == before


def test_second_run_adds_nothing(first_tokens, migrate):
    # As on a database without transactions for its schema, if the process ends after the first run.
    connection = connections[router.db_for_write(Authorization)]
    MIGRATION.link_first_tokens(apps, SimpleNamespace(connection=connection))
    before = links()
    assert before.items() >= first_tokens.items()
    migrate("0015")
    assert links() == before


def test_takes_three_statements_for_each_batch(web, user, monkeypatch):
    for _ in range(3):
        web.code_flow(user)
    connection = connections[router.db_for_write(Authorization)]

    def statements(batch):
        IssuedToken.objects.all().delete()
        monkeypatch.setattr(MIGRATION, "_BATCH", batch)
        with captured_statements() as captured:
            MIGRATION.link_first_tokens(apps, SimpleNamespace(connection=connection))
        return len([each for each in captured if each.startswith(("SELECT", "INSERT"))])

    # The last one finds no more rows.
    assert [statements(batch) for batch in (3, 1)] == [3 + 1, 9 + 1]
