"""Changing keys with other key-encryption keys than the processes that issue tokens, or after losing one."""

from __future__ import annotations

import base64

import pytest
from django.core.management import CommandError
from django.utils import timezone
from jwcrypto.jwk import JWK

from django_at_jwt.authorization_server.keys.encryption import is_newest
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import SigningKey
from tests.commands import run
from tests.conftest import decoded
from tests.signing_key_rows import key_in, keys_in

pytestmark = pytest.mark.django_db

LIST = "/admin/django_at_jwt/signingkey/"
OF_THE_SITE, ANOTHER = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"1", b"2"))
FLAG = "--key-encryption-key-lost"


def rows():
    return list(SigningKey.objects.order_by("pk").values())


@pytest.fixture
def process_with(settings):
    """Act as a new process with other key-encryption keys."""

    def process(*keys, **others):
        settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": list(keys), **others}
        key_store.clear()

    return process


@pytest.fixture(autouse=True)
def _site(process_with, keys_made_quickly):
    process_with(OF_THE_SITE)
    run("rotate_signing_keys")
    assert all(is_newest(row.private_jwe) for row in SigningKey.objects.all())


@pytest.fixture
def something_due(settings):
    settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256", "EdDSA"]}


@pytest.mark.parametrize("arguments", [(), ("--dry-run",), ("--now",), ("--json",)])
@pytest.mark.parametrize("due", [True, False])
def test_a_rotation_with_another_key_is_refused_in_one_line(arguments, due, process_with, request):
    if due:
        request.getfixturevalue("something_due")
    process_with(ANOTHER)
    before = rows()
    with pytest.raises(CommandError) as refused:
        run("rotate_signing_keys", *arguments)
    said = str(refused.value)
    assert "\n" not in said
    assert refused.value.returncode == 1
    assert said.startswith(f"The signing keys were not rotated: signing key {key_in(KeyState.SIGNING).kid} ")
    assert 'AT_JWT["KEY_ENCRYPTION_KEYS"]' in said
    assert FLAG in said
    assert rows() == before


def test_the_admin_site_says_which_keys_cannot_be_opened(process_with, admin_client):
    signing = key_in(KeyState.SIGNING)
    pages = [LIST, f"{LIST}{signing.pk}/revoke/"]
    assert not any("errornote" in admin_client.get(page).text for page in pages)
    process_with(ANOTHER)
    for page in pages:
        text = admin_client.get(page).text
        for key in (signing, key_in(KeyState.ANNOUNCED)):
            assert f'<p class="errornote">Signing key {key.kid} is encrypted with' in text


def test_a_new_key_signs_for_the_site_after_the_right_process_made_it(process_with, something_due, service):
    process_with(ANOTHER)
    with pytest.raises(CommandError):
        run("rotate_signing_keys")
    process_with(OF_THE_SITE)
    assert "Created a key for EdDSA" in run("rotate_signing_keys")
    assert service.token("client_credentials").status_code == 200


def test_a_newer_key_added_before_the_sites_own_is_accepted(process_with, something_due, service):
    process_with(ANOTHER, OF_THE_SITE)
    run("rotate_signing_keys")
    assert [is_newest(row.private_jwe) for row in SigningKey.objects.filter(algorithm="EdDSA")] == [True, True]
    assert service.token("client_credentials").status_code == 200
    run("rewrap_signing_keys")
    process_with(ANOTHER)
    assert run("rotate_signing_keys").startswith("Nothing to do.")
    assert service.token("client_credentials").status_code == 200


def test_a_rotation_in_the_admin_is_refused_too(process_with, something_due, admin_client):
    process_with(ANOTHER)
    before = rows()
    for ask in (admin_client.get, admin_client.post):
        page = ask(f"{LIST}rotate/", follow=True)
        assert page.redirect_chain == [(LIST, 302)]
        assert "The signing keys were not rotated: signing key" in page.content.decode()
    assert rows() == before


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_an_import_is_refused_too(arguments, process_with, tmp_path):
    (tmp_path / "key").write_text(JWK.generate(kty="EC", crv="P-256").export_private())
    process_with(ANOTHER)
    before = rows()
    with pytest.raises(CommandError, match="The key was not imported: signing key"):
        run("import_signing_key", str(tmp_path / "key"), *arguments)
    assert rows() == before


@pytest.mark.parametrize("state", [KeyState.SIGNING, KeyState.ANNOUNCED])
def test_a_leaked_key_is_still_revoked_but_no_key_is_made(state, process_with):
    process_with(ANOTHER)
    [leaked] = keys_in(state)
    others = SigningKey.objects.count()
    for dry_run in (["--dry-run"], []):
        with pytest.raises(CommandError, match="revoked, but: The next key could not be made: signing key"):
            run("revoke_signing_key", leaked.kid, "--reason", "x", *dry_run)
    assert [key.kid for key in keys_in(KeyState.REVOKED)] == [leaked.kid]
    assert len(keys_in(KeyState.SIGNING)) == 1
    assert SigningKey.objects.count() == others
    process_with(OF_THE_SITE)
    run("rotate_signing_keys")
    assert len(keys_in(KeyState.ANNOUNCED)) == 1


def test_first_keys_are_made_with_any_key_encryption_key(process_with):
    process_with(ANOTHER)
    SigningKey.objects.update(revoked_at=timezone.now(), private_jwe="")
    run("rotate_signing_keys")
    assert len(keys_in(KeyState.SIGNING)) == 1
    SigningKey.objects.all().delete()
    run("rotate_signing_keys")
    assert len(keys_in(KeyState.SIGNING)) == 1


def test_recovery_from_a_lost_key_encryption_key(process_with, service):
    # The steps of docs/how-to/encrypt-keys.md.
    process_with(ANOTHER)
    assert service.token("client_credentials").status_code == 503
    [signing], [announced] = keys_in(KeyState.SIGNING), keys_in(KeyState.ANNOUNCED)
    with pytest.raises(CommandError, match="is revoked, but: The next key could not be made"):
        run("revoke_signing_key", announced.kid, "--reason", "its key-encryption key is lost")
    with pytest.raises(CommandError, match="not rotated"):
        run("rotate_signing_keys")
    assert "Created a key" in run("rotate_signing_keys", FLAG)
    run("revoke_signing_key", signing.kid, "--reason", "its key-encryption key is lost")
    token = service.token("client_credentials").json()["access_token"]
    assert decoded(token)[0]["kid"] == key_in(KeyState.SIGNING).kid
    assert run("rotate_signing_keys").startswith("Nothing to do.")
    assert len(keys_in(KeyState.ANNOUNCED)) == 1


def test_a_private_half_with_another_public_half_is_refused(service):
    one, other = SigningKey.objects.order_by("pk")
    SigningKey.objects.filter(pk=one.pk).update(public_jwk=other.public_jwk)
    SigningKey.objects.filter(pk=other.pk).update(public_jwk=one.public_jwk)
    key_store.clear()
    assert service.token("client_credentials").status_code == 503
    with pytest.raises(CommandError, match="does not belong to its public half"):
        run("rotate_signing_keys")
