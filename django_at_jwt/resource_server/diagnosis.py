"""Why this project accepts a token or does not, for a person to read."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_at_jwt.conf import app_settings
from django_at_jwt.core.diagnosis import Outcome, RuleResult, diagnose
from django_at_jwt.core.errors import KeysUnavailable, TokenRejected
from django_at_jwt.core.jws import CompactJws
from django_at_jwt.core.verifier import Expectations

from .verification import accepted_issuers, claimed_issuer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_at_jwt.core.keyring import KeyRing
    from django_at_jwt.core.verifier import KeySource


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """What came of each rule, for the issuer that the token says it is of."""

    issuer: str | None
    keys_problem: str
    rules: tuple[RuleResult, ...]

    @property
    def is_accepted(self) -> bool:
        """Whether every rule holds, which is what :func:`~.verification.verify_token` asks for."""
        return all(rule.outcome is Outcome.PASSED for rule in self.rules)


def diagnose_token(token: str, *, audience: str | None = None) -> Diagnosis:
    """Look at a token with the rules of :func:`~.verification.verify_token`, and go on after the first that fails.

    Raises:
        ImproperlyConfigured: no issuer is set, or one without an audience.

    It may ask the issuer for its keys, and does *not* look up opaque tokens.
    """
    issuers, now = accepted_issuers(audience=audience), time.time()
    issuer = _issuer_to_ask(token, tuple(issuers))
    if issuer is None:
        nobody = Expectations(
            # Text with spaces in it is nobody's identifier, so the rule for iss fails, and shows what would do.
            issuer=" or ".join(issuers),
            audiences=frozenset().union(*(each.expected.audiences or () for each in issuers.values())),
            leeway=app_settings().leeway,
            max_bytes=app_settings().max_token_bytes,
        )
        return Diagnosis(issuer=None, keys_problem="", rules=diagnose(token, key_ring=None, expected=nobody, now=now))
    keys, expected = issuers[issuer]
    try:
        ring = _ring_for(token, keys, expected)
    except KeysUnavailable as error:
        rules = diagnose(token, key_ring=None, expected=expected, now=now)
        return Diagnosis(issuer=issuer, keys_problem=str(error), rules=rules)
    return Diagnosis(issuer=issuer, keys_problem="", rules=diagnose(token, key_ring=ring, expected=expected, now=now))


def _issuer_to_ask(token: str, issuers: Sequence[str]) -> str | None:
    """Give the issuer whose keys would verify the token: the only one there is, or the one that it names."""
    if len(issuers) == 1:
        return issuers[0]
    try:
        claimed = claimed_issuer(token, max_bytes=app_settings().max_token_bytes)
    except TokenRejected:
        return None
    return claimed if claimed in issuers else None


def _ring_for(token: str, keys: KeySource, expected: Expectations) -> KeyRing:
    """Give the ring that the token would be verified with, renewed as for any token that names an unknown key."""
    ring = keys.current()
    try:
        kid = CompactJws.split(token, max_bytes=expected.max_bytes).header.get("kid")
    except TokenRejected:
        return ring
    if isinstance(kid, str) and kid not in ring.verification_keys:
        # Whatever else is wrong with the header, the rule for kid is tried too.
        return keys.after_unknown_kid(kid) or ring
    return ring
