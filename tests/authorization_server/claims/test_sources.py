"""Claim sources: which fields mappers may read, and the number of statements."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import models
from django.test.utils import isolate_apps

from django_at_jwt.authorization_server.claims.sources import read_sources
from django_at_jwt.claims import ClaimContext
from django_at_jwt.core.claims import Needs, UnusableRule
from django_at_jwt.core.claims.rules import (
    ClientField,
    Groups,
    Permissions,
    RegisteredSource,
    ResourceServerField,
    UserField,
)
from django_at_jwt.models.mappable import _leads_to_another_user, refuse_source, usable_user_fields
from tests.people.models import Department, Profile, Site

pytestmark = pytest.mark.django_db

LISTED = ["email", "profile.department.code", "profile.badge", "profile.department.site.city"]


@pytest.fixture
def alice(user):
    bob = get_user_model().objects.create_user("bob", email="bob@example.com")
    department = Department.objects.create(code="R+D", site=Site.objects.create(city="Malmö"), head=bob)
    Profile.objects.create(user=user, department=department)
    for name in ("staff", "editors"):
        user.groups.add(Group.objects.create(name=name))
    user.user_permissions.add(Permission.objects.get(codename="view_session"))
    Group.objects.get(name="staff").permissions.add(
        *Permission.objects.filter(codename__in=["view_session", "add_user"])
    )
    return get_user_model().objects.get(pk=user.pk)


def read(user, needs, client=None):
    context = ClaimContext(user=user, client=client, scopes=[], resource_servers=[], grant="authorization_code")
    return read_sources(needs, context, resource_server={}, protocol={})


def needs(*paths, **more):
    return Needs(user_fields=frozenset(paths), **more)


@pytest.mark.parametrize(
    ("needed", "statements"),
    [
        (needs(), 0),
        (needs("email", "first_name"), 0),
        (needs("email", "profile.department.code"), 1),
        (needs("profile.badge", "profile.department.site.city", groups=True), 1),
        (needs("email", groups=True), 1),
        (needs(permissions=True), 1),
        (needs("profile.department.code", groups=True, permissions=True), 2),
    ],
)
def test_number_of_statements(alice, needed, statements, django_assert_num_queries):
    with django_assert_num_queries(statements):
        read(alice, needed)


def test_values(alice):
    got = read(
        alice,
        needs("email", "profile.department.code", "profile.department.site.city", groups=True, permissions=True),
    )
    assert got.user == {
        "email": "alice@example.com",
        "profile.department.code": "R+D",
        "profile.department.site.city": "Malmö",
    }
    assert list(got.groups) == ["editors", "staff"]
    assert list(got.permissions) == ["auth.add_user", "sessions.view_session"]


def test_user_without_anything(user):
    got = read(user, needs("profile.department.code", "profile.badge", groups=True, permissions=True))
    assert got.user == {"profile.department.code": None, "profile.badge": None}
    assert (list(got.groups), list(got.permissions)) == ([], [])


def test_superuser_has_the_permissions_that_were_given(db):
    root = get_user_model().objects.create_superuser("root")
    assert list(read(root, needs(permissions=True)).permissions) == []


def test_rows_of_other_users_are_not_read(alice, django_user_model):
    mallory = django_user_model.objects.create_user("mallory")
    got = read(mallory, needs("profile.department.code", groups=True, permissions=True))
    assert got.user == {"profile.department.code": None}
    assert (list(got.groups), list(got.permissions)) == ([], [])


def test_client_acts_for_itself(service, django_assert_num_queries):
    with django_assert_num_queries(0):
        got = read(None, needs("email", "profile.badge", groups=True, permissions=True), service.application)
    assert (got.user, list(got.groups), list(got.permissions)) == ({}, [], [])
    assert got.client == {"client_id": service.application.client_id, "name": "client-credentials client"}


def test_deferred_field_is_read_with_the_others(alice, django_assert_num_queries):
    sparse = get_user_model().objects.defer("email").get(pk=alice.pk)
    with django_assert_num_queries(1):
        got = read(sparse, needs("email", "profile.department.code"))
    assert got.user == {"email": "alice@example.com", "profile.department.code": "R+D"}


def test_user_deleted_in_the_meantime(alice):
    get_user_model().objects.filter(pk=alice.pk).delete()
    assert read(alice, needs("email", "profile.badge", groups=True)).user == {"email": "alice@example.com"}


class TestAllowed:
    @pytest.fixture(autouse=True)
    def _list_of_this_site(self, settings):
        settings.AT_JWT = {**settings.AT_JWT, "MAPPABLE_USER_FIELDS": LISTED}

    @pytest.mark.parametrize("path", LISTED)
    def test_listed_path(self, path):
        refuse_source(UserField(path=path))

    @pytest.mark.parametrize("path", ["first_name", "password", "profile.photo", "last_login", "pk", ""])
    def test_path_that_is_not_listed(self, path):
        with pytest.raises(UnusableRule, match="may not be mapped"):
            refuse_source(UserField(path=path))

    @pytest.mark.parametrize(
        ("path", "says"),
        [
            ("password", "never put into a token"),
            ("profile.password", "never put into a token"),
            ("_state", "never put into a token"),
            ("_meta.label", "never put into a token"),
            ("profile._state", "never put into a token"),
            ("profile__department__code", "never put into a token"),
            ("__class__", "never put into a token"),
            ("get_full_name", "no field"),
            ("is_authenticated", "no field"),
            ("pk", "no field"),
            ("profile.secret", "no field"),
            ("objects.first", "no field"),
            ("emial", "Use email"),
            ("groups", "is not a plain value"),
            ("groups.name", "does not lead to a single row"),
            ("user_permissions.codename", "does not lead to a single row"),
            ("profile", "is not a plain value"),
            ("profile.department", "is not a plain value"),
            ("profile.department_id", "no field"),
            ("profile.department.members.badge", "does not lead to a single row"),
            ("logentry.object_repr", "does not lead to a single row"),
            ("email.domain", "does not lead to a single row"),
            ("profile.photo", "is not a plain value"),
            ("profile.fingerprint", "is not a plain value"),
            ("profile.", "no field"),
            (".email", "no field"),
            ("profile.department.code.upper", "does not lead"),
            ("profile.department.head.email", "“head” leads to another user"),
            ("profile.department.head.profile.badge", "“head” leads to another user"),
            ("profile.user.email", "“user” leads to another user"),
        ],
    )
    def test_path_that_cannot_be_listed(self, path, says, settings):
        settings.AT_JWT = {**settings.AT_JWT, "MAPPABLE_USER_FIELDS": [path]}
        with pytest.raises(UnusableRule, match=says):
            refuse_source(UserField(path=path))
        assert usable_user_fields() == ()

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("client_secret", "never put into a token"),
            ("user", "is not a plain value"),
            ("user.email", "without a dot"),
            ("is_usable", "no field"),
        ],
    )
    def test_client_field_that_cannot_be_listed(self, name, says, settings):
        with pytest.raises(UnusableRule, match="may not be mapped"):
            refuse_source(ClientField(name=name))
        settings.AT_JWT = {**settings.AT_JWT, "MAPPABLE_CLIENT_FIELDS": [name]}
        with pytest.raises(UnusableRule, match=says):
            refuse_source(ClientField(name=name))

    def test_other_sources(self):
        for source in (Groups(), Permissions(), ClientField(name="name"), ResourceServerField(name="identifier")):
            refuse_source(source)
        with pytest.raises(UnusableRule, match="identifier, name"):
            refuse_source(ResourceServerField(name="secret"))
        with pytest.raises(UnusableRule, match="registered as “nothing”"):
            refuse_source(RegisteredSource(name="nothing"))

    def test_users_without_groups(self, monkeypatch):
        monkeypatch.setattr("django_at_jwt.models.mappable._many_to_many", lambda _name: None)
        for source in (Groups(), Permissions()):
            with pytest.raises(UnusableRule, match="The users of this site have no"):
                refuse_source(source)


@isolate_apps("tests.people")
def test_tables_that_inherit_with_the_users():
    class Employee(get_user_model()):
        class Meta:
            app_label = "people"

    class Desk(models.Model):  # noqa: DJ008 - nobody sees it
        used_by = models.ForeignKey(Employee, on_delete=models.CASCADE)

        class Meta:
            app_label = "people"

    link = Employee._meta.get_field("user_ptr")
    assert not _leads_to_another_user(link)
    assert not _leads_to_another_user(link.remote_field), "the same user's part in the other table"
    assert _leads_to_another_user(Desk._meta.get_field("used_by"))


def test_default_fields_are_names_and_email():
    assert usable_user_fields() == ("email", "first_name", "last_name")
