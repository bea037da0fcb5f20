"""``request.user`` in each user mode, over HTTP, and the attributes of principals without a row."""

from __future__ import annotations

import logging
import pickle
from contextlib import ExitStack

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.db import IntegrityError, OperationalError, ProgrammingError, router, transaction
from django.template import Context, Template
from rest_framework.permissions import DjangoModelPermissions, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from django_at_jwt.core.errors import TokenRejected
from django_at_jwt.core.profile import parse_claims
from django_at_jwt.core.subjects import UserMode, subject_digest
from django_at_jwt.models import IssuerSubject
from django_at_jwt.resource_server.users import lookup as users
from django_at_jwt.resource_server.users.lookup import UserOptions
from django_at_jwt.resource_server.users.resolution import principal_for
from django_at_jwt.rest_framework import AccessTokenAuthentication, MachinePrincipal, TokenPrincipal
from tests.authorization_server.views.broken_database import failing

INVALID = 'Bearer error="invalid_token", error_description="The access token is invalid."'
User = get_user_model()


@pytest.fixture
def mode(monkeypatch):
    """Configure how the issuer's users are found."""

    def use(mode, **options):
        options = UserOptions(mode=UserMode(mode), **options)
        monkeypatch.setattr("django_at_jwt.resource_server.users.resolution.user_options", lambda _issuer: options)

    return use


@pytest.fixture
def whoami(access_token_client):
    def get(address="/whoami/", **claims):
        access_token_client.carry(**claims)
        return access_token_client.get(address)

    return get


def refused(answer):
    return (answer.status_code, answer.get("WWW-Authenticate")) == (401, INVALID)


def no_fill(user, claims):
    """Leave the user unchanged."""


def fill_from_claims(user, claims):
    for name in ("username", "email", "first_name", "is_active"):
        if name in claims.raw:
            setattr(user, name, claims.raw[name])


def fill_groups(user, claims):
    user.save()
    user.groups.add(Group.objects.get_or_create(name="api")[0])


def refuse_everybody(user, claims):
    raise PermissionDenied


FILL = f"{__name__}.fill_from_claims"


@pytest.mark.django_db
class TestLocalIssuer:
    def test_settings_say_how_its_users_are_found(self, whoami, user, settings):
        settings.AT_JWT = {**settings.AT_JWT, "LOCAL_SUBJECT_LOOKUP": f"{__name__}.lookup_by_email"}
        assert whoami(sub="alice@example.com").json()["user"] == "alice"
        assert refused(whoami(sub=str(user.pk)))
        User.objects.update(is_active=False)
        assert refused(whoami(sub="alice@example.com"))

    def test_stateless_mode_makes_no_query(self, whoami, user, settings, django_assert_num_queries):
        settings.AT_JWT = {**settings.AT_JWT, "USER_MODE": "stateless"}
        with django_assert_num_queries(0):
            assert whoami(sub=str(user.pk)).json()["user"] == str(user.pk)
            assert refused(whoami(sub="x", exp=1))

    def test_its_users_are_never_created(self, settings):
        settings.AT_JWT = {**settings.AT_JWT, "USER_MODE": "created"}
        from django_at_jwt.conf import app_settings

        with pytest.raises(ImproperlyConfigured, match="must be one of local, stateless"):
            app_settings()

    def test_database_outage_is_answered_with_503(self, whoami, user, caplog):
        error = OperationalError("the server closed the connection")
        with failing(1, error, using=router.db_for_read(User)) as statements:
            answer = whoami(sub=str(user.pk))
        assert User._meta.db_table in statements.failed
        assert answer.status_code == 503
        assert int(answer["Retry-After"]) > 0
        [record] = [each for each in caplog.records if getattr(each, "event", "") == "token.unverifiable"]
        assert (record.missing, record.detail) == (
            "revocation",
            "the user of an access token cannot be read: the server closed the connection",
        )

    def test_missing_table_remains_an_error(self, whoami, user):
        error = ProgrammingError("no such table")
        with failing(1, error, using=router.db_for_read(User)), pytest.raises(ProgrammingError):
            whoami(sub=str(user.pk))

    def test_table_of_subjects_is_not_used(self, whoami, user, access_token_issuer):
        IssuerSubject.objects.create(issuer=access_token_issuer.issuer, subject="x", user=user)
        assert refused(whoami(sub="x"))


def lookup_by_email(claims, token):
    assert token.count(".") == 2
    return User.objects.filter(email=claims.subject).first()


@pytest.mark.django_db
class TestLocalByTable:
    @pytest.fixture(autouse=True)
    def _mode(self, mode):
        mode("local")

    @pytest.fixture
    def row(self, user, access_token_issuer):
        return IssuerSubject.objects.create(issuer=access_token_issuer.issuer, subject="Subject-1", user=user)

    def test_user_with_one_query(self, row, whoami, django_assert_num_queries):
        with django_assert_num_queries(1):
            assert whoami(sub="Subject-1").json()["user"] == "alice"

    @pytest.mark.parametrize(
        "subject", ["subject-1", "SUBJECT-1", "Subject-1 ", " Subject-1", "Subject-1\x00", "Subject-1\u200b"]
    )
    def test_subject_is_compared_letter_by_letter(self, subject, row, whoami):
        assert refused(whoami(sub=subject))

    def test_subject_of_another_issuer(self, user, whoami):
        IssuerSubject.objects.create(issuer="https://other.example.com", subject="Subject-1", user=user)
        assert refused(whoami(sub="Subject-1"))

    @pytest.mark.compliance("9068-31")
    def test_neither_primary_key_nor_name_nor_address_is_a_subject(self, user, whoami):
        for subject in (str(user.pk), user.username, user.email):
            assert refused(whoami(sub=subject))
        assert User.objects.count() == 1

    def test_inactive_user(self, row, whoami, caplog):
        caplog.set_level(logging.INFO, "django_at_jwt")
        User.objects.update(is_active=False)
        assert refused(whoami(sub="Subject-1"))
        assert "inactive_subject" in caplog.text
        assert "Subject-1" not in caplog.text

    def test_user_hidden_by_the_default_manager_is_unknown(self, row, whoami, monkeypatch):
        from django.db.models import Manager

        class Living(Manager):
            def get_queryset(self):
                return super().get_queryset().exclude(username="alice")

        living = Living()
        living.model = User
        monkeypatch.setattr(users, "get_user_model", lambda: type("M", (), {"_default_manager": living}))
        assert refused(whoami(sub="Subject-1"))

    def test_deleted_user(self, row, user, whoami):
        user.delete()
        assert refused(whoami(sub="Subject-1"))

    def test_without_the_app_it_says_what_to_do(self, whoami, monkeypatch):
        def no_such_model(*_arguments):
            raise LookupError

        monkeypatch.setattr(users.apps, "get_model", no_such_model)
        with pytest.raises(ImproperlyConfigured, match=r'"django_at_jwt" to INSTALLED_APPS and run manage.py migrate'):
            whoami(sub="x")


@pytest.mark.django_db
class TestLocalByField:
    def test_user_with_one_query(self, mode, user, whoami, django_assert_num_queries):
        mode("local", field="username")
        with django_assert_num_queries(1):
            assert whoami(sub="alice").json()["user"] == "alice"
        assert refused(whoami(sub="Alice"))
        assert refused(whoami(sub="alice\x00"))
        assert refused(whoami(sub=str(user.pk)))


@pytest.mark.django_db
class TestCreated:
    def test_user_is_created_once(self, mode, whoami, access_token_issuer, django_assert_num_queries):
        mode("created")
        first = whoami(sub="Subject-1").json()["user"]
        with django_assert_num_queries(1):
            assert whoami(sub="Subject-1").json()["user"] == first
        [user] = User.objects.all()
        [row] = IssuerSubject.objects.all()
        assert (row.issuer, row.subject, row.user) == (access_token_issuer.issuer, "Subject-1", user)
        assert row.created_at
        assert not user.has_usable_password()
        assert user.is_active
        assert not user.is_staff
        assert not user.is_superuser
        assert user.get_all_permissions() == set()

    def test_letters_matter(self, mode, whoami):
        mode("created")
        names = {whoami(sub=subject).json()["user"] for subject in ("a", "A", "a ", "\u00e4", "x" * 3000)}
        assert len(names) == User.objects.count() == 5

    @pytest.mark.parametrize("subject", ["\x00", "a\x00b", "\ud800"])
    def test_subject_that_no_database_holds(self, subject, mode):
        for name in ("created", "local"):
            mode(name)
            with pytest.raises(TokenRejected, match="unknown_subject"):
                principal_for(claims(sub=subject), "a token")
        assert not User.objects.exists()

    def test_claims_give_no_authority(self, mode, whoami):
        mode("created")
        permissions = [permission.codename for permission in Permission.objects.all()]
        Group.objects.create(name="admins")
        claims = {"is_staff": True, "is_superuser": True, "groups": ["admins"], "user_permissions": permissions}
        assert whoami(sub="x", roles=["admin"], **claims).status_code == 200
        user = User.objects.get()
        assert not user.is_staff
        assert not user.is_superuser
        assert not user.groups.exists()
        assert user.get_all_permissions() == set()

    def test_hook_fills_it_once(self, mode, whoami):
        mode("created", fill=FILL)
        whoami(sub="1", username="bo", email="bo@example.com", first_name="Bo")
        whoami(sub="1", username="other", email="other@example.com", first_name="Other")
        user = User.objects.get()
        assert (user.username, user.email, user.first_name) == ("bo", "bo@example.com", "Bo")
        assert not user.has_usable_password()

    @pytest.mark.parametrize("name", ["alice", "Alice", "ALICE"])
    def test_name_of_another_user_gets_a_suffix(self, name, mode, user, whoami):
        mode("created", fill=FILL)
        made = whoami(sub="1", username=name).json()["user"]
        assert made.startswith(f"{name}-")
        assert whoami(sub="2", username=name).json()["user"] not in {made, "alice"}
        assert User.objects.count() == 3
        user.refresh_from_db()
        assert user.check_password("correct horse")
        assert not user.issuer_subjects.exists()

    def test_long_name_of_another_user(self, mode, whoami):
        mode("created", fill=FILL)
        names = {whoami(sub=subject, username="n" * 150).json()["user"] for subject in "ab"}
        assert {len(name) for name in names} == {150}
        assert len(names) == 2

    def test_address_of_another_user_is_not_matched(self, mode, user, whoami):
        mode("created", fill=FILL)
        made = whoami(sub="1", email="alice@example.com").json()["user"]
        assert made != "alice"
        assert User.objects.count() == 2

    @pytest.mark.parametrize("value", ["n" * 200, "two words", ["a", "list"], None, ""])
    def test_invalid_field_is_rejected_and_named_in_the_log(self, value, mode, whoami, caplog):
        mode("created", fill=FILL)
        assert refused(whoami(sub="1", username=value))
        assert not User.objects.exists()
        assert "could not be created at first sight (username)" in caplog.text
        assert "two words" not in caplog.text

    def test_unique_value_that_is_taken_is_refused(self, mode, user, whoami, caplog, monkeypatch):
        mode("created")

        def taken(*_arguments, **_options):
            raise IntegrityError("Key (email)=(alice@example.com) already exists")

        monkeypatch.setattr(User, "save", taken)
        assert refused(whoami(sub="1"))
        assert "alice@example.com" not in caplog.text

    def test_inactive_from_the_start_waits_for_an_administrator(self, mode, whoami):
        mode("created", fill=FILL)
        assert refused(whoami(sub="1", is_active=False))
        user = User.objects.get()
        user.is_active = True
        user.save()
        assert whoami(sub="1").json()["user"] == user.username

    def test_hook_may_save_to_add_groups(self, mode, whoami):
        mode("created", fill=f"{__name__}.fill_groups")
        assert whoami(sub="1").status_code == 200
        assert [group.name for group in User.objects.get().groups.all()] == ["api"]
        assert whoami(sub="2").status_code == 200

    def test_hook_may_refuse(self, mode, whoami):
        mode("created", fill=f"{__name__}.refuse_everybody")
        assert whoami(sub="1").status_code == 403
        assert not User.objects.exists()

    @pytest.mark.compliance("9068-31")
    def test_client_is_not_a_user(self, mode, whoami):
        mode("created")
        assert whoami(sub="service", client_id="service").json()["user"] == "client:service"
        assert not User.objects.exists()

    def test_rejected_token_creates_no_user(self, mode, whoami, django_assert_num_queries):
        mode("created")
        with django_assert_num_queries(0):
            assert refused(whoami(sub="1", aud="https://other.example.com/"))

    def test_by_field(self, mode, whoami, user):
        mode("created", field="username", fill=FILL)
        assert whoami(sub="bo", username="another").json()["user"] == "bo"
        assert whoami(sub="bo").json()["user"] == "bo"
        assert whoami(sub="alice").json()["user"] == "alice"
        assert User.objects.count() == 2
        assert not IssuerSubject.objects.exists()

    def test_hidden_user_is_neither_found_nor_created_again(self, mode, whoami, monkeypatch):
        mode("created")
        whoami(sub="1")
        monkeypatch.setattr(users, "user_by_table", lambda *_arguments, **_options: None)
        assert refused(whoami(sub="1"))
        assert User.objects.count() == 1

    def test_log_has_no_personal_data(self, mode, whoami, caplog):
        caplog.set_level(logging.DEBUG, "django_at_jwt")
        mode("created", fill=FILL)
        whoami(sub="Subject-1", username="bo", email="bo@example.com")
        assert f"User {User.objects.get().pk} was created" in caplog.text
        assert "Subject-1" not in caplog.text
        assert "bo" not in caplog.text.replace("bot", "")


@pytest.mark.compliance("9068-31")
@pytest.mark.parametrize("name", UserMode)
@pytest.mark.django_db
def test_client_with_a_users_identifier_is_a_client_in_every_mode(name, mode, user, whoami, access_token_issuer):
    IssuerSubject.objects.create(issuer=access_token_issuer.issuer, subject="x", user=user)
    for lookup in (None, "django_at_jwt.resource_server.users.lookup.user_for_local_subject"):
        mode(name, lookup=lookup)
        for same in ("x", str(user.pk), "alice"):
            assert whoami(sub=same, client_id=same).json()["user"] == f"client:{same}"
    assert User.objects.count() == 1


@pytest.mark.parametrize("name", ["local", "created"])
@pytest.mark.django_db
def test_deactivated_user_is_refused_in_every_mode_that_has_users(name, mode, user, whoami, access_token_issuer):
    IssuerSubject.objects.create(issuer=access_token_issuer.issuer, subject="x", user=user)
    ways = ({}, {"field": "username"}, {"lookup": "django_at_jwt.resource_server.users.lookup.user_for_local_subject"})
    subjects = ("x", "alice", str(user.pk))
    for active in (True, False):
        User.objects.update(is_active=active)
        for way, subject in zip(ways, subjects, strict=True):
            mode(name, **way)
            assert refused(whoami(sub=subject)) is not active


def claims(**changes):
    values = {"iss": "https://a.example.com", "aud": "x", "client_id": "c", "iat": 1, "exp": 2, "jti": "j", "sub": "s"}
    return parse_claims(values | changes)


PRINCIPALS = [TokenPrincipal(claims(is_staff=True, groups=["admins"])), MachinePrincipal("c", issuer="https://a")]


class TestPrincipals:
    @pytest.mark.parametrize("principal", PRINCIPALS, ids=repr)
    def test_have_no_permissions(self, principal):
        assert principal.is_authenticated
        assert not principal.is_anonymous
        assert principal.is_active
        assert not principal.is_staff
        assert not principal.is_superuser
        assert not principal.has_perm("auth.view_user")
        assert not principal.has_perms(["auth.view_user"])
        assert not principal.has_module_perms("auth")
        assert principal.get_all_permissions() == principal.get_group_permissions() == set()
        assert principal.get_user_permissions() == set()
        assert list(principal.groups.all()) == list(principal.user_permissions.all()) == []
        assert principal.username == principal.get_username() == str(principal)
        assert principal.id == principal.pk
        # For primary keys that are numbers, and for UUIDs.
        with pytest.raises((ValueError, ValidationError), match=principal.pk):
            User.objects.filter(pk=principal.pk)

    def test_are_equal_by_issuer_and_subject(self):
        same = TokenPrincipal(claims()), TokenPrincipal(claims(jti="another", client_id="another"))
        others = [claims(sub="S"), claims(sub="s "), claims(iss="https://b.example.com"), claims(iss="https://A")]
        everybody = {*same, *map(TokenPrincipal, others)}
        assert same[0] == same[1]
        assert len(everybody) == len({each.pk for each in everybody}) == 5

    def test_clients_of_different_issuers_are_different(self):
        a, b = (MachinePrincipal("5", issuer=issuer) for issuer in ("https://a", "https://b"))
        assert a != b
        assert a.pk != b.pk
        assert len({a, b, MachinePrincipal("5", issuer="https://a")}) == 2
        assert str(a) == str(b) == "client:5"

    def test_client_is_not_the_subject_with_its_id(self):
        assert MachinePrincipal("s", issuer="https://a.example.com") != TokenPrincipal(claims())

    def test_issuer_and_subject_cannot_be_shifted(self):
        assert subject_digest("https://a", "b") != subject_digest("https://", "ab")

    def test_text_of_the_subject_is_in_no_repr(self):
        assert "ann@example.com" not in repr(TokenPrincipal(claims(sub="ann@example.com")))

    def test_in_a_template(self):
        template = Template("{% if user.is_authenticated %}{{ user.username }} {{ user.get_username }}{% endif %}")
        assert template.render(Context({"user": PRINCIPALS[0]})) == "s s"

    def test_can_be_pickled(self):
        for principal in PRINCIPALS:
            assert pickle.loads(pickle.dumps(principal)) == principal


class TestInDjangoRestFramework:
    class Open(APIView):
        authentication_classes = [AccessTokenAuthentication]
        permission_classes = [IsAuthenticated]
        queryset = User.objects.none()

        def get(self, request):
            return Response({"user": request.user.pk, "django": request._request.user.pk})

    def ask(self, issuer, view=Open, **claims):
        with ExitStack() as stack:
            stack.enter_context(issuer.installed())
            headers = {"Authorization": f"Bearer {issuer.token(**claims)}"}
            return view.as_view()(APIRequestFactory().get("/", headers=headers))

    @pytest.fixture(autouse=True)
    def _stateless(self, settings):
        settings.AT_JWT = {**settings.AT_JWT, "USER_MODE": "stateless"}
        cache.clear()

    def test_throttled_each_by_issuer_and_subject(self, access_token_issuer):
        class Once(UserRateThrottle):
            rate = "1/day"

        class Throttled(self.Open):
            throttle_classes = [Once]

        def statuses(**claims):
            return [self.ask(access_token_issuer, Throttled, **claims).status_code for _ in range(2)]

        for who in ({"sub": "a"}, {"sub": "b\n\x00 ü" * 200}, {"sub": "c", "client_id": "c"}):
            assert statuses(**who) == [200, 429]

    @pytest.mark.parametrize("permission", [IsAdminUser, DjangoModelPermissions])
    def test_permissions_of_django_are_refused(self, permission, access_token_issuer):
        class Guarded(self.Open):
            permission_classes = [permission]
            http_method_names = ["get", "post"]

            def post(self, request):
                raise AssertionError

        with access_token_issuer.installed():
            headers = {"Authorization": f"Bearer {access_token_issuer.token(is_staff=True, is_superuser=True)}"}
            assert Guarded.as_view()(APIRequestFactory().post("/", headers=headers)).status_code == 403

    def test_is_the_user_of_djangos_own_request_too(self, access_token_issuer):
        answer = self.ask(access_token_issuer, sub="a")
        assert (
            answer.data["user"] == answer.data["django"] == f"subject:{subject_digest(access_token_issuer.issuer, 'a')}"
        )


@pytest.mark.django_db
class TestTableOfSubjects:
    def test_one_subject_is_one_user(self, user):
        other = User.objects.create_user("bo")
        IssuerSubject.objects.create(issuer="https://a", subject="s", user=user)
        IssuerSubject.objects.create(issuer="https://a", subject="S", user=other)
        IssuerSubject.objects.create(issuer="https://b", subject="s", user=user)
        for write in (
            lambda row: row.save(),
            lambda row: IssuerSubject.objects.bulk_create([row]),
            lambda row: row.full_clean(),
        ):
            with pytest.raises((IntegrityError, ValidationError)), transaction.atomic(using=user._state.db):
                write(IssuerSubject(issuer="https://a", subject="s", user=other))
        assert IssuerSubject.objects.count() == 3

    def test_many_at_once_can_be_found(self, user):
        IssuerSubject.objects.bulk_create(
            IssuerSubject(issuer="https://a", subject=str(number), user=user) for number in range(3)
        )
        assert users.user_by_table("https://a", "2") == user

    def test_natural_key(self, user):
        from django.core import serializers

        row = IssuerSubject.objects.create(issuer="https://a", subject="s", user=user)
        assert IssuerSubject.objects.get_by_natural_key(*row.natural_key()) == row
        options = {"use_natural_foreign_keys": True, "use_natural_primary_keys": True}
        dumped = serializers.serialize("json", [row], **options)
        row.delete()
        [loaded] = serializers.deserialize("json", dumped, using=user._state.db)
        loaded.save()
        assert users.user_by_table("https://a", "s") == user

    def test_text_of_the_subject_is_in_no_str(self, user):
        row = IssuerSubject.objects.create(issuer="https://a", subject="ann@example.com", user=user)
        assert "ann@example.com" not in f"{row} {row!r}"
