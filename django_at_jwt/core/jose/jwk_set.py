"""Selecting the acceptable keys of an issuer's JWK set (RFC 7517 section 5, RFC 8725 section 3)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.errors import UnacceptableDocument, UnacceptableKey
from django_at_jwt.core.quotation import quote

from .algorithms import ALGORITHMS
from .keys import PRIVATE_MEMBERS, PublicKey, check_purpose

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_MOST_KEYS: Final = 100
LONGEST_KID: Final = 512
# Ed25519 has two names in tokens. If a key names no algorithm, assume that of RFC 8037.
_USUAL_NAME: Final = {"Ed25519": "EdDSA"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedKey:
    """A key of a JWK set that is not accepted; ``kid`` is shortened and safe to show."""

    kid: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptedKeys:
    """The accepted keys of a JWK set, each with a unique ``kid``. Empty if the issuer withdrew its last key."""

    keys: tuple[PublicKey, ...]
    skipped: tuple[SkippedKey, ...]


def accept_keys(document: Mapping[str, Any], *, algorithms: Collection[str] = ()) -> AcceptedKeys:
    """Return the keys of a JWK set that may verify access tokens.

    Args:
        document: the JWK set.
        algorithms: those that the resource server accepts from this issuer; if empty, all allowed algorithms.

    Private and symmetric keys are skipped, since every reader of the set could sign with them. Different keys with the
    same ``kid`` are all skipped: a token would not say which one it means.

    Raises:
        UnacceptableDocument: not a JWK set, or one with too many keys.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise UnacceptableDocument('it has no list of "keys"')
    if len(entries) > _MOST_KEYS:
        raise UnacceptableDocument(f"it has {len(entries)} keys, more than {_MOST_KEYS}")
    usable: defaultdict[str, list[PublicKey]] = defaultdict(list)
    skipped: list[SkippedKey] = []
    for entry in entries:
        try:
            key = _accept(entry, algorithms)
        except UnacceptableKey as error:
            kid = entry.get("kid") if isinstance(entry, dict) else None
            skipped.append(SkippedKey(kid=quote(kid), reason=str(error)))
        else:
            if key not in usable[key.kid]:
                usable[key.kid].append(key)
    keys = tuple(same[0] for same in usable.values() if len(same) == 1)
    skipped += _ambiguous(usable)
    return AcceptedKeys(keys=keys, skipped=tuple(skipped))


def _ambiguous(usable: Mapping[str, list[PublicKey]]) -> Iterator[SkippedKey]:
    for kid, same in usable.items():
        if len(same) > 1:
            yield SkippedKey(kid=quote(kid), reason=f"{len(same)} different keys have this kid")


def _accept(entry: object, algorithms: Collection[str]) -> PublicKey:
    if not isinstance(entry, dict):
        raise UnacceptableKey("it is not a JSON object")
    if entry.get("kty") == "oct" or "k" in entry:
        raise UnacceptableKey("it is symmetric: every reader of the set could sign with it")
    if not PRIVATE_MEMBERS.isdisjoint(entry):
        raise UnacceptableKey("it includes the private half: every reader of the set could sign with it")
    kid = entry.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_KID:
        raise UnacceptableKey("it has no kid, or one that is not a string of acceptable length")
    check_purpose(entry, allowed=("verify",))
    name = entry["alg"] if "alg" in entry else _only_algorithm(entry, algorithms)
    if algorithms and isinstance(name, str) and name in ALGORITHMS and name not in algorithms:
        raise UnacceptableKey(f"{name} is not accepted from this issuer")
    return PublicKey.from_jwk(entry, algorithm=name if isinstance(name, str) else None)


def _only_algorithm(entry: Mapping[str, Any], algorithms: Collection[str]) -> str:
    """Return the algorithm of a key without ``alg`` if only one matches.

    Raises:
        UnacceptableKey: none or several match.
    """
    curve = entry.get("crv")
    if not algorithms and isinstance(curve, str) and curve in _USUAL_NAME:
        return _USUAL_NAME[curve]
    kind = entry.get("kty"), curve
    fitting = [name for name in algorithms or ALGORITHMS if (ALGORITHMS[name].key_type, ALGORITHMS[name].curve) == kind]
    match fitting:
        case [one]:
            return one
        case []:
            raise UnacceptableKey("no accepted algorithm uses a key of this type")
        case _:
            raise UnacceptableKey(f'it has no "alg", and {", ".join(fitting)} all match: accept only one of them')
