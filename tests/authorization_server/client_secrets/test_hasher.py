"""The hasher for client secrets, through Django's functions for passwords."""

from __future__ import annotations

import string

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password, get_hasher, identify_hasher, make_password
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_application_model
from oauth2_provider.settings import DEFAULTS

from django_at_jwt.authorization_server.client_secrets import keys
from django_at_jwt.authorization_server.client_secrets.hasher import looks_like_hash
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.conf import CLIENT_SECRET_HASHER, clear_process_caches
from django_at_jwt.models import ClientSecretKey
from tests.client_secret_fixtures import OURS, create_client_secret_key

pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("keyed_hasher")
class TestHash:
    def test_of_a_generated_secret_names_the_key_and_is_fast(self, hashed):
        secret = generate_client_secret()
        encoded = make_password(secret, hasher=CLIENT_SECRET_HASHER)
        algorithm, kid, _salt, _digest = encoded.split("$")
        assert algorithm == CLIENT_SECRET_HASHER
        assert kid == ClientSecretKey.objects.get().kid
        assert len(encoded) < 128
        assert encoded.split("$")[3] != make_password(secret, hasher=CLIENT_SECRET_HASHER).split("$")[3]
        assert check_password(secret, encoded)
        assert not check_password(secret[:-1] + ("a" if secret[-1] != "a" else "b"), encoded)
        assert hashed == []

    @pytest.mark.parametrize(
        "secret",
        ["", "hand-set", "a" * 127, "a" * 129, "a" * 127 + "-", "a" * 127 + "\u00e9", "a" * 127 + "\u0661", "a b" * 43],
    )
    def test_of_another_secret_is_the_sites(self, secret, hashed):
        encoded = make_password(secret, hasher=CLIENT_SECRET_HASHER)
        assert encoded.startswith("counted$")
        assert check_password(secret, encoded)

    def test_of_a_short_generated_secret_is_the_sites(self, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CLIENT_SECRET_GENERATOR_LENGTH": 20}
        assert make_password(generate_client_secret(), hasher=CLIENT_SECRET_HASHER).startswith("counted$")

    def test_of_a_longer_generated_secret_is_ours(self, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CLIENT_SECRET_GENERATOR_LENGTH": 200}
        assert make_password(generate_client_secret(), hasher=CLIENT_SECRET_HASHER).startswith(CLIENT_SECRET_HASHER)

    def test_another_key_gives_another_hash(self):
        secret = generate_client_secret()
        encoded = make_password(secret, "salt", hasher=CLIENT_SECRET_HASHER)
        assert encoded == make_password(secret, "salt", hasher=CLIENT_SECRET_HASHER)
        ClientSecretKey.objects.all().delete()
        rotate_signing_keys()
        assert encoded.split("$")[3] != make_password(secret, "salt", hasher=CLIENT_SECRET_HASHER).split("$")[3]

    def test_old_key_verifies_and_asks_for_an_update(self):
        secret = generate_client_secret()
        encoded = make_password(secret, hasher=CLIENT_SECRET_HASHER)
        assert not get_hasher(CLIENT_SECRET_HASHER).must_update(encoded)
        create_client_secret_key()
        assert check_password(secret, encoded)
        assert get_hasher(CLIENT_SECRET_HASHER).must_update(encoded)

    def test_summary_shows_neither_salt_nor_hash(self):
        encoded = make_password(generate_client_secret(), hasher=CLIENT_SECRET_HASHER)
        _, kid, salt, digest = encoded.split("$")
        summary = identify_hasher(encoded).safe_summary(encoded)
        assert summary["kid"] == kid
        assert salt not in str(summary)
        assert digest not in str(summary)

    @pytest.mark.parametrize("rest", ["", "$", "$x", "$x$y", "$x$y$z", "$x$y$z$more", "$\n$y$z"])
    def test_malformed_matches_nothing(self, rest):
        assert not check_password(generate_client_secret(), CLIENT_SECRET_HASHER + rest)
        kid = ClientSecretKey.objects.get().kid
        assert not check_password(generate_client_secret(), f"{CLIENT_SECRET_HASHER}${kid}{rest}")

    def test_lone_surrogate_is_wrong_and_not_an_error(self):
        assert not check_password("\ud800" * 128, make_password(generate_client_secret(), hasher=CLIENT_SECRET_HASHER))


@pytest.mark.usefixtures("keyed_hasher")
class TestUnavailableKey:
    def test_without_a_key(self, hashed):
        ClientSecretKey.objects.all().delete()
        assert make_password(generate_client_secret(), hasher=CLIENT_SECRET_HASHER).startswith("counted$")

    def test_deleted(self, caplog):
        secret = generate_client_secret()
        encoded = make_password(secret, hasher=CLIENT_SECRET_HASHER)
        ClientSecretKey.objects.all().delete()
        assert not check_password(secret, encoded)
        assert "no longer exists" in caplog.text

    def test_encrypted_with_another_key_encryption_key(self, settings, caplog):
        secret = generate_client_secret()
        encoded = make_password(secret, hasher=CLIENT_SECRET_HASHER)
        settings.SECRET_KEY = "another"
        assert not check_password(secret, encoded)
        assert make_password(secret, hasher=CLIENT_SECRET_HASHER).startswith("counted$")
        kid = ClientSecretKey.objects.get().kid
        assert f"client secret key {kid} is encrypted with a key-encryption key" in caplog.text
        assert secret not in caplog.text

    def test_moved_to_another_row(self, caplog):
        secret = generate_client_secret()
        encoded = make_password(secret, hasher=CLIENT_SECRET_HASHER)
        kid = ClientSecretKey.objects.get().kid
        ClientSecretKey.objects.update(private_jwe=create_client_secret_key().private_jwe)
        clear_process_caches()
        assert kid in encoded
        assert not check_password(secret, encoded)
        assert f"client secret key {kid} belongs to another key" in caplog.text

    def test_unreadable_database(self, monkeypatch, caplog):
        def fail(_database):
            raise OperationalError("away")

        secret = generate_client_secret()
        encoded = make_password(secret, hasher=CLIENT_SECRET_HASHER)
        clear_process_caches()
        monkeypatch.setattr(keys.client_secret_keys._rows, "_read", fail)
        assert not check_password(secret, encoded)
        assert make_password(secret, hasher=CLIENT_SECRET_HASHER).startswith("counted$")
        assert "the client secret keys cannot be read" in caplog.text


@pytest.mark.usefixtures("keyed_hasher")
class TestSavedByTheToolkit:
    def test_generated_secret(self, hashed):
        client = get_application_model()(client_type="confidential", authorization_grant_type="client-credentials")
        secret = client.client_secret
        client.save()
        stored = get_application_model().objects.get(pk=client.pk)
        assert stored.client_secret.startswith(f"{CLIENT_SECRET_HASHER}$")
        stored.save()  # Recognised as a hash.
        stored.refresh_from_db()
        assert check_password(secret, stored.client_secret)
        assert hashed == []

    def test_in_plain(self):
        client = get_application_model().objects.create(hash_client_secret=False)
        client.refresh_from_db()
        assert len(client.client_secret) == 128

    def test_hand_set_secret(self):
        client = get_application_model().objects.create(client_secret="hand-set")
        assert client.client_secret.startswith("counted$")


@pytest.mark.usefixtures("keyed_hasher")
def test_passwords_of_users_are_hashed_as_before():
    user = get_user_model().objects.create_user("bob", password=generate_client_secret())
    assert user.password.startswith("counted$")


def test_passwords_are_not_hashed_by_this_hasher_alone(settings, keyed_hasher):
    settings.PASSWORD_HASHERS = [OURS]
    with pytest.raises(ImproperlyConfigured, match="no hasher for passwords"):
        make_password("correct horse")


def test_toolkits_generator():
    assert DEFAULTS["CLIENT_SECRET_GENERATOR_LENGTH"] == len(generate_client_secret()) == 128
    assert set("".join(generate_client_secret() for _ in range(50))) <= set(string.ascii_letters + string.digits)


@pytest.mark.parametrize(
    "stored",
    [
        "pbkdf2_sha256$1000000$aSalt$5rbem9iY8SClLARyDLaCJs2h1A2kKpu9pO6IhN7YQaa=",
        "argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHQ$8t0bhaXtE9Q7+a/abcdefg",
        "bcrypt_sha256$$2b$12$ZkC4uV7.8LRmHvNAKt0b2OyBQYr1Q4yZr5e7cVnYwq1oXo4lO3tWu",
        "scrypt$16384$salt$8$1$Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4",
        "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
        "sha1$$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
        "at_jwt_hmac_sha256$0123456789abcdef$salt$8t0bhaXtE9Q7abcdefg8t0bhaXtE9Q7abcdefg=",
        "!" + "a" * 40,
    ],
)
def test_form_of_a_hash(stored):
    assert looks_like_hash(stored, in_plain=True)
    assert looks_like_hash(stored, in_plain=False)


@pytest.mark.parametrize("stored", ["", "hand-set", "pa$$word", "cash$1000$", "$5f4dcc3b5aa765d61d8327deb882cf99"])
def test_form_of_no_hash(stored):
    assert not looks_like_hash(stored, in_plain=False)


def test_32_hexadecimal_digits_may_be_a_secret_in_plain():
    assert looks_like_hash("5f4dcc3b5aa765d61d8327deb882cf99", in_plain=False)
    assert not looks_like_hash("5f4dcc3b5aa765d61d8327deb882cf99", in_plain=True)


def test_generated_secret_has_no_form_of_a_hash():
    assert not looks_like_hash(generate_client_secret(), in_plain=False)
