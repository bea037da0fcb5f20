"""The history of signing keys in the admin: of one key, and of all keys, deleted ones included."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from django.utils.html import escape

from django_at_jwt.models import SigningKey, SigningKeyEvent
from tests.admin.pages import may
from tests.commands import run
from tests.conftest import captured_statements

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly")]

LIST = "/admin/django_at_jwt/signingkey/"
EVENTS = "/admin/django_at_jwt/signingkeyevent/"


def text_of(page):
    assert page.status_code == 200
    return " ".join(re.sub("<[^>]+>", " ", page.content.decode()).split())


def test_page_of_a_key_shows_what_commands_and_users_did(signing_keys, admin_client):
    signing, announced = signing_keys
    run("rotate_signing_keys", "--now", "--by", "Grace", "--reason", "before the audit")
    admin_client.post(f"{LIST}{signing.pk}/revoke/", {"reason": "on a lost laptop"})
    shown = text_of(admin_client.get(f"{LIST}{announced.pk}/history/"))
    assert "Rescheduled. Signs from" in shown
    assert "Grace, manage.py rotate_signing_keys Early rotation: before the audit" in shown
    assert f"admin, admin site {signing.kid} was revoked: on a lost laptop" in shown
    assert "Revoked admin, admin site on a lost laptop" in text_of(admin_client.get(f"{LIST}{signing.pk}/history/"))


def test_reason_of_an_early_rotation_is_recorded(signing_keys, admin_client):
    admin_client.post(f"{LIST}rotate/", {"reason": "a new office"})
    assert {(event.actor, event.source, event.reason) for event in SigningKeyEvent.objects.all()} == {
        ("admin", "admin site", "Early rotation: a new office")
    }


def test_key_without_events_says_so(signing_keys, admin_client):
    shown = text_of(admin_client.get(f"{LIST}{signing_keys[0].pk}/history/"))
    assert "No change of this key is recorded" in shown


def test_texts_of_users_are_escaped(signing_keys, admin_client):
    reason = "<img src=x>"
    run("rotate_signing_keys", "--now", "--reason", reason, "--by", "<b>")
    for address in (f"{LIST}{signing_keys[1].pk}/history/", EVENTS):
        page = admin_client.get(address).content.decode()
        assert reason not in page
        assert escape(reason) in page


def test_purged_key_keeps_its_history(signing_keys, admin_client):
    long_ago = timezone.now() - timedelta(days=99)
    gone = signing_keys[0]
    SigningKey.objects.filter(pk=gone.pk).update(retained_at=long_ago, retired_at=long_ago)
    run("purge_signing_keys", "--by", "Grace")
    assert not SigningKey.objects.filter(pk=gone.pk).exists()
    shown = text_of(admin_client.get(f"{EVENTS}?q={gone.kid}"))
    assert "deleted" in shown
    assert "Grace, manage.py purge_signing_keys" in shown


def test_events_can_be_filtered_and_not_changed(signing_keys, admin_client):
    run("rotate_signing_keys", "--now")
    event = SigningKeyEvent.objects.first()
    assert admin_client.get(f"{EVENTS}?action__exact=revoked").context["cl"].result_count == 0
    assert admin_client.get(f"{EVENTS}?action__exact={event.action}").context["cl"].result_count
    assert admin_client.get(f"{EVENTS}{event.pk}/change/").status_code == 200
    for address, data in (("add/", {}), (f"{event.pk}/change/", {"reason": "x"}), (f"{event.pk}/delete/", {"post": 1})):
        assert admin_client.post(EVENTS + address, data).status_code == 403
    assert SigningKeyEvent.objects.filter(pk=event.pk).exists()


def test_history_needs_the_permission_to_view_keys(signing_keys, client, staff):
    pages = (f"{LIST}{signing_keys[0].pk}/history/", EVENTS)
    assert {client.get(page).status_code for page in pages} == {403}
    may(staff, "view_signingkey")
    assert {client.get(page).status_code for page in pages} == {200}
    assert Permission.objects.filter(content_type__model="signingkeyevent").count() == 0


def test_lists_cost_no_query_per_row(signing_keys, admin_client):
    key = signing_keys[0]
    for page in (EVENTS, f"{LIST}{key.pk}/history/"):
        # The first request reads what is then in memory.
        admin_client.get(page)
        counts = []
        for _ in range(2):
            SigningKeyEvent.objects.bulk_create(
                SigningKeyEvent(kid=key.kid, algorithm="ES256", at=timezone.now(), action="created") for _ in range(20)
            )
            with captured_statements() as statements:
                assert admin_client.get(page).status_code == 200
            counts.append(len(statements))
        assert counts[0] == counts[1]
