"""The review pages of claim mappers and resource servers: what they show before a change is saved, over HTTP."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group, Permission
from django.core import signing
from django.db import models
from django.test.utils import isolate_apps
from django.urls import reverse

from django_at_jwt.authorization_server import subject as subjects
from django_at_jwt.authorization_server.claims import sampling as token_sample
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.profile import encode_json
from django_at_jwt.models import ClaimMapper, ResourceServer, SigningKey
from tests.conftest import decoded

from .pages import confirm, fields_of, is_shown, may, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

LIST = "/admin/django_at_jwt/claimmapper/"
ADD = f"{LIST}add/"
SERVERS = "/admin/django_at_jwt/resourceserver/"
MAIL = {"name": "mail", "claim": "email", "source_kind": "user", "source_user": "email"}


@pytest.fixture
def mapper(db):
    return make("mail", "email", {"kind": "user", "path": "email"})


def make(name, claim, source, **fields):
    return ClaimMapper.objects.create(name=name, claim=claim, source=source, **fields)


def change(row):
    return reverse(f"admin:django_at_jwt_{row._meta.model_name}_change", args=[row.pk])


def delete(row):
    return reverse(f"admin:django_at_jwt_{row._meta.model_name}_delete", args=[row.pk])


def text_of(page):
    return " ".join(page.content.decode().split())


def mappers():
    return sorted(ClaimMapper.objects.values_list("name", "claim", "order", "enabled"))


@pytest.mark.compliance("9068-34")
def test_new_mapper_shows_claims_sizes_clients_and_personal_data(admin, user, web, service):
    page = send(admin, ADD, **MAIL, tokens_for="users")
    text = text_of(page)
    assert "the user&#x27;s email address" in text
    assert "Affects tokens of up to 1 of 2 clients." in text
    assert "Additional personal data may be sent:</strong> <code>email</code>" in text
    assert "<code>&quot;alice@example.com&quot;</code>" in text
    impact = page.context["impact"]
    assert {diff.token.user.username for diff in impact.tokens} == {"admin", "alice"}
    assert {diff.token.server.identifier for diff in impact.tokens} == {
        "https://api.example.com/",
        "https://reports.example.com/",
    }
    assert all(diff.bytes > len("alice@example.com") for diff in impact.tokens)
    assert mappers() == []
    assert confirm(admin, page).status_code == 302
    assert mappers() == [("mail", "email", 0, True)]
    assert LogEntry.objects.filter(content_type__model="claimmapper").count() == 1


def test_sizes_are_those_of_the_tokens(admin, user, web):
    [diff] = [
        each
        for each in send(admin, ADD, **MAIL).context["impact"].tokens
        if each.token.user == user and each.token.server.identifier == "https://api.example.com/"
    ]
    confirm(admin, send(admin, ADD, **MAIL))
    scope = " ".join(diff.after.scopes)
    token = web.code_flow(user, scope=scope).json()["access_token"]
    claims = decoded(token)[1]
    # A real token also has the claims about the login.
    login = {name: claims[name] for name in ("auth_time", "amr", "acr") if name in claims}
    assert abs(len(token) - diff.size_after - (len(encode_json(login)) - 1) * 4 / 3) < 3


def test_change_that_cannot_affect_tokens_is_saved_at_once(admin, user, web, mapper):
    assert send(admin, change(mapper), note="Asked for by the reports team.").status_code == 302
    mapper.refresh_from_db()
    assert mapper.note


def test_changed_mapper_shows_both_sides(admin, user, web, mapper):
    page = send(admin, change(mapper), claim="mail", **{"transforms-0-step": "prefix", "transforms-0-text": "x:"})
    kinds = {(claim.name, claim.kind) for diff in page.context["impact"].tokens for claim in diff.claims}
    assert kinds == {("email", "removed"), ("mail", "added")}
    assert "add prefix: “x:”" in text_of(page)
    page = send(admin, change(mapper), **{"transforms-0-step": "prefix", "transforms-0-text": "x:"})
    assert "x:alice@example.com" in text_of(page)
    assert page.context["impact"].newly_personal == ()
    assert "No additional personal data is sent." in text_of(page)
    confirm(admin, page)
    mapper.refresh_from_db()
    assert mapper.transforms == [{"kind": "prefix", "text": "x:"}]


def test_wider_conditions_send_personal_data_to_others(admin, user, web, make_client):
    row = make("mail", "email", {"kind": "user", "path": "email"}, conditions={"clients": [web.application.client_id]})
    make_client(name="another")
    assert send(admin, change(row), clients=None).context["impact"].newly_personal == ("email",)
    # Also if no sampled user has a value.
    get_user_model().objects.update(email="")
    assert send(admin, change(row), clients=None).context["impact"].newly_personal == ("email",)
    assert send(admin, change(row), scopes=["read"]).context["impact"].newly_personal == ()


def test_required_mapper_that_fails_shows_that_tokens_would_be_refused(admin, user, web):
    page = send(admin, ADD, **MAIL, required="on", type="integer")
    text = text_of(page)
    assert "sampled tokens that are issued now would be refused" in text
    assert text.index("What breaks") < text.index("would be refused") < text.index("Impact on access tokens")
    assert page.context["impact"].requests is None
    assert "the required claim mapper" in text_of(page)


def test_says_why_no_sampled_token_is_issued(admin, user, web):
    SigningKey.objects.all().delete()
    key_store.forget()
    page = send(admin, ADD, **MAIL)
    [(reason, number)] = page.context["impact"].never_issued
    assert number == page.context["impact"].sampled == 4
    assert (
        "4 sampled tokens are not issued, before or after the change, so they show no difference:</strong> " + reason
        in text_of(page)
    )
    assert "signing key" in reason


def test_back_to_the_form_with_the_same_values(admin, user, web):
    page = send(admin, ADD, **MAIL, note="mine")
    back = confirm(admin, page, _back="Back")
    assert "Your changes are not saved yet." in back.content.decode()
    assert "errornote" not in back.content.decode()
    assert fields_of(back)["note"] == ["mine"]
    assert mappers() == []


class TestRaces:
    def test_other_values_than_those_shown(self, admin, user, web):
        page = send(admin, ADD, **MAIL)
        again = confirm(admin, page, claim="mail")
        assert is_shown(again)
        assert "The data changed since you opened this page" in text_of(again)
        assert mappers() == []

    def test_another_mapper_or_resource_server_changed_meanwhile(self, admin, user, web):
        page = send(admin, ADD, **MAIL)
        make("other", "email", {"kind": "constant", "value": "x"}, order=-1)
        again = confirm(admin, page)
        assert is_shown(again)
        ResourceServer.objects.create(identifier="https://mail.example.com/", name="Mail", open_to_all_clients=True)
        again = confirm(admin, again)
        assert is_shown(again)
        assert confirm(admin, again).status_code == 302

    def test_row_changed_meanwhile(self, admin, user, web, mapper):
        page = send(admin, change(mapper), claim="mine")
        ClaimMapper.objects.update(claim="theirs")
        again = confirm(admin, page)
        assert not is_shown(again)
        assert "This was changed by someone else since you opened it" in again.content.decode()
        assert mappers() == [("mail", "theirs", 0, True)]

    def test_row_deleted_meanwhile(self, admin, user, web, mapper):
        page = send(admin, change(mapper), claim="mine")
        mapper.delete()
        assert confirm(admin, page).status_code == 302
        assert mappers() == []

    @pytest.mark.parametrize("shown", ["", "x", "signed for something else"])
    def test_forged_confirmation_shows_the_page_again(self, admin, user, web, shown):
        page = send(admin, ADD, **MAIL)
        if shown.startswith("signed"):
            shown = signing.dumps({"user": "1"})
        assert is_shown(confirm(admin, page, _shown=shown))
        assert mappers() == []

    def test_stamp_of_another_user_or_another_row(self, admin, client, user, web, mapper):
        other = make("other", "other", {"kind": "groups"}, type="strings")
        page = send(admin, change(mapper), claim="mine")
        assert admin.post(change(other), fields_of(page)).status_code == 200
        get_user_model().objects.create_superuser("second")
        client.force_login(get_user_model().objects.get(username="second"))
        assert is_shown(confirm(client, page))
        assert mappers() == [("mail", "email", 0, True), ("other", "other", 0, True)]

    def test_expired_confirmation_shows_the_page_again(self, admin, user, web, monkeypatch):
        page = send(admin, ADD, **MAIL)
        monkeypatch.setattr("django_at_jwt.admin.confirmation._MAX_AGE", -1)
        assert is_shown(confirm(admin, page))


class TestList:
    @pytest.fixture
    def two(self, user):
        return [
            make("first", "c", {"kind": "constant", "value": "one"}, order=1),
            make("second", "c", {"kind": "constant", "value": "two"}, order=2),
        ]

    def test_reordering_is_reviewed_before_it_is_saved(self, admin, web, two):
        page = send(admin, LIST, **{"form-0-order": "5"})
        assert "<code>&quot;two&quot;</code>" in text_of(page)
        assert "<code>&quot;one&quot;</code>" in text_of(page)
        assert mappers()[0] == ("first", "c", 1, True)
        assert confirm(admin, page).status_code == 302
        assert mappers()[0] == ("first", "c", 5, True)
        assert LogEntry.objects.get(object_repr="first").get_change_message() == "Order changed from “1” to “5”."

    def test_order_without_an_effect_is_reviewed_too(self, admin, web, two):
        page = send(admin, LIST, **{"form-0-order": "0"})
        assert page.context["impact"].tokens == ()
        assert is_shown(page)

    def test_changed_meanwhile(self, admin, web, two):
        page = send(admin, LIST, **{"form-0-order": "5"})
        ClaimMapper.objects.filter(name="second").update(order=7)
        again = confirm(admin, page)
        assert is_shown(again)
        # The review page shows that the other change would be reverted.
        assert {row["name"] for row in again.context["rows"]} == {"first", "second"}

    def test_invalid_list_form_changes_nothing(self, admin, web, two):
        assert send(admin, LIST, **{"form-0-order": "x"}).status_code == 200
        assert send(admin, LIST, **{"form-0-id": "x"}).status_code == 200
        assert mappers() == [("first", "c", 1, True), ("second", "c", 2, True)]

    def test_broken_one_can_be_switched_off(self, admin, web, two):
        ClaimMapper.objects.filter(name="first").update(claim="sub", source={"kind": "x"})
        assert confirm(admin, send(admin, LIST, **{"form-0-enabled": None})).status_code == 302
        assert ClaimMapper.objects.get(name="first").enabled is False


class TestDeleting:
    def test_deletion_of_one_mapper_is_reviewed(self, admin, user, web, mapper):
        page = admin.get(delete(mapper))
        assert "alice@example.com" in text_of(page)
        assert confirm(admin, page).status_code == 302
        assert mappers() == []

    def test_unconfirmed_or_changed_meanwhile(self, admin, user, web, mapper):
        page = admin.get(delete(mapper))
        assert admin.post(delete(mapper), {"post": "yes"}).status_code == 302
        make("other", "x", {"kind": "groups"}, type="strings")
        answer = admin.post(delete(mapper), fields_of(page), follow=True)
        assert "Nothing was deleted" in answer.content.decode()
        assert len(mappers()) == 2

    def test_deletion_of_selected_mappers_is_reviewed(self, admin, user, web, mapper):
        other = make("other", "x", {"kind": "constant", "value": "y"})
        chosen = {"action": "delete_selected", "_selected_action": [mapper.pk, other.pk], "index": "0"}
        assert is_shown(admin.post(LIST, chosen))
        assert admin.post(LIST, {**chosen, "post": "yes"}).status_code == 302
        assert len(mappers()) == 2
        page = admin.post(LIST, chosen)
        kinds = {(claim.name, claim.kind) for diff in page.context["impact"].tokens for claim in diff.claims}
        assert kinds == {("email", "removed"), ("x", "removed")}
        assert confirm(admin, page).status_code == 302
        assert mappers() == []

    def test_gone_already(self, admin, mapper):
        address = delete(mapper)
        mapper.delete()
        assert admin.get(address).status_code == 302


class TestResourceServers:
    def test_new_api(self, admin, user, web, mapper):
        form = {"identifier": "https://mail.example.com/", "name": "Mail", "open_to_all_clients": "on"}
        page = send(admin, f"{SERVERS}add/", **form)
        assert "email" in page.context["impact"].claim_names
        assert not ResourceServer.objects.exists()
        assert confirm(admin, page).status_code == 302
        assert ResourceServer.objects.get().name == "Mail"

    def test_counts_clients_of_apis_that_lose_a_scope(self, admin, user, web, service):
        form = {"identifier": "https://mail.example.com/", "name": "Mail", "clients": service.application.client_id}
        page = send(admin, f"{SERVERS}add/", **form, scopes="write")
        impact = page.context["impact"]
        assert web.application in {diff.token.client for diff in impact.tokens}
        assert (impact.clients_concerned, impact.clients) == (2, 2)
        page = send(admin, f"{SERVERS}add/", **form, scopes="")
        assert page.context["impact"].clients_concerned == 1

    def test_switched_off_and_deleted(self, admin, user, web, mapper):
        row = ResourceServer.objects.create(
            identifier="https://mail.example.com/", name="Mail", open_to_all_clients=True
        )
        page = send(admin, change(row), enabled=None)
        assert "issued now would be refused" in text_of(page)
        reason = "https://mail.example.com/ is disabled"
        assert f'<td>issued</td>\n  <td><span class="at-jwt-problem">{reason}</span></td>' in page.content.decode()
        assert f"{reason}. Clients:" in text_of(page)
        # Not each claim that the token loses.
        assert page.context["impact"].claim_names == ()
        assert page.context["impact"].clients_concerned == 1
        assert is_shown(admin.get(delete(row)))
        confirm(admin, page)
        row.refresh_from_db()
        assert not row.enabled

    def test_changed_meanwhile(self, admin, user, web):
        row = ResourceServer.objects.create(
            identifier="https://mail.example.com/", name="Mail", open_to_all_clients=True
        )
        page = send(admin, change(row), lifetime="60")
        ResourceServer.objects.update(name="Post")
        assert "This was changed by someone else" in confirm(admin, page).content.decode()
        row.refresh_from_db()
        assert (row.name, row.lifetime) == ("Post", None)


class TestPermissions:
    @pytest.fixture
    def staff(self, staff):
        may(staff, "add_claimmapper", "change_claimmapper", "delete_claimmapper", "view_claimmapper")
        return staff

    def test_without_the_preview_permission_no_value_is_shown(self, client, staff, user, web, mapper):
        other = make("other", "x", {"kind": "user", "path": "email"})
        chosen = {"action": "delete_selected", "_selected_action": [mapper.pk, other.pk], "index": "0"}
        for page in (
            send(client, ADD, **{**MAIL, "name": "another", "claim": "mail"}),
            send(client, change(mapper), claim="mail"),
            client.get(delete(mapper)),
            client.post(LIST, chosen),
            client.get(f"{LIST}ready-made/email/"),
        ):
            assert is_shown(page)
            assert "alice@example.com" not in page.content.decode()
            assert "alice" not in page.content.decode()
        page = send(client, change(mapper), claim="mail")
        assert "These claims change: <code>email</code>, <code>mail</code>" in text_of(page)
        # "mail" is shorter than "email".
        sizes = [int(each) for each in re.findall(r"The largest difference is ([+-]\d+) bytes", text_of(page))]
        assert [size < 0 for size in sizes] == [True]
        assert not LogEntry.objects.filter(object_repr="alice").exists()

    def test_with_it_the_preview_is_in_the_history_of_the_user(self, client, staff, user, web, mapper):
        may(staff, "preview_claimmapper")
        staff = get_user_model().objects.get(pk=staff.pk)
        assert "alice@example.com" in send(client, change(mapper), claim="mail").content.decode()
        entry = LogEntry.objects.get(object_id=str(user.pk), content_type__model="user")
        assert entry.user == staff
        assert "previewed" in entry.get_change_message()
        assert "alice@example.com" not in entry.change_message

    def test_add_permission_does_not_allow_changes(self, client, staff, mapper):
        staff.user_permissions.set(Permission.objects.filter(codename__in=["add_claimmapper", "view_claimmapper"]))
        assert client.post(change(mapper), MAIL).status_code == 403
        assert client.post(delete(mapper), {"post": "yes"}).status_code == 403
        assert client.get(delete(mapper)).status_code == 403


class TestSample:
    def test_is_bounded_and_prefers_affected_clients_and_users(self, admin, web, make_client):
        for number in range(12):
            make_client(name=f"client {number}", client_id=f"client-{number:02}")
            get_user_model().objects.create_user(f"user {number}")
        last = get_user_model().objects.create_user("zoe", "zoe@example.com")
        last.groups.add(Group.objects.create(name="staff"))
        page = send(admin, ADD, **MAIL, clients=["client-11"], groups=["staff"])
        impact = page.context["impact"]
        assert impact.clients_concerned == 1
        assert impact.sampled == token_sample.MOST_CLIENTS * token_sample.MOST_USERS * 2
        assert {(each.token.client.client_id, each.token.user.username) for each in impact.tokens} == {
            ("client-11", "zoe")
        }

    def test_total_is_bounded(self, admin, web, user, monkeypatch):
        monkeypatch.setattr(token_sample, "MOST_TOKENS", 3)
        page = send(admin, ADD, **MAIL)
        assert page.context["impact"].sampled == 3
        assert "The sample was taken from 4 combinations of these users, clients and APIs." in text_of(page)

    def test_many_apis_leave_no_client_or_user_out(self, admin, web, user, service, make_client, monkeypatch):
        monkeypatch.setattr(token_sample, "MOST_TOKENS", 6)
        second = make_client(name="second")
        for number in range(9):
            ResourceServer.objects.create(
                identifier=f"https://{number}.example.com/", name=f"{number}", open_to_all_clients=True
            )
        impact = send(admin, ADD, **MAIL).context["impact"]
        assert impact.sampled == 6
        assert {each.token.client for each in impact.tokens} == {web.application, second.application}
        assert {each.token.user.username for each in impact.tokens} == {"admin", "alice"}
        # The mapper's API comes first, wherever it is in the list.
        impact = send(admin, ADD, **MAIL, resource_servers=["https://8.example.com/"]).context["impact"]
        assert {each.token.server.identifier for each in impact.tokens} == {"https://8.example.com/"}

    @isolate_apps("tests.people")
    def test_users_without_a_column_for_whether_they_are_active(self, admin, web, user, monkeypatch):
        class Member(AbstractBaseUser):
            username = models.CharField(max_length=150, unique=True)
            email = models.EmailField()
            USERNAME_FIELD = "username"

            class Meta:
                app_label = "people"
                db_table = "auth_user"
                managed = False

        for module in (token_sample, subjects):
            monkeypatch.setattr(module, "token_user_model", lambda: Member)
        monkeypatch.setattr(token_sample, "groups_field", lambda: None)
        impact = send(admin, ADD, **MAIL).context["impact"]
        assert {each.token.user.username for each in impact.tokens} == {"admin", "alice"}
        monkeypatch.setattr(Member, "is_active", False)
        assert send(admin, ADD, **MAIL).context["impact"].sampled == 0

    def test_mapper_for_refreshed_tokens_shows(self, admin, web, user):
        page = send(admin, ADD, **MAIL, grants=["refresh_token"])
        assert {diff.token.grant for diff in page.context["impact"].tokens} == {"refresh_token"}

    def test_mapper_for_machines(self, admin, web, user, service):
        page = send(admin, ADD, name="m", claim="c", source_kind="text", source_text="x", tokens_for="machines")
        impact = page.context["impact"]
        assert {(diff.token.client, diff.token.user) for diff in impact.tokens} == {(service.application, None)}
        assert (impact.clients_concerned, impact.clients, impact.newly_personal) == (1, 2, ())

    def test_without_users_and_clients(self, admin):
        page = send(admin, ADD, **MAIL)
        assert "there are no users and clients yet" in text_of(page)
