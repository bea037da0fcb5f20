"""Private keys at rest: which key-encryption key is used, and errors without it."""

from __future__ import annotations

import base64
import json

import pytest
from django.core.management import CommandError, call_command
from jwcrypto.jwk import JWK

from django_at_jwt.authorization_server.keys.encryption import decrypt_private_key, encrypt_private_key, is_newest
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.errors import NoSigningKey

KEY = JWK.generate(kty="EC", crv="P-256")
NEW = base64.urlsafe_b64encode(b"n" * 32).decode()
OLD = base64.urlsafe_b64encode(b"o" * 32).decode().rstrip("=")


def header_of(encrypted):
    segment = encrypted.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def test_first_key_encrypts_and_every_key_decrypts(settings):
    settings.AT_JWT = {"KEY_ENCRYPTION_KEYS": [OLD]}
    before = encrypt_private_key(KEY, kid="a")
    settings.AT_JWT = {"KEY_ENCRYPTION_KEYS": [NEW, OLD]}
    after = encrypt_private_key(KEY, kid="a")
    assert header_of(before)["kid"] != header_of(after)["kid"]
    assert header_of(after).keys() == {"alg", "enc", "kid", "ctx", "iv", "tag"}
    for encrypted in (before, after):
        assert decrypt_private_key(encrypted, kid="a").export() == KEY.export()
    settings.AT_JWT = {"KEY_ENCRYPTION_KEYS": [NEW]}
    with pytest.raises(NoSigningKey, match="KEY_ENCRYPTION_KEYS"):
        decrypt_private_key(before, kid="a")


def test_without_the_setting_it_follows_the_secret_key_and_its_fallbacks(settings):
    before = encrypt_private_key(KEY, kid="a")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new secret"
    assert decrypt_private_key(before, kid="a").export() == KEY.export()
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(NoSigningKey, match="SECRET_KEY_FALLBACKS"):
        decrypt_private_key(before, kid="a")


def test_bound_to_its_row():
    encrypted = encrypt_private_key(KEY, kid="a")
    with pytest.raises(NoSigningKey, match="belongs to another key"):
        decrypt_private_key(encrypted, kid="b")


def test_context_cannot_be_rewritten():
    encrypted = encrypt_private_key(KEY, kid="a")
    header = {**header_of(encrypted), "ctx": "django_at_jwt signing key b"}
    forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    with pytest.raises(NoSigningKey, match="cannot be decrypted"):
        decrypt_private_key(".".join([forged, *encrypted.split(".")[1:]]), kid="b")


@pytest.mark.parametrize("member", range(1, 5))
def test_tampered_private_key_is_not_decrypted(member):
    parts = encrypt_private_key(KEY, kid="a").split(".")
    parts[member] = ("B" if parts[member][0] == "A" else "A") + parts[member][1:]
    with pytest.raises(NoSigningKey, match="cannot be decrypted"):
        decrypt_private_key(".".join(parts), kid="a")


@pytest.mark.compliance("8725-15")
@pytest.mark.parametrize(
    "header",
    [
        {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 10**9, "p2s": "AAAA"},
        {"alg": "dir", "enc": "A256GCM"},
        {"alg": "A256GCMKW", "enc": "A256GCM", "zip": "DEF"},
        {"alg": "A256GCMKW", "enc": "A128CBC-HS256"},
    ],
)
def test_other_algorithms_are_never_decrypted(header):
    parts = encrypt_private_key(KEY, kid="a").split(".")
    forged = {**header_of(".".join(parts)), **header}
    parts[0] = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    with pytest.raises(NoSigningKey):
        decrypt_private_key(".".join(parts), kid="a")


def test_keys_encrypted_before_the_setting_was_set_still_decrypt(settings):
    before = encrypt_private_key(KEY, kid="a")
    settings.AT_JWT = {"KEY_ENCRYPTION_KEYS": [NEW]}
    assert decrypt_private_key(before, kid="a").export() == KEY.export()
    assert not is_newest(before)
    after = encrypt_private_key(KEY, kid="a")
    assert is_newest(after)
    settings.AT_JWT = {}
    with pytest.raises(NoSigningKey):
        decrypt_private_key(after, kid="a")


@pytest.mark.django_db
@pytest.mark.parametrize("keys", [[""], ["abc"], [NEW, ""], "", None, 5, {NEW}], ids=repr)
def test_invalid_setting_stops_signing_but_not_verification(keys, signing_keys, service, client, settings, caplog):
    token = service.token("client_credentials").json()["access_token"]
    key_store.clear()
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": keys}
    published = client.get("/o/.well-known/jwks.json")
    assert {key["kid"] for key in published.json()["keys"]} == {key.kid for key in signing_keys}
    assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    refused = service.token("client_credentials")
    assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
    assert 'AT_JWT["KEY_ENCRYPTION_KEYS"] must be a list of 32-byte keys' in caplog.text
    settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
    for command in ("rotate_signing_keys", "rewrap_signing_keys"):
        with pytest.raises(CommandError, match="must be a list of 32-byte keys") as failed:
            call_command(command)
        assert str(failed.value).count("must be a list of 32-byte keys") == 1
