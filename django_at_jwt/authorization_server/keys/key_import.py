"""Import a private key made elsewhere, such as the one in ``OIDC_RSA_PRIVATE_KEY``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import KeyChangeRefused, UnacceptableKey
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.keys import PRIVATE_MEMBERS, canonical_private_jwk
from django_at_jwt.core.jose.keys import PrivateKey as OpenKey
from django_at_jwt.core.key_lifecycle import PUBLISHED_STATES, KeyTimes, RotationPlan
from django_at_jwt.models import SigningKey
from django_at_jwt.models.signing_key_event import KeyAction

from .history import UNKNOWN_ORIGIN, ChangeOrigin, describe_times, key_event, record_events
from .lock import signing_key_lock
from .rotation import (
    carry_out_rotation,
    new_row,
    planned_rotation,
    report_made_keys,
    require_keys_that_open,
    require_sound_policy,
    rows_in_use,
)
from .store import key_store

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyImport:
    """The result of an import, or of its dry run.

    ``signing_at`` is when the key starts signing. ``plan`` is the rotation that follows: it contains this key with its
    end, and the keys whose end changes because this one takes over.
    """

    kid: str
    algorithm: str
    signing_at: datetime
    plan: RotationPlan


@sensitive_variables()
def read_private_key(data: bytes, *, password: bytes | None = None) -> JWK:
    """Read a private key in PEM or JWK form, or the only key of a JWK set.

    Raises:
        KeyChangeRefused: it is neither, has no private half, or the password is wrong. The message quotes no input.
    """
    members = _only_key(data)
    try:
        jwk = JWK.from_pem(data, password=password) if members is None else JWK(**_known_members(members))
        known = jwk.get("kty") is not None
    except (JWException, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        known = False
    if not known:
        raise KeyChangeRefused(_why_unreadable(data, with_password=password is not None))
    if not jwk.has_private:
        found = "certificate" if b"BEGIN CERTIFICATE" in data else "public key"
        raise KeyChangeRefused(f"This is a {found}. Import the private key.")
    return jwk


@sensitive_variables()
def _why_unreadable(data: bytes, *, with_password: bool) -> str:
    if not data.strip():
        return "It is empty."
    if data.lstrip().startswith((b"{", b"[")):
        return "The JSON is incomplete, or not a private JWK."
    if b"ENCRYPTED" in data and not with_password:
        return "The key is encrypted. Name the environment variable of its password with --password-variable."
    if b"ENCRYPTED" in data:
        return "The password is wrong, or the PEM is damaged."
    if b"-----BEGIN" in data:
        unless = ", or not encrypted: omit --password-variable" if with_password else ""
        return f"The PEM is incomplete, damaged, or not of a private key{unless}."
    # A shared secret is a line without any form.
    secret = f" {_NO_SECRETS}" if len(data.splitlines()) == 1 else ""
    return f"Not a PEM or JWK private key.{secret}"


_NO_SECRETS: Final = (
    "The secret of HS256 cannot be imported, since each API that verifies with it could also sign: create a key pair "
    "with rotate_signing_keys."
)


@sensitive_variables()
def _only_key(data: bytes) -> dict[str, Any] | None:
    """Return the members of a JWK, or of the only key of a JWK set; ``None`` if it is neither.

    Raises:
        KeyChangeRefused: the set does not have exactly one key, or the key is a shared secret.
    """
    try:
        members = json.loads(data)
    except (ValueError, RecursionError):
        return None
    keys = members.get("keys") if isinstance(members, dict) else None
    if isinstance(keys, list):
        if len(keys) != 1:
            raise KeyChangeRefused(f"A JWK set must have one key (got {len(keys)}). Import its keys one by one.")
        members = keys[0]
    if not isinstance(members, dict):
        return None
    if members.get("kty") == "oct":
        raise KeyChangeRefused(f"Not a private key but a shared secret. {_NO_SECRETS}")
    return members


_KNOWN_MEMBERS: Final = frozenset({"kty", "crv", "alg", "use", "key_ops", "kid", "n", "e", "x", "y", "pub"}) | (
    PRIVATE_MEMBERS - {"k", "oth"}
)


def _known_members(members: dict[str, Any]) -> dict[str, Any]:
    # jwcrypto interprets some other members as instructions, such as to generate a new key.
    return {name: value for name, value in members.items() if name in _KNOWN_MEMBERS}


@sensitive_variables()
def import_signing_key(
    jwk: JWK, *, algorithm: str, origin: ChangeOrigin = UNKNOWN_ORIGIN, dry_run: bool = False
) -> KeyImport:
    """Store a private key and announce it; it signs after the propagation time, or at once if it is the only key.

    Args:
        origin: who imports it and why, for the history of each key that changes.

    Raises:
        KeyChangeRefused: the key is weak, of another type, not for signatures, or already exists; the algorithm is not
            in ``SIGNING_ALGORITHMS``; or the rotation policy is unsound.
        NoSigningKey: a signing or announced key cannot be decrypted, or this key could not be encrypted.
        TimeoutError: another change to the signing keys is running.
    """
    _require_usable(jwk, algorithm)
    jwk = canonical_private_jwk(jwk)
    kid = jwk.thumbprint()
    require_sound_policy()
    with signing_key_lock(dry_run=dry_run) as database:
        now = timezone.now()
        rows = list(SigningKey.objects.using(database))
        if any(row.kid == kid for row in rows):
            raise KeyChangeRefused(f"Signing key {kid} already exists.")
        require_keys_that_open(rows, now)
        first = not any(row.state_at(now) in PUBLISHED_STATES for row in rows)
        signing_at = now if first else now + app_settings().propagation_time
        times = KeyTimes(kid=kid, algorithm=algorithm, announced_at=now, signing_at=signing_at)
        if dry_run:
            plan = planned_rotation([*(row.times for row in rows), times], now)
        else:
            imported = new_row(jwk, times)
            imported.save(using=database, force_insert=True)
            record_events([key_event(times, KeyAction.IMPORTED, origin, describe_times(times))], database)
            cause = gettext("%(kid)s was imported") % {"kid": kid}
            rotation = carry_out_rotation(rows_in_use(database), database, origin=origin.because(cause))
            plan = rotation.plan
    if not dry_run:
        key_store.forget()
        report_made_keys([imported], cause="import")
        report_made_keys(rotation.made, cause="rotation")
    return KeyImport(kid=kid, algorithm=algorithm, signing_at=signing_at, plan=plan)


@sensitive_variables()
def _require_usable(jwk: JWK, algorithm: str) -> None:
    in_use = app_settings().signing_algorithms
    if algorithm not in in_use:
        raise KeyChangeRefused(f'{algorithm} is not in AT_JWT["SIGNING_ALGORITHMS"] ({", ".join(in_use)}).')
    try:
        OpenKey.from_jwk(jwk, algorithm=algorithm)
    except UnacceptableKey as error:
        wanted = ALGORITHMS[algorithm]
        other = (jwk.get("kty"), jwk.get("crv")) != (wanted.key_type, wanted.curve)
        remedy = ", or name another algorithm with --algorithm" if other else ""
        raise KeyChangeRefused(f"The key cannot be used: {error}{remedy}.") from None
