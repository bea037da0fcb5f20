"""Clients that registered themselves are deleted when they are not used any more; others never."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from django_at_jwt.authorization_server import unused_clients
from django_at_jwt.authorization_server.unused_clients import purge_unused_clients
from django_at_jwt.models import Authorization, ClientOptions, DenyListEntry, IssuedToken
from django_at_jwt.models.authorization import reference_to
from tests.commands import run
from tests.conftest import captured_statements, create_client
from tests.settings import API

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

NOW = timezone.now
DAY = timedelta(days=1)


def registered(source="dcr", *, used=timedelta(days=91), **fields):
    """Store a client that registered itself and was last used some time ago."""
    oauth = create_client(registration_source=source, **fields)
    rows = get_application_model().objects.filter(pk=oauth.application.pk)
    rows.update(updated=NOW() - used, cimd_expires_at=NOW() - used if source == "cimd" else None)
    oauth.application.refresh_from_db()
    return oauth


def names():
    return set(get_application_model().objects.values_list("name", flat=True))


@pytest.fixture(autouse=True)
def _open(settings):
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {API: {"registered_clients": True}}}


class TestWhichClients:
    def test_unused_ones_that_registered_themselves(self):
        registered(name="unused")
        registered(name="used", used=timedelta(days=89))
        registered("cimd", name="expired document", used=timedelta(minutes=1))
        registered("manual", name="of an administrator", used=timedelta(days=4000))
        fresh = registered("cimd", name="document")
        get_application_model().objects.filter(pk=fresh.application.pk).update(cimd_expires_at=NOW() + DAY)
        assert purge_unused_clients(dry_run=True) == 2
        assert purge_unused_clients() == 2
        assert names() == {"used", "of an administrator", "document"}
        assert purge_unused_clients() == 0

    @pytest.mark.parametrize(("retention", "deleted"), [(timedelta(days=30), 1), (timedelta(days=60), 0), (0, 0)])
    def test_the_site_chooses(self, retention, deleted, settings):
        settings.AT_JWT = {**settings.AT_JWT, "UNUSED_CLIENT_RETENTION": retention}
        registered(used=timedelta(days=45))
        registered("cimd") if retention == 0 else None
        assert purge_unused_clients() == deleted

    def test_a_shorter_time_than_tokens_live_is_lengthened(self, settings):
        """A token without a row and without a user leaves no trace but the day on which it was issued."""
        settings.AT_JWT = {**settings.AT_JWT, "UNUSED_CLIENT_RETENTION": 60}
        registered(used=DAY)
        assert purge_unused_clients() == 0
        registered(used=timedelta(days=1, hours=2))
        assert purge_unused_clients() == 1


def live_access_token(client, user):
    get_access_token_model().objects.create(application=client, user=user, token="a", expires=NOW() + DAY, scope="read")


def live_refresh_token(client, user):
    get_refresh_token_model().objects.create(application=client, user=user, token="r")


def code(client, user):
    get_grant_model().objects.create(
        application=client, user=user, code="c", expires=NOW() + DAY, redirect_uri="https://a/", scope="read"
    )


def id_token(client, user):
    get_id_token_model().objects.create(application=client, user=user, expires=NOW() + DAY, scope="openid")


def device_code(client, user):
    get_device_grant_model().objects.create(
        client_id=client.client_id, device_code="d", user_code="u", interval=5, expires=NOW() + DAY, scope="read"
    )


def authorization(client, user, **columns):
    row = Authorization(identifier="i" * 22, scopes="read", resources=[API], expires_at=NOW() - DAY, **columns)
    row.set_client(client)
    row.set_user(user)
    row.save()


def tokens_without_rows(client, user):
    authorization(client, user, tokens_expire_at=NOW() + timedelta(minutes=5))


@pytest.mark.parametrize("source", ["dcr", "cimd"])
@pytest.mark.parametrize(
    "give",
    [live_access_token, live_refresh_token, code, id_token, device_code, tokens_without_rows],
    ids=lambda give: give.__name__,
)
def test_a_client_with_something_that_can_be_used_stays(give, source, user):
    give(registered(source).application, user)
    assert purge_unused_clients(dry_run=True) == 0
    assert purge_unused_clients() == 0
    assert get_application_model().objects.exists()


class TestRelatedRows:
    def test_everything_that_is_stored_about_it(self, user):
        oauth, other = registered(), create_client()
        client, model, key = oauth.application, *reference_to(oauth.application)
        ended = {"tokens_expire_at": NOW() - DAY}
        authorization(client, user, **ended)
        authorization_of_other = Authorization(identifier="o" * 22, scopes="read", resources=[API], expires_at=NOW())
        authorization_of_other.set_client(other.application)
        authorization_of_other.set_user(user)
        authorization_of_other.save()
        IssuedToken.objects.create(token_id="x", authorization="i" * 22, expires_at=NOW() - DAY)
        machine = get_access_token_model().objects.create(application=client, token="m", expires=NOW() - DAY)
        IssuedToken.objects.create(token_id="y", access_token=str(machine.pk), expires_at=NOW() - DAY)
        registration = get_access_token_model().objects.create(
            application=client, token="g", expires=NOW() + 9999 * DAY, scope="oauth2_provider:registration"
        )
        ClientOptions.objects.create(client_model=model, client_key=key, store_access_tokens=False)
        assert registration.pk
        assert purge_unused_clients() == 1
        assert not get_access_token_model().objects.exists()
        assert not IssuedToken.objects.exists()
        assert not ClientOptions.objects.exists()
        assert list(Authorization.objects.values_list("identifier", flat=True)) == ["o" * 22]
        # Nothing could be used, so nothing has to be denied.
        assert not DenyListEntry.objects.exists()

    def test_a_client_that_is_deleted_otherwise_is_still_denied(self):
        registered().application.delete()
        assert DenyListEntry.objects.filter(kind="client").exists()
        registered(name="a")
        purge_unused_clients()
        registered(name="b").application.delete()
        assert DenyListEntry.objects.filter(kind="client").count() == 2


class TestCost:
    def statements_for(self, number):
        for _ in range(number):
            registered(used=timedelta(days=100))
        with captured_statements() as statements:
            assert purge_unused_clients() == number
        return len(statements)

    def test_does_not_grow_with_clients(self):
        self.statements_for(1)
        assert self.statements_for(20) == self.statements_for(2)

    def test_nothing_to_delete_takes_one_statement(self):
        registered(used=DAY)
        assert self.statements_for(0) == 1

    def test_batches(self, monkeypatch):
        monkeypatch.setattr(unused_clients, "_BATCH", 2)
        for _ in range(5):
            registered()
        said = []
        assert purge_unused_clients(progress=lambda _name, number: said.append(number)) == 5
        assert said == [2, 4, 5]

    def test_a_token_that_is_issued_meanwhile(self, monkeypatch, user):
        registered(name="kept")
        registered(name="deleted")
        lock = unused_clients.lock_authorizations

        def use_and_lock(rows):
            live_refresh_token(get_application_model().objects.get(name="kept"), user)
            return lock(rows)

        monkeypatch.setattr(unused_clients, "lock_authorizations", use_and_lock)
        assert purge_unused_clients() == 1
        assert names() == {"kept"}


@pytest.mark.usefixtures("django_capture_on_commit_callbacks")
class TestLastUse:
    def updated(self, oauth):
        return get_application_model().objects.values_list("updated", flat=True).get(pk=oauth.application.pk)

    def test_a_token_is_a_use(self, django_capture_on_commit_callbacks):
        oauth = registered(authorization_grant_type="client-credentials")
        with django_capture_on_commit_callbacks(execute=True):
            assert oauth.token("client_credentials").status_code == 200
        assert self.updated(oauth) > NOW() - DAY
        get_access_token_model().objects.all().delete()
        assert purge_unused_clients() == 0

    def test_it_is_stored_once_a_day(self, django_capture_on_commit_callbacks):
        oauth = registered(authorization_grant_type="client-credentials", used=timedelta(hours=23))
        before = self.updated(oauth)
        with django_capture_on_commit_callbacks(execute=True) as callbacks:
            assert oauth.token("client_credentials").status_code == 200
        assert (self.updated(oauth), callbacks) == (before, [])

    def test_other_clients_cost_nothing(self, django_capture_on_commit_callbacks):
        oauth = registered("manual", authorization_grant_type="client-credentials")
        before = self.updated(oauth)
        with django_capture_on_commit_callbacks(execute=True):
            assert oauth.token("client_credentials").status_code == 200
        assert self.updated(oauth) == before

    def test_a_token_without_a_row_is_a_use(self, settings, django_capture_on_commit_callbacks):
        settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": False}
        oauth = registered(authorization_grant_type="client-credentials")
        with django_capture_on_commit_callbacks(execute=True):
            assert oauth.token("client_credentials").status_code == 200
        assert not get_access_token_model().objects.exists()
        assert self.updated(oauth) > NOW() - DAY


@pytest.mark.parametrize("command", ["purge_tokens", "purge_authorizations"])
def test_commands_report_the_number(command):
    registered()
    for options, did in (({"dry_run": True}, "Would delete"), ({}, "Deleted")):
        text = run(command, **options)
        assert text.splitlines()[-1].startswith(did)
        assert text.endswith(" and 1 unused client.\n")
    assert not get_application_model().objects.exists()
