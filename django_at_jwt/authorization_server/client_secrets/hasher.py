"""The hasher for generated client secrets: HMAC-SHA-256 with a key that is not in the database in clear.

A generated secret cannot be guessed, so it needs no slow hash. The key protects the hash all the same.
"""

from __future__ import annotations

import base64
import hmac
import logging
import re
from typing import Any, Final

from django.contrib.auth.hashers import (
    BasePasswordHasher,
    get_hashers,
    get_hashers_by_algorithm,
    identify_hasher,
    make_password,
    mask_hash,
)
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from django_at_jwt.conf import CLIENT_SECRET_HASHER, toolkit_setting
from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.core.quotation import quote

from .keys import HashKey, client_secret_keys

logger = logging.getLogger("django_at_jwt")

# django-oauth-toolkit's default length, and the shortest that is taken for generated: 190 random bits.
_TOOLKIT_LENGTH: Final = 128
_SHORTEST: Final = 32
# "algorithm$parts$digest" as Django's and most other hashers write it, and what make_password(None) returns.
_HASH: Final = re.compile(r"[a-z][a-z0-9_]*\$(?:[\w+/=.,-]*\$)+[\w+/=.-]{16,}|![A-Za-z0-9]{40}", re.ASCII)
_UNSALTED_MD5: Final = re.compile(r"[0-9a-f]{32}")


class ClientSecretHasher(BasePasswordHasher):
    """Hashes generated client secrets with HMAC-SHA-256, and all others with the site's password hasher.

    A secret counts as generated if it has the length and the alphabet of django-oauth-toolkit's generator. Without a
    usable key, generated secrets get the site's hash too.
    """

    algorithm = CLIENT_SECRET_HASHER

    @sensitive_variables()
    def encode(self, password: str, salt: str) -> str:
        """Return the hash of a secret. The site's hasher makes its own salt, so ``salt`` is ignored for it."""
        key = newest_key() if is_generated(password) else None
        if key is not None:
            return keyed_hash(password, salt, key)
        slow = _site_hasher()
        encoded: str = slow.encode(password, slow.salt())
        return encoded

    @sensitive_variables()
    def verify(self, password: str, encoded: str) -> bool:
        """Return whether a secret is correct; ``False`` if the key is unavailable, with an error in the log."""
        try:
            return secret_matches(password, encoded)
        except KeysUnavailable as error:
            logger.error("A client secret cannot be verified: %s", error)  # noqa: TRY400 - no traceback is needed
            return False

    def decode(self, encoded: str) -> dict[str, Any]:
        """Return the parts of a hash."""
        algorithm, kid, salt, digest = encoded.split("$")
        return {"algorithm": algorithm, "kid": kid, "salt": salt, "hash": digest}

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        """Return the parts of a hash, masked for display."""
        parts = self.decode(encoded)
        return {**parts, "salt": mask_hash(parts["salt"], show=2), "hash": mask_hash(parts["hash"])}

    def must_update(self, encoded: str) -> bool:
        """Return whether there is a newer key."""
        key = newest_key()
        return key is not None and self.decode(encoded)["kid"] != key.kid

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Do nothing: the hash has no work factor."""


def is_generated(secret: str) -> bool:
    """Return whether a secret has the length and the alphabet of generated ones."""
    length = toolkit_setting("CLIENT_SECRET_GENERATOR_LENGTH", _TOOLKIT_LENGTH)
    return len(secret) == length >= _SHORTEST and secret.isascii() and secret.isalnum()


def is_keyed_hash(stored: str) -> bool:
    """Return whether a stored secret is a hash of this app's hasher."""
    return stored.startswith(f"{CLIENT_SECRET_HASHER}$")


@sensitive_variables()
def is_hash(stored: str) -> bool:
    """Return whether a hasher of the site recognises a stored secret."""
    try:
        identify_hasher(stored)
    except ValueError:
        return False
    return True


@sensitive_variables()
def looks_like_hash(stored: str, *, in_plain: bool) -> bool:
    """Return whether a stored secret has the form of a hash, whatever the hasher.

    Args:
        in_plain: whether this client's secret is stored unhashed, so that 32 hexadecimal digits are the secret.
    """
    return bool(_HASH.fullmatch(stored) or (not in_plain and _UNSALTED_MD5.fullmatch(stored)))


def newest_key() -> HashKey | None:
    """Return the key for new hashes, or ``None`` if it is unavailable, with an error in the log."""
    try:
        return client_secret_keys.newest()
    except KeysUnavailable as error:
        logger.error("Client secrets get the site's password hash: %s", error)  # noqa: TRY400 - no traceback is needed
        return None


@sensitive_variables()
def secret_matches(secret: str, encoded: str) -> bool:
    """Return whether a secret has this hash of :class:`ClientSecretHasher`.

    Raises:
        KeysUnavailable: the keys cannot be read, or this one cannot be decrypted.
    """
    _algorithm, kid, salt, *_digest = [*encoded.split("$"), "", ""]
    key = client_secret_keys.find(kid)
    if key is None:
        logger.error("A client secret is refused: its key %s no longer exists. Set a new secret.", quote(kid))
        return False
    return constant_time_compare(keyed_hash(secret, salt, key), encoded)


@sensitive_variables()
def keyed_hash(secret: str, salt: str, key: HashKey) -> str:
    """Return the hash of a secret."""
    # A lone surrogate, which JSON can contain, is wrong and not an error.
    digest = hmac.digest(key.key, f"{salt}${secret}".encode(errors="surrogatepass"), "sha256")
    return f"{CLIENT_SECRET_HASHER}${key.kid}${salt}${base64.b64encode(digest).decode()}"


def is_preferred() -> bool:
    """Return whether ``CLIENT_SECRET_HASHER`` names this app's hasher."""
    preferred = toolkit_setting("CLIENT_SECRET_HASHER", "default")
    return bool(getattr(preferred, "algorithm", preferred) == CLIENT_SECRET_HASHER)


@sensitive_variables()
def preferred_hash(secret: str, stored: str) -> str | None:
    """Return the hash that a correct secret should have by ``CLIENT_SECRET_HASHER``, or ``None`` if it has it.

    Generated secrets move to this app's hasher if the setting names it, and away from it if not. Hashes of other
    hashers are left alone.

    Raises:
        ValueError: the setting names a hasher that is not in ``PASSWORD_HASHERS``, or whose library is missing.
    """
    if not is_preferred():
        hasher_name = toolkit_setting("CLIENT_SECRET_HASHER", "default")
        return make_password(secret, hasher=hasher_name) if is_keyed_hash(stored) else None
    hasher, key = get_hashers_by_algorithm().get(CLIENT_SECRET_HASHER), newest_key() if is_generated(secret) else None
    if hasher is None or key is None or stored.startswith(f"{CLIENT_SECRET_HASHER}${key.kid}$"):
        return None
    return keyed_hash(secret, hasher.salt(), key)


def _site_hasher() -> BasePasswordHasher:
    for hasher in get_hashers():
        if not isinstance(hasher, ClientSecretHasher):
            return hasher
    raise ImproperlyConfigured(
        "PASSWORD_HASHERS has no hasher for passwords; put Django's before django_at_jwt.hashers.ClientSecretHasher."
    )
