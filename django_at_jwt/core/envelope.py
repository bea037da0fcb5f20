"""What is wrong with a token's form, header and signature, from the verifier's own mouth.

Nothing is checked here. The verifier stops at the first rule that does not hold; to learn of those behind it, it is
asked again about the same token with what was wrong put right. The signature stays that of the token as it came.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from .errors import RejectionReason, TokenRejected
from .jws import CompactJws, encode_segment
from .keyring import KeyRing
from .profile import TOKEN_TYPE
from .verifier import Expectations, verify_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

# The rules, in the order in which a person reads them.
ENVELOPE_RULES: Final = {
    "length": {RejectionReason.TOO_LARGE},
    "form": {RejectionReason.MALFORMED, RejectionReason.ENCRYPTED},
    "header": {RejectionReason.BAD_HEADER},
    "typ": {RejectionReason.UNEXPECTED_TYPE},
    "crit": {RejectionReason.CRITICAL_HEADER},
    "kid": {RejectionReason.UNKNOWN_KEY},
    "alg": {RejectionReason.ALGORITHM_MISMATCH},
    "signature": {RejectionReason.BAD_SIGNATURE},
}
_OF_THE_KEYS: Final = frozenset({"kid", "alg", "signature"})


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvelopeReport:
    """What came of the rules: the refusals by their reasons, and the rules that could not be tried because of them."""

    refusals: Mapping[RejectionReason, TokenRejected]
    untried: frozenset[str]


def examine_envelope(token: str, *, key_ring: KeyRing | None, expected: Expectations) -> EnvelopeReport:
    """Find all that :func:`~.verifier.verify_signature` would refuse a token for, but for its claims.

    Args:
        token: what followed ``Bearer``.
        key_ring: the issuer's keys, or ``None`` where they cannot be had: what takes a key is not tried then.
    """
    refusals: dict[RejectionReason, TokenRejected] = {}
    untried: set[str] = set() if key_ring is not None else {*_OF_THE_KEYS}
    asked: _Question | None = _Question(token, _verifying_as_it_came(token, key_ring), expected)
    while asked is not None and (refused := asked.refusal()) is not None:
        rule = next((rule for rule, reasons in ENVELOPE_RULES.items() if refused.reason in reasons), None)
        if rule is None or rule in untried:
            break
        refusals.setdefault(refused.reason, refused)
        untried |= asked.untried_after(rule)
        asked = asked.put_right(refused.reason)
    return EnvelopeReport(refusals=refusals, untried=frozenset(untried))


def _verifying_as_it_came(token: str, key_ring: KeyRing | None) -> KeyRing:
    """Give a ring whose keys compare a signature with the token's own header and claims, whatever they are handed."""
    signing_input = token.rpartition(".")[0].encode(errors="replace")
    keys = () if key_ring is None else key_ring.verification_keys.values()

    def verifying(verify: Any) -> Any:
        return lambda _signing_input, signature: verify(signing_input, signature)

    return KeyRing.of(replace(key, _verify=verifying(key._verify)) for key in keys)


@dataclass(frozen=True, slots=True)
class _Question:
    token: str
    key_ring: KeyRing
    expected: Expectations

    def refusal(self) -> TokenRejected | None:
        try:
            verify_signature(self.token, key_ring=self.key_ring, expected=self.expected)
        except TokenRejected as rejected:
            return rejected
        return None

    @property
    def header(self) -> dict[str, Any] | None:
        """The header, or ``None`` where it cannot be read."""
        try:
            return CompactJws.split(self.token, max_bytes=self.expected.max_bytes).header
        except TokenRejected:
            return None

    def untried_after(self, rule: str) -> set[str]:
        """Give the rules that one which failed leaves nothing to try with."""
        header = self.header
        match rule:
            case "header" if header is not None:
                unnamed = {name for name in ("kid", "alg") if not isinstance(header.get(name), str)}
                return {*unnamed, "signature"} if unnamed else set()
            case "kid":
                return {"alg", "signature"}
            case "alg":
                # An algorithm that only the settings do not take may have made a good signature.
                return {"signature"} if self.expected.algorithms is None else set()
            case "length" | "form" | "header":
                rules = list(ENVELOPE_RULES)
                return {*rules[rules.index(rule) + 1 :]}
        return set()

    def put_right(self, reason: RejectionReason) -> _Question | None:
        """Give the question without what was refused, or ``None`` where there is nothing left to ask."""
        header = self.header
        if header is None:
            return None
        if reason is RejectionReason.ALGORITHM_MISMATCH and self.expected.algorithms is not None:
            return replace(self, expected=replace(self.expected, algorithms=None))
        named = self.key_ring.verification_keys.get(str(header.get("kid")))
        right = {**header, "alg": named.algorithm.name if named is not None else ""}
        match reason:
            case RejectionReason.UNEXPECTED_TYPE:
                mended = {**header, "typ": TOKEN_TYPE}
            case RejectionReason.CRITICAL_HEADER:
                mended = {name: value for name, value in header.items() if name != "crit"}
            case RejectionReason.BAD_HEADER if isinstance(header.get("kid"), str):
                source = header if isinstance(header.get("alg"), str) else right
                mended = {name: source[name] for name in ("typ", "kid", "alg") if name in source}
            case RejectionReason.ALGORITHM_MISMATCH if named is not None:
                mended = right
            case _:
                return None
        return None if mended == header else self._with(mended)

    def _with(self, header: Mapping[str, Any]) -> _Question:
        _, _, rest = self.token.partition(".")
        token = f"{encode_segment(json.dumps(header).encode()).decode()}.{rest}"
        longest = max(self.expected.max_bytes, len(token))
        return _Question(token, self.key_ring, replace(self.expected, max_bytes=longest))
