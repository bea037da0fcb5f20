"""Keys over HTTP around the time when the next key starts signing, with a daily rotation command."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import SigningKey
from tests.commands import run
from tests.conftest import decoded
from tests.signing_key_rows import keys_in, let_time_pass

pytestmark = pytest.mark.django_db

LIST = "/admin/django_at_jwt/signingkey/"


def published(client):
    return {key["kid"] for key in client.get("/o/.well-known/jwks.json").json()["keys"]}


def signed_by(service):
    return decoded(service.token("client_credentials").json()["access_token"])[0]["kid"]


@pytest.fixture
def taken_over(keys_made_quickly):
    """The next key started signing an hour ago; the daily command has not run since."""
    run("rotate_signing_keys")
    let_time_pass(days=80)
    for _ in range(10):
        run("rotate_signing_keys")
        let_time_pass(days=1)
    let_time_pass(hours=1)


@pytest.mark.parametrize("way", ["command", "admin"])
def test_the_signing_key_is_revoked_and_a_published_key_takes_over(way, taken_over, client, service, admin_client):
    leaked, before = signed_by(service), published(client)
    [announced] = keys_in(KeyState.ANNOUNCED)
    assert announced.announced_at < timezone.now() - timedelta(days=7)
    if way == "command":
        said = run("revoke_signing_key", leaked, "--reason", "x")
        assert f"The announced signing key {announced.kid} signs now." in said
    else:
        address = f"{LIST}{SigningKey.objects.get(kid=leaked).pk}/revoke/"
        assert f"<code>{announced.kid}</code>, which was announced, signs from now on." in (
            admin_client.get(address).content.decode()
        )
        admin_client.post(address, {"reason": "x", "refresh_tokens": "none"})
    successor = signed_by(service)
    assert successor == announced.kid
    assert successor in before
    assert leaked not in published(client)
    assert len(keys_in(KeyState.ANNOUNCED)) == 1


@pytest.mark.parametrize("way", ["command", "admin"])
def test_an_announced_key_is_revoked_and_the_next_one_takes_its_place(way, keys_made_quickly, service, admin_client):
    run("rotate_signing_keys")
    let_time_pass(days=88)
    run("rotate_signing_keys")
    let_time_pass(days=1)
    signer = signed_by(service)
    leaked, following = keys_in(KeyState.ANNOUNCED)
    address = f"{LIST}{leaked.pk}/revoke/"
    starts = max(leaked.signing_at, following.announced_at + timedelta(days=7))
    dry = run("revoke_signing_key", leaked.kid, "--reason", "x", "--dry-run")
    sentence = f"{following.kid} would replace it and sign from {starts:%Y-%m-%d %H:%M:%S}"
    assert sentence in dry
    page = admin_client.get(address).content.decode()
    assert f"<code>{following.kid}</code>, which was announced, takes its place and signs from" in page
    if way == "command":
        said = run("revoke_signing_key", leaked.kid, "--reason", "x")
        assert f"{following.kid} replaces it and signs from {starts:%Y-%m-%d %H:%M:%S}" in said
        assert "signs now" not in said
    else:
        admin_client.post(address, {"reason": "x", "refresh_tokens": "none"})
    following.refresh_from_db()
    assert following.signing_at == starts
    assert SigningKey.objects.get(kid=signer).retained_at == starts
    assert signed_by(service) == signer
    assert len(keys_in(KeyState.ANNOUNCED)) == 2


def test_a_site_without_an_announced_key_gets_one_with_the_next_run(keys_made_quickly, client, service):
    # As an earlier release left it, between a takeover and the next run.
    run("rotate_signing_keys")
    let_time_pass(days=90, hours=1)
    assert keys_in(KeyState.ANNOUNCED) == []
    assert "Created a key" in run("rotate_signing_keys")
    [announced] = keys_in(KeyState.ANNOUNCED)
    assert announced.kid in published(client)
    assert announced.signing_at > timezone.now() + timedelta(days=80)


def test_an_early_rotation_announces_the_next_key_at_once(keys_made_quickly):
    run("rotate_signing_keys")
    let_time_pass(days=30)
    assert "Created a key" in run("rotate_signing_keys", "--now")
    let_time_pass(minutes=1)
    assert len(keys_in(KeyState.ANNOUNCED)) == 1
