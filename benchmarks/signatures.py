"""Signing and verifying a token, without a request."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.jws import encode_segment
from django_at_jwt.core.jose.keys import PrivateKey
from django_at_jwt.core.profile import encode_json, header_segment

from . import raw, workload
from .interleave import Variant, interleave
from .libraries import LIBRARIES
from .report import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .interleave import Comparison

_POOL: Final = 64
_KEYS_IN_A_LARGE_SET: Final = 100
_VERIFY_GOALS: Final = {"RS256": 1.7, "ES256": 1.25, "EdDSA": 1.2}


class _Keys:
    """A private key, its public key, and a pool of tokens that it signed."""

    def __init__(self, algorithm: str) -> None:
        jwk = ALGORITHMS[algorithm].generate_key()
        self.algorithm = algorithm
        self.signing_key = PrivateKey.from_jwk(jwk, algorithm=algorithm)
        self.public: dict[str, Any] = dict(self.signing_key.public_key.public_jwk)
        self.private: dict[str, Any] = {**json.loads(jwk.export_private()), "kid": self.signing_key.kid}
        self.tokens = [workload.token(self.signing_key) for _ in range(_POOL)]

    def raw_verifying(self) -> Variant:
        pairs = [raw.signature_and_input(token, self.algorithm) for token in self.tokens]
        verify = raw.verifier(self.public, self.algorithm)
        return Variant(name="cryptography", prepare=_cycle(pairs), call=verify, remarks="signature only")


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and yield a table for each kind of work."""
    size = len(encode_json(workload.claims()))
    for algorithm in ("RS256", "ES256", "EdDSA"):
        keys = _Keys(algorithm)
        yield _verifying(keys, size, rounds)
        yield _signing(keys, size, rounds)
    yield _key_sets(rounds)


def _verifying(keys: _Keys, size: int, rounds: int) -> Table:
    variants = [
        Variant(
            name=library.name,
            prepare=_cycle(keys.tokens),
            call=library.verifier(keys.public, keys.algorithm),
            remarks=library.checks,
        )
        for library in LIBRARIES
    ]
    return _table(
        f"Verifying an {keys.algorithm} token, {size} bytes of claims",
        interleave([keys.raw_verifying(), *variants], calls=25, rounds=rounds),
        goal=f"at most {_VERIFY_GOALS[keys.algorithm]} times cryptography, including all checks",
    )


def _signing(keys: _Keys, size: int, rounds: int) -> Table:
    claims = [workload.claims() for _ in range(_POOL)]
    inputs = [b"%b.%b" % (header_segment(keys.signing_key), encode_segment(encode_json(each))) for each in claims]
    variants = [
        Variant(
            name="cryptography",
            prepare=_cycle(inputs),
            call=raw.signer(keys.private, keys.algorithm),
            remarks="signature only",
        )
    ]
    variants += [
        # Authlib modifies the claims that it is given, so each library has its own copies.
        Variant(
            name=library.name,
            prepare=_cycle([dict(each) for each in claims]),
            call=library.signer(keys.private, keys.algorithm),
        )
        for library in LIBRARIES
    ]
    title = f"Signing an {keys.algorithm} token, {size} bytes of claims"
    return _table(title, interleave(variants, calls=20, rounds=rounds // 2))


def _key_sets(rounds: int) -> Table:
    keys = _Keys("ES256")
    others = [_public_jwk("ES256") for _ in range(_KEYS_IN_A_LARGE_SET - 1)]
    # The signing key is in the middle, so a linear search passes half of the other keys.
    half = len(others) // 2
    sets = {1: [keys.public], _KEYS_IN_A_LARGE_SET: [*others[:half], keys.public, *others[half:]]}
    variants = [
        Variant(
            name=f"{library.name}, {count} key{'s' * (count > 1)}",
            prepare=_cycle(keys.tokens),
            call=library.verifier(key_set, "ES256"),
            remarks=library.checks if count == 1 else "",
        )
        for library in LIBRARIES
        for count, key_set in sets.items()
    ]
    return _table(
        f"Verifying an ES256 token with a JWK set of 1 and of {_KEYS_IN_A_LARGE_SET} keys",
        interleave([keys.raw_verifying(), *variants], calls=20, rounds=rounds),
        goal="independent of the number of keys",
    )


def _public_jwk(algorithm: str) -> dict[str, Any]:
    key = PrivateKey.from_jwk(ALGORITHMS[algorithm].generate_key(), algorithm=algorithm)
    return dict(key.public_key.public_jwk)


def _cycle(pool: Sequence[Any]) -> Callable[[int], Sequence[Any]]:
    endless = itertools.cycle(pool)
    return lambda count: list(itertools.islice(endless, count))


def _table(title: str, comparison: Comparison, *, goal: str = "") -> Table:
    rows = [
        {
            "variant": each.variant.name,
            "us": each.microseconds,
            "ratio": each.ratio,
            "remarks": each.variant.remarks,
        }
        for each in comparison.measurements
    ]
    return Table(title=title, rows=rows, null_control=comparison.null_control, unrest=comparison.unrest, goal=goal)
