"""The RSA key with which django-oauth-toolkit signs ID tokens. The keys for access tokens are in the database."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from pathlib import Path


def id_token_key(path: Path) -> str:
    """Return the key in a file as PEM. The file is created if it does not exist.

    Raises:
        ImproperlyConfigured: the file can be neither read nor created.
    """
    with suppress(FileNotFoundError):
        return path.read_text()
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent) as file:
            file.write(pem)
            file.flush()
            # os.link() is atomic, so processes that start at the same time use the same key.
            with suppress(FileExistsError):
                os.link(file.name, path)
        return path.read_text()
    except OSError as error:
        raise ImproperlyConfigured(f"The key for ID tokens cannot be stored in {path}: {error.strerror}.") from error
