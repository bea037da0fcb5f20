"""Signing keys in the admin: listed, rotated and revoked with permission; never created, edited or deleted."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import OperationalError, connections
from django.urls import resolve
from django.utils import timezone
from django.utils.timezone import localtime
from oauth2_provider.models import get_access_token_model

from django_at_jwt.admin.signing_key import admin as signing_key_admin
from django_at_jwt.admin.signing_key.timeline import timeline
from django_at_jwt.authorization_server.keys import encryption as protection
from django_at_jwt.core.errors import NoSigningKey
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import SigningKey
from tests.conftest import captured_statements

pytestmark = pytest.mark.django_db

LIST = "/admin/django_at_jwt/signingkey/"


def test_list_and_detail(signing_keys, admin_client):
    page = admin_client.get(LIST)
    assert page.status_code == 200
    for key in signing_keys:
        assert key.kid in page.content.decode()
    assert "announced" in page.content.decode()
    detail = admin_client.get(f"{LIST}{signing_keys[0].pk}/change/")
    assert detail.status_code == 200
    assert signing_keys[0].public_jwk["n"] in detail.content.decode()


def test_shows_when_a_row_is_safe_to_purge_or_that_it_is_not_planned(signing_keys, admin_client):
    first, last = sorted(signing_keys, key=lambda key: key.signing_at)
    assert "not planned yet" not in admin_client.get(f"{LIST}{first.pk}/change/").content.decode()
    assert "not planned yet: the key has no successor" in admin_client.get(f"{LIST}{last.pk}/change/").content.decode()


def test_key_revoked_before_it_signed_never_signs(signing_keys, admin_client):
    announced = max(signing_keys, key=lambda key: key.signing_at)
    cells = '<td class="field-signs_from">{}</td><td class="field-signs_until">-</td>'.format
    assert cells("never") not in admin_client.get(LIST).content.decode()
    SigningKey.objects.filter(kid=announced.kid).update(revoked_at=timezone.now())
    assert admin_client.get(LIST).content.decode().count(cells("never")) == 1


def test_key_without_live_tokens_costs_no_query(signing_keys, admin_client):
    now = timezone.now()

    def counts():
        with captured_statements() as statements:
            assert admin_client.get(LIST).status_code == 200
        return sum(get_access_token_model()._meta.db_table in statement for statement in statements)

    assert counts() == 1
    for last, expected in ((now + timedelta(hours=1), 1), (now - timedelta(hours=1), 0), (None, 0)):
        SigningKey.objects.update(revoked_at=now - timedelta(days=9), last_token_expires_at=last)
        assert counts() == expected * len(signing_keys)


def test_confirmation_pages_show_the_state_and_the_time_zone(signing_keys, admin_client, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    for state in (KeyState.SIGNING, KeyState.ANNOUNCED):
        page = admin_client.get(f"{LIST}{in_state(state).pk}/revoke/").content.decode()
        assert f'<span class="at-jwt-state at-jwt-{state}">{state}</span>' in page
    for page in (admin_client.get(f"{LIST}rotate/").content.decode(), admin_client.get(LIST).content.decode()):
        assert re.search(r"\d\d:\d\d(:\d\d)? NZ[SD]T", page)


def test_revoked_key_signed_and_was_published_until_its_revocation(signing_keys, admin_client):
    revoked_at = timezone.now() - timedelta(days=400)
    begun = {"announced_at": revoked_at - timedelta(days=9), "signing_at": revoked_at - timedelta(days=2)}
    SigningKey.objects.filter(pk=signing_keys[0].pk).update(revoked_at=revoked_at, **begun)
    page = admin_client.get(LIST).content.decode()
    day = f"{localtime(revoked_at):%Y-%m-%d}"
    assert all(
        re.search(rf'class="field-{column}">[^/]*>{day}<', page) for column in ("signs_until", "published_until")
    )


def test_nothing_can_be_changed(signing_keys, admin_client):
    pk = signing_keys[0].pk
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{pk}/change/", {"kid": "x"}).status_code == 403
    assert admin_client.post(f"{LIST}{pk}/delete/", {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    admin_client.post(LIST, action)
    assert SigningKey.objects.count() == len(signing_keys)


def test_permission_is_needed(signing_keys, client, django_user_model):
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    assert client.get(LIST).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_signingkey"))
    assert client.get(LIST).status_code == 200


@pytest.mark.parametrize(
    "lookup", ["private_jwe__startswith=e", "private_jwe__contains=.", "private_jwe=x", "revocation_reason__regex=x"]
)
def test_no_filter_reveals_the_private_key(lookup, signing_keys, client, staff):
    may(staff, "view")
    assert client.get(f"{LIST}?{lookup}").status_code == 400
    assert client.get(f"{LIST}?q={signing_keys[0].kid}&o=1").status_code == 200


def test_every_date_has_one_format(signing_keys, admin_client, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    key = signing_keys[0]
    date = rf"{localtime(key.signing_at):%Y-%m-%d} \d\d:\d\d:\d\d NZ[SD]T"
    listed = re.sub("<[^>]+>", "", admin_client.get(LIST).content.decode())
    pages = [admin_client.get(f"{LIST}{key.pk}/change/").content.decode(), listed]
    assert [page for page in pages if not re.search(date, page)] == []
    assert not re.search(r"[ap]\.m\.|midnight|noon", pages[0])
    # A column without a field of the form keeps the help text of the model.
    assert str(SigningKey._meta.get_field("last_token_expires_at").help_text) in pages[0]


def test_states_have_names(signing_keys):
    assert {key.state_name() for key in signing_keys} == {"signing", "announced"}


def may(user, *names):
    user.user_permissions.add(*Permission.objects.filter(codename__in=[f"{name}_signingkey" for name in names]))


@pytest.fixture
def staff(client, django_user_model):
    user = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(user)
    return user


def in_state(state):
    return next(key for key in SigningKey.objects.order_by("signing_at") if key.state_at(timezone.now()) is state)


class TestRotate:
    def test_shows_the_changes_before_it_applies_them(self, signing_keys, admin_client):
        before = list(SigningKey.objects.values())
        page = admin_client.get(f"{LIST}rotate/").content.decode()
        assert in_state(KeyState.ANNOUNCED).kid in page
        assert "Schedule early rotation" in page
        assert list(SigningKey.objects.values()) == before

    def test_is_applied_and_recorded_in_the_history(self, signing_keys, admin_client):
        answer = admin_client.post(f"{LIST}rotate/", follow=True)
        assert "Early rotation scheduled." in answer.content.decode()
        announced = in_state(KeyState.ANNOUNCED)
        assert announced.signing_at == announced.announced_at + timedelta(days=7)
        # Its successor is announced at the same time.
        assert SigningKey.objects.count() == len(signing_keys) + 1
        assert {entry.object_id for entry in LogEntry.objects.all()} == {
            str(key.pk) for key in SigningKey.objects.all()
        }
        again = admin_client.get(f"{LIST}rotate/").content.decode()
        assert "nothing to change" in again
        assert "There was nothing to change." in admin_client.post(f"{LIST}rotate/", follow=True).content.decode()

    def test_history_is_translated(self, signing_keys, admin_client, monkeypatch):
        monkeypatch.setattr(signing_key_admin, "gettext", lambda text: f"auf Deutsch: {text}")
        admin_client.post(f"{LIST}rotate/")
        messages = {entry.change_message for entry in LogEntry.objects.all()}
        assert messages == {"auf Deutsch: Created by a rotation.", "auf Deutsch: Rescheduled by a rotation."}

    def test_action_leads_to_the_page(self, signing_keys, admin_client):
        action = {"action": "rotate_selected", "_selected_action": [signing_keys[0].pk]}
        assert admin_client.post(LIST, action)["Location"] == f"{LIST}rotate/?algorithm=RS256"

    def test_permission(self, signing_keys, client, staff):
        may(staff, "view", "revoke")
        assert client.get(f"{LIST}rotate/").status_code == 403
        assert client.post(f"{LIST}rotate/").status_code == 403
        assert "Schedule early rotation" not in client.get(LIST).content.decode()
        may(staff, "rotate")
        assert client.get(f"{LIST}rotate/").status_code == 200
        assert "Schedule early rotation" in client.get(LIST).content.decode()

    @pytest.mark.parametrize("address", ["rotate/", "{}/revoke/"])
    @pytest.mark.parametrize("method", ["get", "post"])
    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (NoSigningKey("a key-encryption key is not set any more"), "a key-encryption key is not set any more"),
            (OperationalError("the database is locked"), "the database is locked"),
            (TimeoutError("another change has been running"), "another change has been running"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_error_that_prevents_a_change_is_shown(
        self, address, method, error, said, signing_keys, admin_client, monkeypatch
    ):
        def fail(*_args, **_options):
            raise error

        monkeypatch.setattr(signing_key_admin, "rotate_signing_keys", fail)
        monkeypatch.setattr(signing_key_admin, "revoke_signing_key", fail)
        address = LIST + address.format(in_state(KeyState.SIGNING).pk)
        page = getattr(admin_client, method)(address, {"reason": "x"}, follow=True)
        assert page.redirect_chain == [(LIST, 302)]
        assert said in page.content.decode()
        assert not LogEntry.objects.exists()

    def test_lost_key_encryption_key_is_a_message(self, signing_keys, admin_client, settings, monkeypatch):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
        monkeypatch.setattr(protection.JWE, "add_recipient", _fail_to_encrypt)
        page = admin_client.post(f"{LIST}rotate/", follow=True)
        assert "The signing keys were not rotated: signing key" in page.content.decode()
        assert SigningKey.objects.count() == len(signing_keys)

    def test_no_database_wraps_the_request_in_a_transaction(self, signing_keys):
        # A change of the keys takes a database lock, which must be released after the commit.
        for address in ("rotate/", f"{signing_keys[0].pk}/revoke/"):
            assert resolve(LIST + address).func._non_atomic_requests >= set(connections)


def _fail_to_encrypt(*_args, **_options):
    raise ValueError("it cannot be encrypted")


class TestRevoke:
    def test_shows_affected_clients_before_it_revokes(self, signing_keys, admin_client, service):
        service.token("client_credentials")
        key = in_state(KeyState.SIGNING)
        page = admin_client.get(f"{LIST}{key.pk}/revoke/").content.decode()
        assert "client-credentials client: 1" in page
        assert "At most 1 live access tokens" in page
        assert in_state(KeyState.ANNOUNCED).kid in page
        key.refresh_from_db()
        assert key.revoked_at is None
        assert key.private_jwe

    def test_is_applied_and_recorded_in_the_history(self, signing_keys, admin_client):
        key = in_state(KeyState.SIGNING)
        answer = admin_client.post(f"{LIST}{key.pk}/revoke/", {"reason": "on a lost laptop"}, follow=True)
        assert key.kid in answer.content.decode()
        key.refresh_from_db()
        assert key.revoked_at is not None
        assert key.private_jwe == ""
        assert key.revocation_reason == "on a lost laptop"
        history = {entry.object_id: entry.change_message for entry in LogEntry.objects.all()}
        assert history.keys() == {str(row.pk) for row in SigningKey.objects.all()}
        assert len(history) == 3
        assert "on a lost laptop" in history.pop(str(key.pk))
        assert all(key.kid in message for message in history.values())

    def test_reason_is_needed(self, signing_keys, admin_client):
        key = in_state(KeyState.SIGNING)
        page = admin_client.post(f"{LIST}{key.pk}/revoke/", {})
        assert page.status_code == 200
        assert "This field is required" in page.content.decode()
        key.refresh_from_db()
        assert key.revoked_at is None

    def test_only_usable_key_is_refused_with_a_message(self, signing_keys, admin_client):
        key = in_state(KeyState.SIGNING)
        SigningKey.objects.exclude(pk=key.pk).delete()
        page = admin_client.post(f"{LIST}{key.pk}/revoke/", {"reason": "x"}, follow=True)
        assert "only usable key for RS256. Run manage.py rotate_signing_keys first." in page.content.decode()
        key.refresh_from_db()
        assert key.revoked_at is None

    def test_deleted_key(self, signing_keys, admin_client):
        assert (
            "This signing key no longer exists"
            in admin_client.get(f"{LIST}99999/revoke/", follow=True).content.decode()
        )

    def test_action_takes_exactly_one_key(self, signing_keys, admin_client):
        pks = [key.pk for key in signing_keys]
        one = admin_client.post(LIST, {"action": "revoke_selected", "_selected_action": pks[:1]})
        assert one["Location"] == f"{LIST}{pks[0]}/revoke/"
        both = admin_client.post(LIST, {"action": "revoke_selected", "_selected_action": pks}, follow=True)
        assert "exactly one key" in both.content.decode()

    def test_permission(self, signing_keys, client, staff):
        key = in_state(KeyState.SIGNING)
        may(staff, "view", "rotate")
        assert client.get(f"{LIST}{key.pk}/revoke/").status_code == 403
        assert client.post(f"{LIST}{key.pk}/revoke/", {"reason": "x"}).status_code == 403
        assert "revoke/" not in client.get(f"{LIST}{key.pk}/change/").content.decode()
        may(staff, "revoke")
        assert "revoke/" in client.get(f"{LIST}{key.pk}/change/").content.decode()
        assert client.get(f"{LIST}{key.pk}/revoke/").status_code == 200


class TestTimeline:
    def test_to_scale(self, signing_keys):
        now = timezone.now()
        laid_out = timeline([key.times for key in signing_keys], now)
        assert [row.state for row in laid_out.rows] == [KeyState.SIGNING, KeyState.ANNOUNCED]
        for row in laid_out.rows:
            ends = [(span.left, span.left + span.width) for span in row.spans]
            assert all(0 <= left <= right <= 100.001 for left, right in ends)
            assert all(abs(a[1] - b[0]) < 0.01 for a, b in pairwise(ends))
        assert 0 < laid_out.now < 100

    def test_revoked_key_ends_at_its_revocation(self, signing_keys):
        now = timezone.now()
        times = replace(signing_keys[0].times, revoked_at=now)
        [row] = timeline([times], now).rows
        assert row.state is KeyState.REVOKED
        assert all(span.ends_at is None or span.ends_at <= now for span in row.spans)

    def test_instants_after_a_revocation_are_ignored(self, signing_keys):
        signing = signing_keys[0].times
        now = timezone.now()
        laid_out = timeline([replace(signing, revoked_at=now)], now)
        assert laid_out.ends_at - now < timedelta(days=1) < signing.retained_at - now

    def test_key_revoked_long_ago_is_left_out_and_counted(self, signing_keys, admin_client, settings):
        key, now = in_state(KeyState.SIGNING), timezone.now()
        kid, said = f'title="{key.kid}">{key.kid[:8]}…', "1 retired or revoked key without live tokens is not"

        def revoked(ago, *, last_token_in):
            at = now - ago
            times = {"announced_at": at - timedelta(days=9), "signing_at": at - timedelta(days=9), "revoked_at": at}
            SigningKey.objects.filter(pk=key.pk).update(**times, last_token_expires_at=now + last_token_in)
            return admin_client.get(LIST).content.decode()

        for ago, last in ((timedelta(days=1), -timedelta(days=1)), (timedelta(days=999), timedelta(hours=1))):
            page = revoked(ago, last_token_in=last)
            assert kid in page
            assert said not in page
        page = revoked(timedelta(days=999), last_token_in=-timedelta(days=998))
        assert kid not in page
        assert said in page
        assert key.kid in page

    def test_nothing_to_show(self):
        assert timeline([], timezone.now()) is None
