"""Registered sources and the database: their failures break nothing else, and previews roll back what they write.

On PostgreSQL, unlike elsewhere, a failed statement makes all later ones of its transaction fail.
"""

from __future__ import annotations

import time

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection, transaction

from django_at_jwt.authorization_server.claims.preview import preview_access_token
from django_at_jwt.authorization_server.issuance import TokenRequest
from django_at_jwt.claims import register_claim_source
from django_at_jwt.models import ClaimMapper
from tests.admin.pages import confirm, is_shown, send
from tests.conftest import captured_statements, decoded

ADD = "/admin/django_at_jwt/claimmapper/add/"


@register_claim_source("tests.no_such_table")
def no_such_table(_context):
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")


@register_claim_source("tests.hides_its_failure")
def hides_its_failure(context):
    try:
        no_such_table(context)
    except Exception:  # noqa: BLE001 - as sites do
        return "all is well"


@register_claim_source("tests.fails_in_a_block")
def fails_in_a_block(context):
    with transaction.atomic(savepoint=False):
        no_such_table(context)


@register_claim_source("tests.fails_before_any_statement")
def fails_before_any_statement(_context):
    with transaction.atomic(savepoint=False):
        raise ValueError


@register_claim_source("tests.writes")
def writes(_context):
    with transaction.atomic():
        Group.objects.create(name=f"group {Group.objects.count()}")
    return "written"


@register_claim_source("tests.reads_nothing")
def reads_nothing(_context):
    return "x"


FAILING = [
    "tests.no_such_table",
    "tests.hides_its_failure",
    "tests.fails_in_a_block",
    "tests.fails_before_any_statement",
]


def add(source, **fields):
    row = ClaimMapper(name=source, claim=source, source={"kind": "registered", "name": source}, **fields)
    row.full_clean()
    row.save()
    return row


@pytest.fixture
def _atomic_requests(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


@pytest.fixture
def admin(client):
    client.force_login(get_user_model().objects.create_superuser("admin"))
    return client


def previewed(client):
    request = TokenRequest(client=client.application, grant="client_credentials", now=time.time())
    return preview_access_token(request).claims


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("signing_keys", "_atomic_requests")
class TestInTheTransactionOfARequest:
    @pytest.mark.parametrize("source", FAILING)
    def test_optional_mapper_is_left_out(self, source, service, caplog):
        add(source)
        add("tests.reads_nothing")
        answer = service.token("client_credentials")
        assert answer.status_code == 200, answer.content
        claims = decoded(answer.json()["access_token"])[1]
        assert claims["tests"]["reads_nothing"] == "x"
        if source != "tests.hides_its_failure":
            assert list(claims["tests"]) == ["reads_nothing"]
            assert f"mapper '{source}'" in caplog.text

    def test_source_without_statements_costs_none(self, service):
        service.token("client_credentials")
        with captured_statements() as without:
            service.token("client_credentials")
        add("tests.reads_nothing")
        service.token("client_credentials")
        with captured_statements() as with_it:
            assert service.token("client_credentials").status_code == 200
        assert len(with_it) == len(without)

    def test_what_a_source_writes_when_a_token_is_issued_stays(self, service):
        add("tests.writes")
        assert service.token("client_credentials").status_code == 200
        assert Group.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("signing_keys")
@pytest.mark.parametrize("source", FAILING)
def test_change_of_a_failing_source_is_shown_and_saved(source, admin, service):
    page = send(admin, ADD, name="x", claim="x", source_kind="registered", source_registered=source)
    assert is_shown(page)
    assert confirm(admin, page).status_code == 302
    row = ClaimMapper.objects.get(name="x")
    address = f"/admin/django_at_jwt/claimmapper/{row.pk}/"
    assert is_shown(send(admin, f"{address}change/", claim="y"))
    assert admin.get(f"{address}delete/").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("signing_keys")
class TestPreviewsRollBack:
    def test_preview(self, service):
        add("tests.writes")
        assert previewed(service)["tests"] == {"writes": "written"}
        assert Group.objects.count() == 0
        with transaction.atomic():
            Group.objects.create(name="kept")
            previewed(service)
        assert [group.name for group in Group.objects.all()] == ["kept"]

    def test_command(self, service, capsys):
        add("tests.writes")
        call_command("preview_access_token", client=service.application.client_id)
        assert '{"writes": "written"}' in capsys.readouterr().out
        assert Group.objects.count() == 0

    def test_page_that_shows_a_change(self, admin, service):
        page = send(admin, ADD, name="x", claim="x", source_kind="registered", source_registered="tests.writes")
        assert b"written" in page.content
        assert confirm(admin, page).status_code == 302
        assert Group.objects.count() == 0

    def test_database_that_does_not_answer(self, service, monkeypatch):
        from django.db import OperationalError

        from django_at_jwt.authorization_server.claims import savepoints as isolation

        def refuse(using):
            raise OperationalError(using)

        add("tests.reads_nothing")
        monkeypatch.setattr(isolation.transaction, "atomic", refuse)
        assert previewed(service)["tests"] == {"reads_nothing": "x"}
