"""System checks of resource servers and subjects: each is triggered and names the remedy."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AbstractBaseUser
from django.db import OperationalError, connection, models
from django.test.utils import isolate_apps
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.checks import ids
from django_at_jwt.checks.resource_servers import check_introspection_scope
from django_at_jwt.checks.subjects import check_subject
from django_at_jwt.models import IntrospectionClient, ResourceServer

from .test_checks import found

pytestmark = pytest.mark.django_db

MAIL = "https://mail.example.com/"
KEY = base64.urlsafe_b64encode(b"k" * 32).decode()


class TestClients:
    def test_api_that_no_client_may_request(self, signing_keys, settings):
        row = ResourceServer.objects.create(identifier=MAIL, name="Mail")
        registry.clear()
        message = found()["django_at_jwt.W030"]
        assert message.msg == f"No client gets tokens for resource server {MAIL}."
        row.clients = ["a client"]
        row.save()
        registry.clear()
        assert found() == {}
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {MAIL: {"clients": []}}}
        assert "django_at_jwt.W030" in found()

    def test_disabled_api(self, signing_keys):
        ResourceServer.objects.create(identifier=MAIL, name="Mail", enabled=False)
        assert found() == {}


class TestIntrospectionClients:
    def test_unknown_and_public_clients(self, signing_keys, make_client, settings):
        public, confidential = make_client(client_type="public"), make_client()
        names = [each.application.client_id for each in (public, confidential)]
        ResourceServer.objects.create(
            identifier=MAIL, name="Mail", open_to_all_clients=True, introspection_clients=names
        )
        registry.clear()
        message = found()["django_at_jwt.W031"]
        assert message.msg.startswith(f"Resource server {MAIL} names the introspecting client {names[0]!r}")
        ResourceServer.objects.update(introspection_clients=names[1:])
        registry.clear()
        assert found() == {}
        settings.AT_JWT = {**settings.AT_JWT, "INTROSPECTION_CLIENTS": ["x"]}
        assert "INTROSPECTION_CLIENTS" in found()["django_at_jwt.W031"].msg


class TestIntrospectionScope:
    @pytest.fixture(autouse=True)
    def _not_silenced(self, settings, signing_keys):
        settings.SILENCED_SYSTEM_CHECKS = []

    def test_no_client_may_ask(self, settings):
        message = found()["django_at_jwt.W040"]
        assert 'has the scope "introspection"' in message.msg
        assert "INTROSPECTION_CLIENTS" in message.hint
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"read": "Read", "reports:read": "Reports"}}
        assert found() == {}
        del settings.OAUTH2_PROVIDER["SCOPES"]
        assert "django_at_jwt.W040" not in found()

    def test_client_for_all_tokens_in_the_settings(self, service, settings):
        settings.AT_JWT = {**settings.AT_JWT, "INTROSPECTION_CLIENTS": [service.application.client_id]}
        assert found() == {}

    def test_client_for_all_tokens_in_the_admin(self, service):
        IntrospectionClient.objects.create(client_id=service.application.client_id)
        assert found() == {}

    def test_client_of_an_api(self, service):
        ResourceServer.objects.create(
            identifier=MAIL,
            name="Mail",
            open_to_all_clients=True,
            introspection_clients=[service.application.client_id],
        )
        registry.clear()
        assert found() == {}

    def test_query(self, django_assert_num_queries, settings):
        registry.latest()
        with django_assert_num_queries(1):
            assert check_introspection_scope() != []
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"read": "Read"}}
        with django_assert_num_queries(0):
            assert check_introspection_scope() == []

    def test_table_that_cannot_be_read(self, monkeypatch):
        def fail(*_arguments):
            raise OperationalError

        monkeypatch.setattr(type(IntrospectionClient.objects.all()), "exists", fail)
        assert check_introspection_scope() == []


class TestDefaultResource:
    def test_none(self, signing_keys, settings):
        settings.AT_JWT = {}
        message = found()["django_at_jwt.E003"]
        assert "DEFAULT_RESOURCE" in message.hint
        assert "in the admin" in message.hint

    def test_row(self, signing_keys, settings):
        settings.AT_JWT = {"AUDIENCE": MAIL}
        ResourceServer.objects.create(identifier=MAIL, name="Mail", is_default=True, open_to_all_clients=True)
        assert found() == {}

    def test_row_alone_while_views_have_no_audience(self, signing_keys, settings, monkeypatch):
        settings.AT_JWT = {}
        ResourceServer.objects.create(identifier=MAIL, name="Mail", is_default=True, open_to_all_clients=True)
        message = found()["django_at_jwt.W011"]
        assert f"The default resource, {MAIL}, is only marked in the admin" in message.msg
        assert f'"AUDIENCE": "{MAIL}"' in message.hint
        assert f'for_audience("{MAIL}")' in message.hint
        monkeypatch.setattr(ids, "sys", SimpleNamespace(modules={}))
        assert found() == {}, "no view takes access tokens"

    def test_several_rows(self, signing_keys, settings):
        settings.AT_JWT = {"AUDIENCE": MAIL}
        for identifier in (MAIL, "https://a.example.com/"):
            ResourceServer.objects.create(identifier=identifier, name=identifier, open_to_all_clients=True)
        ResourceServer.objects.update(is_default=True)
        registry.clear()
        message = found()["django_at_jwt.W012"]
        assert f"{MAIL}, https://a.example.com/. {MAIL} is used" in message.msg
        assert registry.latest().default == MAIL
        ResourceServer.objects.get(identifier="https://a.example.com/").save()
        assert found() == {}
        assert registry.latest().default == "https://a.example.com/"
        ResourceServer.objects.update(is_default=True)
        settings.AT_JWT = {"DEFAULT_RESOURCE": MAIL}
        assert found() == {}, "the settings decide"

    @pytest.mark.django_db(transaction=True)
    def test_table_that_is_not_there_yet_does_not_hold_up_migrate(self, settings):
        settings.AT_JWT = {}
        with connection.schema_editor() as editor:
            editor.delete_model(ResourceServer)
        registry.clear()
        try:
            assert "django_at_jwt.E003" not in found()
            settings.AT_JWT = {"DEFAULT_RESOURCE": MAIL}
            assert "django_at_jwt.E012" not in found()
        finally:
            with connection.schema_editor() as editor:
                editor.create_model(ResourceServer)


class TestEquivalentIdentifiers:
    def test_of_two_rows_are_reported(self, signing_keys):
        for identifier in (MAIL, MAIL.removesuffix("/")):
            ResourceServer.objects.create(identifier=identifier, name="Mail", open_to_all_clients=True)
        registry.clear()
        message = found()["django_at_jwt.E030"]
        assert message.msg.startswith(
            f"The resource identifiers {MAIL!r} and {MAIL.removesuffix('/')!r} are equivalent"
        )
        ResourceServer.objects.filter(identifier=MAIL).update(identifier=f"{MAIL}mail/")
        registry.clear()
        assert found() == {}

    def test_former_identifier_that_is_registered_again_is_reported(self, signing_keys):
        ResourceServer.objects.create(identifier=MAIL, name="Mail", open_to_all_clients=True)
        moved = {"open_to_all_clients": True, "aliases": [MAIL]}
        ResourceServer.objects.create(identifier="https://new.example.com/", name="New", **moved)
        registry.clear()
        assert found()["django_at_jwt.E030"].msg.startswith(f"Two resource servers have the identifier {MAIL!r}")

    def test_of_a_default_in_the_settings_are_reported(self, signing_keys, settings):
        ResourceServer.objects.create(identifier=MAIL, name="Mail", open_to_all_clients=True)
        settings.AT_JWT = {"DEFAULT_RESOURCE": MAIL.upper().removesuffix("/")}
        registry.clear()
        assert "django_at_jwt.E030" in found()

    def test_are_refused_in_the_settings(self, settings):
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": [MAIL, MAIL.removesuffix("/")]}
        message = found()["django_at_jwt.E001"]
        assert "RESOURCE_SERVERS" in message.msg
        assert "the same identifier (RFC 3986 section 6.2.3)" in message.msg


class TestResourceServers:
    def test_algorithm_that_is_not_in_use(self, at_jwt, signing_keys):
        at_jwt(RESOURCE_SERVERS={MAIL: {"algorithm": "ES256"}})
        message = found()["django_at_jwt.E012"]
        assert MAIL in message.msg
        assert "ES256" in message.hint
        at_jwt(RESOURCE_SERVERS={MAIL: {"algorithm": "ES256", "format": "opaque"}})
        assert found() == {}
        at_jwt(RESOURCE_SERVERS={MAIL: {"algorithm": "ES256", "enabled": False}})
        assert found() == {}

    def test_default_that_is_isolated(self, at_jwt, signing_keys):
        at_jwt(DEFAULT_RESOURCE=MAIL, RESOURCE_SERVERS={MAIL: {"isolated": True}})
        messages = found()
        assert "must request an isolated resource by name" in messages["django_at_jwt.E012"].hint
        assert "django_at_jwt.E003" not in messages

    def test_scope_that_no_client_can_ask_for(self, at_jwt, signing_keys):
        at_jwt(RESOURCE_SERVERS={MAIL: {"scopes": ["read", "mail:send", "mail:read"]}})
        message = found()["django_at_jwt.W013"]
        assert f"{MAIL} has scopes that no client can request: mail:send, mail:read." in message.msg
        assert 'Add "mail:send" and "mail:read" to OAUTH2_PROVIDER["SCOPES"], with a text for each' in message.hint

    def test_scopes_in_a_table_that_is_not_there_yet(self, at_jwt, signing_keys, monkeypatch):
        class FromTable:
            def get_all_scopes(self):
                raise OperationalError

        at_jwt(RESOURCE_SERVERS={MAIL: {"scopes": ["mail:send"]}})
        monkeypatch.setattr("django_at_jwt.authorization_server.toolkit.get_scopes_backend", FromTable)
        assert found() == {}

    def test_declared_and_registered(self, at_jwt, signing_keys):
        at_jwt(RESOURCE_SERVERS=[MAIL])
        ResourceServer.objects.create(identifier=MAIL, name="Mail", open_to_all_clients=True)
        message = found()["django_at_jwt.W010"]
        assert MAIL in message.msg
        assert "The settings take precedence" in message.hint

    def test_lifetime_beyond_the_retention(self, at_jwt, signing_keys):
        at_jwt(RETENTION=7200)
        ResourceServer.objects.create(identifier=MAIL, name="Mail", lifetime=8000, open_to_all_clients=True)
        assert "2:13:20" in found()["django_at_jwt.E009"].msg


class TestSubject:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ({"SUBJECT": "nickname"}, "not a field of auth.User"),
            ({"SUBJECT": "first_name"}, "not a unique field of auth.User"),
            ({"SUBJECT": "groups"}, "not a unique field of auth.User"),
            ({"SUBJECT": "tests.no_such_module.subject"}, "cannot be imported"),
            ({"SUBJECT": "tests.settings.ISSUER"}, "is not callable"),
            ({"USER_BY_SUBJECT": "tests.settings.ISSUER"}, "is not callable"),
        ],
    )
    def test_unusable(self, values, expected, at_jwt, signing_keys):
        at_jwt(**values)
        assert expected in found()["django_at_jwt.E013"].msg

    def test_name_that_can_be_given_again(self, at_jwt, signing_keys):
        at_jwt(SUBJECT="username")
        message = found()["django_at_jwt.W008"]
        assert "reassigned to another user" in message.msg
        assert "pk" in message.hint

    @pytest.mark.parametrize("rule", ["pk", "email"])
    @isolate_apps("tests.people")
    def test_name_that_is_the_primary_key(self, rule, at_jwt, signing_keys, monkeypatch):
        class User(AbstractBaseUser):
            email = models.EmailField("e-mail address", primary_key=True)
            USERNAME_FIELD = "email"

            class Meta:
                app_label = "people"

        monkeypatch.setattr("django_at_jwt.checks.subjects.token_user_model", lambda: User)
        at_jwt(SUBJECT=rule)
        [message] = check_subject()
        assert (message.id, f"{rule!r}, the e-mail address, which" in message.msg) == ("django_at_jwt.W008", True)
        assert '"pk"' not in message.hint

    def test_callable_without_a_way_back(self, at_jwt, signing_keys):
        at_jwt(SUBJECT="tests.authorization_server.test_subject.by_callable")
        message = found()["django_at_jwt.W015"]
        assert 'AT_JWT["USER_BY_SUBJECT"] is not set' in message.msg
        assert "inverse of tests.authorization_server.test_subject.by_callable" in message.hint
        at_jwt(PAIRWISE_SUBJECT_KEY=KEY)
        assert found() == {}

    @pytest.mark.parametrize("rule", ["pk", "id", "tests.authorization_server.test_subject.by_callable"])
    def test_fine(self, rule, at_jwt, signing_keys):
        at_jwt(SUBJECT=rule, USER_BY_SUBJECT="tests.authorization_server.test_subject.back_from_callable")
        assert found() == {}

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ({"SUBJECT": 7}, "a field of the user model"),
            ({"SUBJECT": "user name"}, "a field of the user model"),
            ({"USER_BY_SUBJECT": "nothing"}, "dotted path"),
            ({"PAIRWISE_SUBJECT_KEY": "c2hvcnQ"}, "32 bytes"),
            ({"SECTOR_IDENTIFIERS": ["x"]}, "by client id"),
            ({"SECTOR_IDENTIFIERS": {"x": ""}}, "sector URLs or hosts"),
            ({"SECTOR_IDENTIFIERS": {"x": 7}}, "sector URLs or hosts"),
            ({"SECTOR_IDENTIFIERS": {7: "https://x.example.com"}}, "by client id"),
            ({"ISSUER_SCOPES": "openid"}, "must be a list"),
        ],
    )
    def test_unreadable(self, values, expected, at_jwt, signing_keys):
        at_jwt(**values)
        assert expected in found()["django_at_jwt.E001"].msg


class TestSectors:
    def test_client_with_several_hosts(self, at_jwt, signing_keys, make_client):
        make_client()
        wide = make_client(redirect_uris="https://a.example.com/ https://b.example.com/").application
        assert found() == {}
        at_jwt(PAIRWISE_SUBJECT_KEY=KEY)
        message = found()["django_at_jwt.W009"]
        assert wide.client_id in message.msg
        at_jwt(SECTOR_IDENTIFIERS={wide.client_id: "a.example.com"})
        assert found() == {}
        get_application_model().objects.all().delete()
        at_jwt(SECTOR_IDENTIFIERS={})
        assert found() == {}
