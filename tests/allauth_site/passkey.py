"""A passkey in software: an authenticator as WebAuthn (level 2) has it, which registers and signs."""

from __future__ import annotations

import hashlib
import json
import secrets

from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import WebAuthn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

ORIGIN = "https://testserver"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class Passkey:
    """One credential of a user, registered with django-allauth."""

    def __init__(self, user):
        self.user, self.id = user, secrets.token_bytes(16)
        self.key = ec.generate_private_key(ec.SECP256R1())
        public = ES256.from_cryptography_key(self.key.public_key())
        credential = AttestedCredentialData.create(b"\0" * 16, self.id, public)
        data = AuthenticatorData.create(self._site, PRESENT | VERIFIED | ATTESTED, 0, credential)
        WebAuthn.add(
            user,
            "Passkey",
            self._wrapped(
                clientDataJSON=self._client_data("webauthn.create", "AAAA"),
                attestationObject=websafe_encode(AttestationObject.create("none", data, {})),
            ),
        )
        assert Authenticator.objects.filter(user=user).exists()

    _site = hashlib.sha256(b"testserver").digest()

    def answer(self, options, *, verified):
        """Sign what the site asks to be signed, as the form's text."""
        client_data = self._client_data("webauthn.get", options["publicKey"]["challenge"])
        data = AuthenticatorData.create(self._site, PRESENT | (VERIFIED if verified else 0), 1)
        signed = bytes(data) + hashlib.sha256(client_data).digest()
        return json.dumps(
            self._wrapped(
                clientDataJSON=client_data,
                authenticatorData=data,
                signature=self.key.sign(signed, ec.ECDSA(SHA256())),
                userHandle=user_pk_to_url_str(self.user).encode(),
            )
        )

    def _client_data(self, kind, challenge):
        return json.dumps({"type": kind, "challenge": challenge, "origin": ORIGIN}).encode()

    def _wrapped(self, **response):
        text = {
            name: value if isinstance(value, str) else websafe_encode(bytes(value)) for name, value in response.items()
        }
        name = websafe_encode(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": text, "clientExtensionResults": {}}
