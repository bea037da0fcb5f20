"""Why a token is or is not accepted: the results of all rules, including those after the first failure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from .errors import RejectionReason, TokenRejected
from .profile import REQUIRED_CLAIMS, TOKEN_TYPE
from .quotation import quote
from .verifier import RULES, Examination, Expectations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django_at_jwt.core.jose.keyring import KeyRing

_MOST_LISTED: Final = 5


class RuleOutcome(StrEnum):
    """The outcome of one rule."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleResult:
    """One rule and its outcome. All texts are short, on one line, and contain no token or signature."""

    rule: str
    outcome: RuleOutcome
    expected: str
    found: str = ""
    reason: RejectionReason | None = None
    detail: str = ""


def diagnose(token: str, *, key_ring: KeyRing | None, expected: Expectations, now: float) -> tuple[RuleResult, ...]:
    """Check every rule that can be checked, and return all results.

    Args:
        token: what followed ``Bearer``.
        key_ring: the issuer's keys, or ``None`` if they are unavailable; then rules that need a key are not reached.
        now: seconds since the epoch.

    All rules pass exactly if :func:`~.verifier.verify_access_token` accepts the token. If the signature rule did not
    pass, the claims are unverified: anyone can create such a token.
    """
    examined = Examination(token, expected, now)
    if key_ring is not None:
        examined.key_ring = key_ring
    refusals: dict[str, TokenRejected] = {}
    not_reached: set[str] = set()
    for rule in RULES:
        # A token that is too long is not parsed here either.
        if "length" in refusals or not rule.can_be_checked(examined):
            not_reached.add(rule.name)
            continue
        try:
            rule.check(examined)
        except TokenRejected as rejected:
            refusals[rule.name] = rejected
    return tuple(_result(rule.name, examined, refusals.get(rule.name), not_reached) for rule in RULES)


def _result(rule: str, examined: Examination, refused: TokenRejected | None, not_reached: set[str]) -> RuleResult:
    expected, found = _expected(rule, examined), _found(rule, examined)
    if refused is not None:
        return RuleResult(
            rule=rule,
            outcome=RuleOutcome.FAILED,
            expected=expected,
            found=found,
            reason=refused.reason,
            detail=refused.detail,
        )
    outcome = RuleOutcome.NOT_REACHED if rule in not_reached else RuleOutcome.PASSED
    return RuleResult(rule=rule, outcome=outcome, expected=expected, found=found)


def _expected(rule: str, examined: Examination) -> str:
    expected, now = examined.expected, f"{examined.now:.0f}, with {examined.expected.leeway:g} s of leeway"
    return {
        "length": f"at most {expected.max_bytes} bytes",
        "form": "three segments of base64url: a signed JWT",
        "header": "a JSON object",
        "typ": TOKEN_TYPE,
        "crit": "absent",
        "key reference": "kid and alg",
        "kid": _known_kids(examined),
        "alg": " or ".join(sorted(expected.algorithms)) if expected.algorithms else "the algorithm of the key",
        "signature": "made with the key",
        "claims": "a JSON object",
        "required claims": ", ".join(REQUIRED_CLAIMS),
        "cnf": "absent",
        "iss": expected.issuer,
        "aud": "any" if expected.audiences is None else " or ".join(sorted(expected.audiences)),
        "exp": f"after {now}",
        "iat, nbf": f"not after {now}",
        "claims of the settings": ", ".join(expected.required_claims) or "none",
    }[rule]


def _known_kids(examined: Examination) -> str:
    ring = getattr(examined, "key_ring", None)
    kids = [] if ring is None else [quote(kid) for kid in ring.public_keys]
    more = ", ..." if len(kids) > _MOST_LISTED else ""
    return f"one of {', '.join(kids[:_MOST_LISTED])}{more}" if kids else "the kid of one of the issuer's keys"


def _found(rule: str, examined: Examination) -> str:
    header: Mapping[str, Any] = getattr(examined, "header", {})
    claims: Mapping[str, Any] = getattr(examined, "raw", {})
    found = ""
    match rule:
        case "length":
            found = f"{len(examined.token)} bytes"
        case "form":
            found = f"{examined.token.count('.') + 1} segments"
        case "typ" | "crit" | "kid" | "alg" if header:
            found = quote(header.get(rule))
        case "iss" | "aud" | "exp" | "cnf" | "iat, nbf" if claims:
            found = ", ".join(quote(claims.get(name)) for name in rule.split(", "))
        case "required claims":
            found = _present(REQUIRED_CLAIMS, claims)
        case "claims of the settings":
            found = _present(examined.expected.required_claims, claims)
    return found


def _present(wanted: Iterable[str], claims: Mapping[str, Any]) -> str:
    return ", ".join(claim for claim in wanted if claims.get(claim) is not None)
