"""Why a token is or is not accepted, rule by rule, from the verifier's own mouth.

Nothing is checked here. The verifier stops at the first rule that does not hold; to learn of the rules behind it, it is
asked again about the same claims with what was wrong put right. :mod:`.envelope` does so for all but the claims.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from .envelope import ENVELOPE_RULES, examine_envelope
from .errors import RejectionReason, TokenRejected
from .jws import CompactJws, decode_object
from .profile import REQUIRED_CLAIMS, TOKEN_TYPE, AccessTokenClaims, parse_claims
from .quotation import shown
from .verifier import Expectations, check_claims

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from .keyring import KeyRing


class Outcome(StrEnum):
    """What came of a rule."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleResult:
    """One rule, and how a token did. All texts are short, in one line, and hold neither the token nor its signature."""

    rule: str
    outcome: Outcome
    expected: str
    found: str = ""
    reason: RejectionReason | None = None
    detail: str = ""


_CONTENT: Final = {
    "claims": {RejectionReason.BAD_CLAIMS},
    "required claims": {RejectionReason.MISSING_CLAIM, RejectionReason.BAD_CLAIM},
    "cnf": {RejectionReason.SENDER_CONSTRAINED},
}
_VALUES: Final = {
    "iss": {RejectionReason.WRONG_ISSUER},
    "aud": {RejectionReason.WRONG_AUDIENCE},
    "exp": {RejectionReason.EXPIRED},
    "iat, nbf": {RejectionReason.NOT_YET_VALID},
    "claims of the settings": {RejectionReason.MISSING_CLAIM},
}


def diagnose(token: str, *, key_ring: KeyRing | None, expected: Expectations, now: float) -> tuple[RuleResult, ...]:
    """Give the outcome of each rule, also of those behind the first that failed, as far as they do not depend on it.

    Args:
        token: what followed ``Bearer``.
        key_ring: the issuer's keys, or ``None`` where they cannot be had: what takes a key is not reached then.
        now: seconds since the epoch.

    All have passed exactly if :func:`~.verifier.verify_access_token` accepts the token. Once the signature has failed,
    the rules for claims speak of what the token says and nobody vouches for.
    """
    said = _Said(token, key_ring, expected, now)
    envelope = examine_envelope(token, key_ring=key_ring, expected=expected)
    return (
        *said.results(ENVELOPE_RULES, envelope.refusals, untried=envelope.untried),
        *_about_claims(said, expected, now),
    )


def _about_claims(said: _Said, expected: Expectations, now: float) -> Iterator[RuleResult]:
    try:
        claims = parse_claims(said.read_claims())
    except TokenRejected as rejected:
        failed = next((rule for rule, reasons in _CONTENT.items() if rejected.reason in reasons), None)
        content = list(_CONTENT)
        behind = content if failed is None else content[content.index(failed) + 1 :]
        yield from said.results(_CONTENT, {rejected.reason: rejected}, untried=behind)
        yield from said.results(_VALUES, {}, untried=_VALUES)
        return
    yield from said.results(_CONTENT, {})
    refusals: dict[RejectionReason, TokenRejected] = {}
    while True:
        try:
            check_claims(claims, expected=expected, now=now)
        except TokenRejected as rejected:
            refusals[rejected.reason] = rejected
            claims, expected = _put_right(rejected.reason, claims, expected, now)
        else:
            break
    yield from said.results(_VALUES, refusals)


def _put_right(
    reason: RejectionReason, claims: AccessTokenClaims, expected: Expectations, now: float
) -> tuple[AccessTokenClaims, Expectations]:
    match reason:
        case RejectionReason.WRONG_ISSUER:
            return claims, replace(expected, issuer=claims.issuer)
        case RejectionReason.WRONG_AUDIENCE:
            return claims, replace(expected, audiences=None)
        case RejectionReason.EXPIRED:
            return claims._replace(expires_at=now + 1), expected
        case RejectionReason.NOT_YET_VALID:
            return claims._replace(issued_at=now, not_before=None), expected
        case _:
            return claims, replace(expected, required_claims=())


class _Said:
    """What a token says, to be shown beside what is expected; nothing of it is believed."""

    def __init__(self, token: str, key_ring: KeyRing | None, expected: Expectations, now: float) -> None:
        self._token, self._key_ring, self._expected, self._now = token, key_ring, expected, now
        self._header = self._tried(lambda: CompactJws.split(token, max_bytes=expected.max_bytes).header)
        self._claims = self._tried(self.read_claims)

    def read_claims(self) -> dict[str, Any]:
        jws = CompactJws.split(self._token, max_bytes=self._expected.max_bytes)
        return decode_object(jws.payload, RejectionReason.BAD_CLAIMS)

    @staticmethod
    def _tried(read: Any) -> Mapping[str, Any]:
        try:
            members: Mapping[str, Any] = read()
        except TokenRejected:
            return {}
        return members

    def results(
        self,
        rules: Mapping[str, Iterable[RejectionReason]],
        refusals: Mapping[RejectionReason, TokenRejected],
        *,
        untried: Collection[str] = (),
    ) -> Iterator[RuleResult]:
        """Give the results of rules, by what the token was refused for and what could not be tried."""
        for rule, reasons in rules.items():
            refused = next((refusals[reason] for reason in reasons if reason in refusals), None)
            outcome = Outcome.NOT_REACHED if rule in untried else Outcome.PASSED
            yield RuleResult(
                rule=rule,
                outcome=outcome if refused is None else Outcome.FAILED,
                expected=self._expected_of(rule),
                found=self._found(rule),
                reason=refused.reason if refused is not None else None,
                detail=refused.detail if refused is not None else "",
            )

    def _expected_of(self, rule: str) -> str:
        expected, leeway = self._expected, f"{self._expected.leeway:g} s"
        return {
            "length": f"at most {expected.max_bytes} bytes",
            "form": "three segments of base64url: a signed JWT",
            "header": "a JSON object with kid and alg",
            "typ": TOKEN_TYPE,
            "crit": "absent",
            "kid": self._known_kids(),
            "alg": " or ".join(sorted(expected.algorithms)) if expected.algorithms else "the algorithm of the key",
            "signature": "made with the key",
            "claims": "a JSON object",
            "required claims": ", ".join(REQUIRED_CLAIMS),
            "cnf": "absent",
            "iss": expected.issuer,
            "aud": "any" if expected.audiences is None else " or ".join(sorted(expected.audiences)),
            "exp": f"after {self._now:.0f}, give or take {leeway}",
            "iat, nbf": f"not after {self._now:.0f}, give or take {leeway}",
            "claims of the settings": ", ".join(expected.required_claims) or "none",
        }[rule]

    def _known_kids(self) -> str:
        kids = [] if self._key_ring is None else [shown(kid) for kid in self._key_ring.verification_keys]
        more = ", ..." if len(kids) > _MOST_LISTED else ""
        return f"one of {', '.join(kids[:_MOST_LISTED])}{more}" if kids else "that of a key of the issuer"

    def _found(self, rule: str) -> str:
        match rule:
            case "length":
                return f"{len(self._token)} bytes"
            case "form":
                return f"{self._token.count('.') + 1} segments"
            case "typ" | "crit" | "kid" | "alg":
                return shown(self._header.get(rule)) if self._header else ""
            case "iss" | "aud" | "exp" | "cnf" | "iat, nbf":
                return ", ".join(shown(self._claims.get(name)) for name in rule.split(", ")) if self._claims else ""
            case "required claims":
                return self._present(REQUIRED_CLAIMS)
        return self._present(self._expected.required_claims) if rule == "claims of the settings" else ""

    def _present(self, wanted: Iterable[str]) -> str:
        return ", ".join(claim for claim in wanted if self._claims.get(claim) is not None)


_MOST_LISTED: Final = 5
