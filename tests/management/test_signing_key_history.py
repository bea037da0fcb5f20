"""What the signing key commands record in the history of the keys: what, who and why, with the change or not at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.db import DatabaseError
from django.utils import timezone
from jwcrypto.jwk import JWK

from django_at_jwt.authorization_server.keys import rotation
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.core.quotation import format_instant
from django_at_jwt.models import SigningKey, SigningKeyEvent
from tests.commands import run
from tests.signing_key_rows import key_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly")]


def events(**fields):
    return {event.kid: event for event in SigningKeyEvent.objects.filter(**fields)}


def test_first_rotation_records_each_key_that_it_makes(db):
    run("rotate_signing_keys")
    recorded = events(action="created")
    assert recorded.keys() == {key.kid for key in SigningKey.objects.all()}
    for key in SigningKey.objects.all():
        event = recorded[key.kid]
        assert (event.actor, event.source, event.reason) == ("", "manage.py rotate_signing_keys", "Rotation")
        assert f"Signs from {format_instant(key.signing_at)}." in event.description


@pytest.mark.parametrize("options", [("--dry-run", "--now"), ()])
def test_run_that_changes_nothing_records_nothing(options, signing_keys):
    run("rotate_signing_keys", *options)
    assert not SigningKeyEvent.objects.exists()


def test_early_rotation_records_who_and_why_and_which_instants_move(signing_keys):
    signing, announced = signing_keys
    run("rotate_signing_keys", "--now", "--by", "Grace Hopper", "--reason", "the HSM moves")
    signing.refresh_from_db()
    moved = events(action="rescheduled")
    assert moved.keys() == {signing.kid, announced.kid}
    assert {(event.actor, event.reason) for event in moved.values()} == {
        ("Grace Hopper", "Early rotation: the HSM moves")
    }
    starts, planned = format_instant(signing.retained_at), format_instant(announced.signing_at)
    assert f"Signs from {starts} instead of {planned}." in moved[announced.kid].description
    assert f"Signs until {starts} instead of {planned}." in moved[signing.kid].description
    assert len(events(action="created")) == 1


def test_revocation_records_every_key_that_it_changes(signing_keys):
    leaked, _announced = signing_keys
    run("revoke_signing_key", leaked.kid, "--reason", "in a public repository", "--by", "Grace")
    recorded = events()
    assert recorded.keys() == {key.kid for key in SigningKey.objects.all()}
    assert recorded[leaked.kid].action == "revoked"
    assert recorded[leaked.kid].reason == "in a public repository"
    others = [event for kid, event in recorded.items() if kid != leaked.kid]
    assert {event.reason for event in others} == {f"{leaked.kid} was revoked: in a public repository"}
    assert {event.actor for event in recorded.values()} == {"Grace"}
    assert {event.source for event in recorded.values()} == {"manage.py revoke_signing_key"}


def test_import_is_recorded_with_the_keys_that_it_reschedules(signing_keys, tmp_path):
    file = tmp_path / "key.json"
    file.write_text(JWK.generate(kty="EC", crv="P-256").export())
    run("import_signing_key", str(file), "--by", "Grace", "--reason", "from the old server")
    [imported] = events(action="imported").values()
    assert (imported.actor, imported.reason) == ("Grace", "from the old server")
    others = events(action="rescheduled").values()
    assert {event.reason for event in others} == {f"{imported.kid} was imported: from the old server"}


def test_reencryption_is_recorded_for_each_key(db, settings):
    old, new = ("A" * 43, "Q" * 42 + "A")
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": [old]}
    run("rotate_signing_keys")
    run("rewrap_signing_keys")
    assert not events(action="reencrypted")
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": [new, old]}
    run("rewrap_signing_keys", "--dry-run")
    assert not events(action="reencrypted")
    run("rewrap_signing_keys", "--reason", "the old one leaked")
    recorded = events(action="reencrypted")
    assert recorded.keys() == {key.kid for key in SigningKey.objects.all()}
    assert {event.reason for event in recorded.values()} == {"the old one leaked"}


def test_purge_is_recorded_and_deletes_no_history(signing_keys):
    run("rotate_signing_keys", "--now")
    gone, kept = signing_keys[0], SigningKeyEvent.objects.count()
    long_ago = timezone.now() - timedelta(days=99)
    SigningKey.objects.filter(pk=gone.pk).update(
        retained_at=long_ago, retired_at=long_ago, last_token_expires_at=timezone.now() + timedelta(days=1)
    )
    run("purge_signing_keys", "--dry-run")
    run("purge_signing_keys")
    assert SigningKeyEvent.objects.count() == kept
    run("purge_signing_keys", "--force", "--reason", "the table is shared")
    assert not SigningKey.objects.filter(pk=gone.pk).exists()
    deleted = SigningKeyEvent.objects.get(action="deleted")
    assert (deleted.kid, deleted.reason) == (gone.kid, "the table is shared")
    assert deleted.description.startswith("Forced")
    assert SigningKeyEvent.objects.filter(kid=gone.kid).count() == 2


def test_refresh_tokens_are_counted(signing_keys, web, user):
    web.code_flow(user)
    kid = key_in(KeyState.SIGNING).kid
    run("revoke_signing_key", kid, "--reason", "x", "--revoke-refresh-tokens", "--dry-run")
    assert not SigningKeyEvent.objects.exists()
    run("revoke_signing_key", kid, "--reason", "x", "--revoke-refresh-tokens", "--by", "Grace")
    event = SigningKeyEvent.objects.get(kid=kid, action="refresh_tokens_revoked")
    assert event.description == "The refresh tokens of its access tokens were revoked: 1."
    assert (event.actor, event.reason) == ("Grace", "x")


@pytest.mark.django_db(transaction=True)
def test_change_that_cannot_be_recorded_is_not_made(signing_keys, monkeypatch):
    before = list(SigningKey.objects.values())

    def fail(*_arguments):
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(rotation, "record_events", fail)
    with pytest.raises(CommandError, match="not rotated: the disk is full"):
        run("rotate_signing_keys", "--now")
    assert list(SigningKey.objects.values()) == before


def test_texts_that_no_database_stores_or_that_are_too_long_are_cut(signing_keys):
    run("rotate_signing_keys", "--now", "--by", "a\udcff\x00" + "b" * 300, "--reason", "c" * 400)
    event = SigningKeyEvent.objects.first()
    assert event.actor == "a??" + "b" * 251
    assert event.reason == "Early rotation: " + "c" * 284


def test_no_event_has_anything_of_a_private_key(signing_keys, tmp_path):
    key = JWK.generate(kty="EC", crv="P-256")
    file = tmp_path / "key.json"
    file.write_text(key.export())
    run("import_signing_key", str(file))
    run("rotate_signing_keys", "--now")
    private = key.export(as_dict=True)["d"]
    secrets = {private, *SigningKey.objects.values_list("private_jwe", flat=True)}
    stored = " ".join(str(value) for row in SigningKeyEvent.objects.values() for value in row.values())
    assert not [secret for secret in secrets if secret and secret in stored]
