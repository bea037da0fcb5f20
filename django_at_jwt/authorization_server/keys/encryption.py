"""Private keys encrypted at rest, each as a compact JWE (RFC 7516) bound to its row."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.views.decorators.debug import sensitive_variables
from jwcrypto.common import JWException, json_encode
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from django_at_jwt.conf import KEY_ENCRYPTION_KEY_BYTES, app_settings
from django_at_jwt.core.errors import NoSigningKey, UnacceptableKey, UnknownKeyEncryptionKey
from django_at_jwt.core.jose.keys import PrivateKey, PublicKey

if TYPE_CHECKING:
    from django_at_jwt.models import SigningKey as SigningKeyRow

_ALGORITHM: Final = "A256GCMKW"
_ENCRYPTION: Final = "A256GCM"
_CONTEXT: Final = "django_at_jwt signing key"

SIGNING_KEY: Final = "signing key"
CLIENT_SECRET_KEY: Final = "client secret key"  # noqa: S105 - what it is


@sensitive_variables()
def _key_encryption_keys() -> list[JWK]:
    """Return the key-encryption keys; the first one encrypts.

    Raises:
        NoSigningKey: the setting is invalid. Ignoring it would encrypt with a key that the site did not choose.
    """
    keys = app_settings().key_encryption_keys
    if keys is None:
        raise NoSigningKey(
            'AT_JWT["KEY_ENCRYPTION_KEYS"] must be a list of 32-byte keys in base64url; private keys cannot be '
            "decrypted or encrypted; run manage.py check to see how to make a key"
        )
    configured = [JWK(kty="oct", k=key) for key in keys]
    # Keys derived from SECRET_KEY still decrypt, so that a site can set its own keys later.
    return [*configured, *map(_derived, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))]


@sensitive_variables()
def _derived(secret: str | bytes) -> JWK:
    material = secret.encode() if isinstance(secret, str) else secret
    derivation = HKDF(algorithm=SHA256(), length=KEY_ENCRYPTION_KEY_BYTES, salt=None, info=_CONTEXT.encode())
    return JWK(kty="oct", k=base64.urlsafe_b64encode(derivation.derive(material)).rstrip(b"=").decode())


@sensitive_variables()
def encrypt_private_key(private_jwk: JWK, *, kid: str, kind: str = SIGNING_KEY) -> str:
    """Encrypt a private or symmetric JWK for the row that has this ``kid``, with the newest key-encryption key.

    Args:
        kind: :data:`SIGNING_KEY` or :data:`CLIENT_SECRET_KEY`.

    Raises:
        NoSigningKey: the setting is invalid, or encryption failed.
    """
    key = _key_encryption_keys()[0]
    export = private_jwk.export_symmetric if private_jwk.is_symmetric else private_jwk.export_private
    # The header is authenticated, so the JWE cannot be moved to another row.
    header = {"alg": _ALGORITHM, "enc": _ENCRYPTION, "kid": key.thumbprint(), "ctx": _context(kind, kid)}
    try:
        # The repr of a JWE before encryption contains the plaintext, so it is never a local variable.
        encrypted: str = JWE(export().encode(), protected=json_encode(header), recipient=key).serialize(compact=True)
    except (JWException, ValueError, TypeError):
        encrypted = ""
    if not encrypted:
        raise NoSigningKey(f"{kind} {kid} could not be encrypted")
    return encrypted


def _context(kind: str, kid: str) -> str:
    return f"django_at_jwt {kind} {kid}"


@sensitive_variables()
def is_newest(encrypted: str) -> bool:
    """Return whether a private key is encrypted with the newest key-encryption key."""
    jwe = JWE(algs=[_ALGORITHM, _ENCRYPTION])
    jwe.deserialize(encrypted)
    newest: str = _key_encryption_keys()[0].thumbprint()
    return bool(jwe.jose_header.get("kid") == newest)


@sensitive_variables()
def decrypt_private_key(encrypted: str, *, kid: str, kind: str = SIGNING_KEY) -> JWK:
    """Decrypt the private or symmetric JWK of the row that has this ``kid``.

    Args:
        kind: as in :func:`encrypt_private_key`.

    Raises:
        NoSigningKey: it is empty, encrypted with a key-encryption key that is not set, tampered with, or from another
            row.
    """
    name = f"{kind} {kid}"
    private = f"the private half of {name}" if kind == SIGNING_KEY else name
    if not encrypted:
        raise NoSigningKey(f"{name} has no private half")
    jwe = JWE(algs=[_ALGORITHM, _ENCRYPTION])
    try:
        jwe.deserialize(encrypted)
        header = jwe.jose_header
    except (JWException, ValueError):
        raise NoSigningKey(f"{private} is not a compact JWE") from None
    if header.get("ctx") != _context(kind, kid):
        raise NoSigningKey(f"{private} belongs to another key")
    key = next((key for key in _key_encryption_keys() if key.thumbprint() == header.get("kid")), None)
    if key is None:
        raise UnknownKeyEncryptionKey(
            f"{name} is encrypted with a key-encryption key that this process does not have; add that key "
            'at the end of AT_JWT["KEY_ENCRYPTION_KEYS"], or the former SECRET_KEY to SECRET_KEY_FALLBACKS'
        )
    try:
        jwe.decrypt(key)
        return JWK(**json.loads(jwe.payload))
    except (JWException, ValueError):
        raise NoSigningKey(f"{private} cannot be decrypted") from None


@sensitive_variables()
def open_signing_key(encrypted: str, public: PublicKey, *, kid: str) -> PrivateKey:
    """Return the signing key of the row that has this ``kid``.

    Args:
        encrypted: the private half, as :func:`encrypt_private_key` returned it.
        public: the public half in the row.

    Raises:
        NoSigningKey: the private half cannot be decrypted or used, or does not belong to ``public``.
    """
    private = decrypt_private_key(encrypted, kid=kid)
    try:
        # A key is checked before it is encrypted, and the encryption is authenticated.
        key = PrivateKey.from_jwk(private, algorithm=public.algorithm.name, kid=kid, checked_before=True)
    except UnacceptableKey as error:
        raise NoSigningKey(f"signing key {kid} cannot be used: {error}") from None
    if key.public_key != public:
        raise NoSigningKey(f"the private half of signing key {kid} does not belong to its public half")
    return key


@sensitive_variables()
def require_row_that_opens(row: SigningKeyRow) -> None:
    """Check that the private half of a row can be decrypted and belongs to its public half.

    Raises:
        NoSigningKey: as :func:`open_signing_key`, or the public half cannot be used.
    """
    try:
        public = PublicKey.from_jwk(row.public_jwk, algorithm=row.algorithm)
    except UnacceptableKey as error:
        raise NoSigningKey(f"the public half of signing key {row.kid} cannot be used: {error}") from None
    open_signing_key(row.private_jwe, public, kid=row.kid)
