"""Every endpoint answers 503 as JSON with Retry-After during a database outage; other errors propagate."""

from __future__ import annotations

import json
from itertools import count

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.db.transaction import get_connection
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model

from django_at_jwt.authorization_server.claims.registry import claim_mappers
from django_at_jwt.authorization_server.keys.last_expiry import last_token_expiry
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.authorization_server.views.error_handling import guarded
from django_at_jwt.inbound.outages import is_outage
from django_at_jwt.models import Authorization
from django_at_jwt.validators import OAuth2Validator
from tests.conftest import DEVICE_CODE_GRANT
from tests.openid_connect import OPENID_CONNECT
from tests.site.registration import OPEN_REGISTRATION

from .broken_database import CALLS, Site, failing

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoints(settings, signing_keys):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPEN_REGISTRATION, **OPENID_CONNECT}
    settings.AT_JWT = {**settings.AT_JWT, "INTROSPECTION_BY_GET": True}


def as_in_a_new_process():
    key_store.clear()
    registry.clear()
    claim_mappers.clear()
    last_token_expiry.forget()
    deny_list.clear()


def assert_unavailable(answer):
    assert answer.status_code == 503, answer.content
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    assert int(answer["Retry-After"]) > 0
    assert json.loads(answer.content)["error"] in {"temporarily_unavailable", "server_error"}


@pytest.mark.usefixtures("endpoints", "keys_made_quickly")
@pytest.mark.parametrize("name", CALLS)
def test_outage_at_any_statement_is_answered_with_503(name, make_client, user):
    call = getattr(Site(make_client, user), name)()
    sessions = set()
    for number in count(1):
        as_in_a_new_process()
        with failing(number, OperationalError("the server closed the connection")) as statements:
            answer = call.send()
        if statements.failed is None:
            break
        # A session is written after the view, by Django's middleware.
        sessions |= {number} if "django_session" in statements.failed else set()
        if not sessions:
            assert_unavailable(answer)
    assert number > 1
    assert answer.status_code < 400, answer.content


@pytest.mark.usefixtures("endpoints", "keys_made_quickly")
def test_read_only_database(service, client):
    if connection.vendor != "sqlite":
        pytest.skip("SQLite: the database of these tests is another one")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
    try:
        assert client.get("/o/.well-known/jwks.json").status_code == 200
        assert_unavailable(service.token("client_credentials"))
    finally:
        # The error has broken the test's transaction, so Django executes no further statements in it.
        connection.connection.execute("PRAGMA query_only = OFF")


@pytest.mark.usefixtures("signing_keys")
def test_table_that_does_not_exist_stays_an_error(web, user):
    code = web.authorize(user)["code"]

    def with_missing_table(execute, sql, params, many, context):
        return execute(sql.replace(Authorization._meta.db_table, "no_such_table"), params, many, context)

    browser = Client(raise_request_exception=False)
    data = {"grant_type": "authorization_code", "code": code, "code_verifier": web.verifier, **web.credentials}
    with connection.execute_wrapper(with_missing_table):
        assert browser.post("/o/token/", data).status_code == 500


class TestClientIsDeletedDuringARequest:
    """As by purge_tokens, which deletes registered clients that are not used any more."""

    @pytest.fixture
    def deleting(self, monkeypatch):
        """Delete all clients before, or after, a method of the validator is called."""

        def deleting(name, *, after=False):
            original = getattr(OAuth2Validator, name)

            def with_deletion(*args, **kwargs):
                returned = original(*args, **kwargs) if after else None
                get_application_model().objects.all().delete()
                return returned if after else original(*args, **kwargs)

            monkeypatch.setattr(OAuth2Validator, name, with_deletion)

        return deleting

    # Otherwise, the foreign key would be checked after the test.
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.usefixtures("signing_keys")
    def test_token_request(self, service, deleting):
        deleting("save_bearer_token")
        assert_unavailable(service.token("client_credentials"))
        assert not get_access_token_model().objects.exists()
        assert service.token("client_credentials").status_code == 401

    @pytest.mark.usefixtures("signing_keys")
    def test_authorization_page(self, web, user, client, deleting):
        deleting("validate_scopes")
        client.force_login(user)
        query = {"response_type": "code", "client_id": web.application.client_id, "code_challenge": "a" * 43}
        page = client.get("/o/authorize/", query | {"code_challenge_method": "S256"})
        assert (page.status_code, "Invalid client_id" in page.content.decode()) == (400, True)

    @pytest.mark.usefixtures("signing_keys")
    def test_device_authorization(self, make_client, deleting):
        device = make_client(DEVICE_CODE_GRANT)
        # oauthlib 3 calls no other method.
        deleting("validate_client_id", after=True)
        answer = device.post("/o/device-authorization/", {"scope": "read"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def with_cause(kind, *args, cause=None):
    error = kind(*args)
    error.__cause__ = cause
    return error


class PostgresError(Exception):
    def __init__(self, sqlstate):
        self.sqlstate = sqlstate


class OldPostgresError(Exception):
    def __init__(self, pgcode):
        self.pgcode = pgcode


class MysqlError(Exception):
    pass


MysqlError.__module__ = "MySQLdb.exceptions"


class SqliteError(Exception):
    def __init__(self, sqlite_errorcode):
        self.sqlite_errorcode = sqlite_errorcode


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (InterfaceError("connection already closed"), True),
        (OperationalError("a test's own"), True),
        (with_cause(OperationalError, "no connection", cause=PostgresError(None)), True),
        (with_cause(OperationalError, "cancelled", cause=PostgresError("57014")), True),
        (with_cause(InternalError, "read-only", cause=PostgresError("25006")), True),
        (with_cause(InternalError, "read-only", cause=OldPostgresError("25006")), True),
        (with_cause(InternalError, "aborted", cause=PostgresError("25P02")), False),
        (with_cause(ProgrammingError, "no such table", cause=PostgresError("42P01")), False),
        (with_cause(IntegrityError, "no such row", cause=PostgresError("23503")), True),
        (with_cause(IntegrityError, "no such row", cause=OldPostgresError("23503")), True),
        (with_cause(IntegrityError, "exists", cause=PostgresError("23505")), False),
        (with_cause(IntegrityError, 1452, "no such row", cause=MysqlError()), True),
        (with_cause(IntegrityError, 1062, "exists", cause=MysqlError()), False),
        (with_cause(IntegrityError, "FOREIGN KEY constraint failed", cause=SqliteError(787)), True),
        (with_cause(IntegrityError, "UNIQUE constraint failed", cause=SqliteError(2067)), False),
        (IntegrityError(), False),
        (with_cause(OperationalError, 2006, "gone away", cause=MysqlError()), True),
        (with_cause(OperationalError, 1290, "read-only", cause=MysqlError()), True),
        (with_cause(OperationalError, 1020, "changed since last read", cause=MysqlError()), True),
        (with_cause(OperationalError, 1054, "unknown column", cause=MysqlError()), False),
        (with_cause(OperationalError, 1366, "incorrect string value", cause=MysqlError()), False),
        (with_cause(OperationalError, "locked", cause=SqliteError(5)), True),
        (with_cause(OperationalError, "read-only", cause=SqliteError(8)), True),
        (with_cause(OperationalError, "no such table", cause=SqliteError(1)), False),
        (DatabaseError("anything"), False),
        (ValueError("anything"), False),
    ],
    ids=repr,
)
def test_what_is_an_outage(error, outage):
    assert is_outage(error) is outage


@pytest.mark.django_db(transaction=True)
def test_transaction_of_a_request_is_rolled_back_before_the_answer(rf, settings, monkeypatch):
    monkeypatch.setitem(settings.DATABASES["default"], "ATOMIC_REQUESTS", True)
    seen = []

    @guarded
    def view(request):
        seen.append(get_connection().in_atomic_block)
        Authorization.for_device("a code", client=None, scopes=[], resources=[], expires_at=timezone.now()).save()
        raise OperationalError("the server closed the connection")

    # Django must not begin a transaction around the view: its errors would not be answered.
    assert view._non_atomic_requests == {"default"}
    assert_unavailable(view(rf.post("/")))
    assert seen == [True]
    assert not Authorization.objects.exists()


def test_other_errors_are_raised(rf):
    @guarded
    def view(request):
        raise ProgrammingError("a statement is wrong")

    with pytest.raises(ProgrammingError):
        view(rf.post("/"))


def test_path_adds_no_lines_to_the_log(rf, caplog):
    def view(request):
        raise OperationalError("the server closed the connection")

    assert_unavailable(guarded(view)(rf.get("/o/register/a%0AERROR%20forged/")))
    [record] = caplog.records
    assert record.getMessage() == ("GET /o/register/a%0AERROR%20forged/ answered 503: the server closed the connection")
