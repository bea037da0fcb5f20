"""Sites with and without the hasher for client secrets, and a password hasher that counts instead of taking time."""

from __future__ import annotations

import secrets

import pytest
from django.contrib.auth.hashers import BasePasswordHasher, MD5PasswordHasher
from jwcrypto.jwk import JWK

from django_at_jwt.authorization_server.keys.encryption import CLIENT_SECRET_KEY, encrypt_private_key
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.models import ClientSecretKey


class CountingHasher(MD5PasswordHasher):
    """Stands for a slow hasher; ``hashed`` has the secrets that it has hashed."""

    algorithm = "counted"
    hashed: list[str] = []

    def encode(self, password, salt):
        self.hashed.append(password)
        return super().encode(password, salt)


class HasherWithoutLibrary(BasePasswordHasher):
    """Like Django's hasher for Argon2 where argon2-cffi is not installed."""

    algorithm = "unloadable"
    library = "no_such_module"

    def verify(self, password, encoded):
        self._load_library()


COUNTING = f"{__name__}.CountingHasher"
OURS = "django_at_jwt.hashers.ClientSecretHasher"


@pytest.fixture
def hashed(settings, keys_made_quickly):
    """The list of secrets that the site's password hasher has hashed; this app's hasher is not installed."""
    settings.PASSWORD_HASHERS = [COUNTING]
    CountingHasher.hashed.clear()
    return CountingHasher.hashed


@pytest.fixture
def keyed_hasher(settings, hashed, db):
    """The site with this app's hasher for client secrets, and its keys."""
    settings.PASSWORD_HASHERS = [COUNTING, OURS]
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CLIENT_SECRET_HASHER": "at_jwt_hmac_sha256"}
    rotate_signing_keys()


def create_client_secret_key():
    kid = secrets.token_hex(8)
    encrypted = encrypt_private_key(JWK.generate(kty="oct", size=256), kid=kid, kind=CLIENT_SECRET_KEY)
    return ClientSecretKey.objects.create(kid=kid, private_jwe=encrypted)
