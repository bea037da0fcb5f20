from __future__ import annotations

import pytest

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys

from .counting import CountingHasher

COUNTING = f"{CountingHasher.__module__}.CountingHasher"
OURS = "django_at_jwt.hashers.ClientSecretHasher"


@pytest.fixture
def hashed(settings, keys_made_quickly):
    """The list of secrets that the site's password hasher has hashed; this app's hasher is not installed."""
    settings.PASSWORD_HASHERS = [COUNTING]
    CountingHasher.hashed.clear()
    return CountingHasher.hashed


@pytest.fixture
def hasher(settings, hashed, db):
    """The site with this app's hasher for client secrets."""
    settings.PASSWORD_HASHERS = [COUNTING, OURS]
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CLIENT_SECRET_HASHER": "at_jwt_hmac_sha256"}
    rotate_signing_keys()
