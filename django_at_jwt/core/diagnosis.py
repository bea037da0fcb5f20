"""Why a token is or is not accepted: the results of all rules, including those after the first failure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.jose.jws import CompactJws, check_length

from .errors import RejectionReason, TokenRejected
from .profile import (
    REQUIRED_CLAIMS,
    TOKEN_TYPE,
    check_extensions,
    check_sender_constraint,
    check_type,
    key_reference,
    parse_claims,
)
from .quotation import format_instant, quote
from .verifier import (
    Expectations,
    check_algorithm,
    check_audience,
    check_expiry,
    check_issuer,
    check_key_algorithm,
    check_required_claims,
    check_signature,
    check_start,
    named_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from django_at_jwt.core.jose.keyring import KeyRing
    from django_at_jwt.core.jose.keys import PublicKey

    from .profile import AccessTokenClaims, KeyReference

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


class _Examination:
    """One token, and the facts that the rules have established about it so far.

    A rule sets the attributes that later rules need; the others are unset.

    Attributes:
        now: seconds since the epoch.
        key_ring: the issuer's keys; unset if they are unavailable.
        named_key: the key that the header names; its algorithm may differ from the header's.
        key: the key to verify the signature with.
    """

    is_short: bool
    key_ring: KeyRing
    jws: CompactJws
    header: dict[str, Any]
    reference: KeyReference
    named_key: PublicKey
    key: PublicKey
    raw: dict[str, Any]
    claims: AccessTokenClaims

    def __init__(self, token: str, expected: Expectations, now: float) -> None:
        self.token = token
        self.expected = expected
        self.now = now


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    """One rule for access tokens.

    Attributes:
        name: what a diagnosis calls it.
        check: sets facts, or raises :class:`TokenRejected`.
        needs: the facts that it requires.
    """

    name: str
    check: Callable[[_Examination], None]
    needs: tuple[str, ...] = ()


def _length(token: _Examination) -> None:
    check_length(token.token, token.expected.max_bytes)
    token.is_short = True


def _form(token: _Examination) -> None:
    token.jws = CompactJws.split(token.token, token.expected.max_bytes)


def _header(token: _Examination) -> None:
    token.header = token.jws.header


def _key_reference(token: _Examination) -> None:
    token.reference = key_reference(token.header)


def _key_id(token: _Examination) -> None:
    token.named_key = named_key(token.reference, token.key_ring)


def _algorithm(token: _Examination) -> None:
    check_key_algorithm(token.reference, token.named_key)
    token.key = token.named_key
    check_algorithm(token.key, token.expected)


def _payload(token: _Examination) -> None:
    token.raw = token.jws.claims


def _claims(token: _Examination) -> None:
    token.claims = parse_claims(token.raw)


# In the order in which a request checks them. A request stops at the first that fails, a diagnosis does not.
_RULES: Final = (
    _Rule(name="length", check=_length),
    _Rule(name="form", check=_form, needs=("is_short",)),
    _Rule(name="header", check=_header, needs=("jws",)),
    _Rule(name="typ", check=lambda token: check_type(token.header), needs=("header",)),
    _Rule(name="crit", check=lambda token: check_extensions(token.header), needs=("header",)),
    _Rule(name="key reference", check=_key_reference, needs=("header",)),
    _Rule(name="kid", check=_key_id, needs=("key_ring", "reference")),
    _Rule(name="alg", check=_algorithm, needs=("named_key",)),
    _Rule(name="signature", check=lambda token: check_signature(token.jws, token.key), needs=("key",)),
    _Rule(name="claims", check=_payload, needs=("jws",)),
    _Rule(name="cnf", check=lambda token: check_sender_constraint(token.raw), needs=("raw",)),
    _Rule(name="required claims", check=_claims, needs=("raw",)),
    _Rule(name="iss", check=lambda token: check_issuer(token.claims, token.expected), needs=("claims",)),
    _Rule(name="aud", check=lambda token: check_audience(token.claims, token.expected), needs=("claims",)),
    _Rule(name="exp", check=lambda token: check_expiry(token.claims, token.expected, token.now), needs=("claims",)),
    _Rule(name="iat, nbf", check=lambda token: check_start(token.claims, token.expected, token.now), needs=("claims",)),
    _Rule(
        name="claims of the settings",
        check=lambda token: check_required_claims(token.claims, token.expected),
        needs=("claims",),
    ),
)


def diagnose(token: str, *, key_ring: KeyRing | None, expected: Expectations, now: float) -> tuple[RuleResult, ...]:
    """Check every rule that can be checked, and return all results.

    Args:
        token: what followed ``Bearer``.
        key_ring: the issuer's keys, or ``None`` if they are unavailable; then rules that need a key are not reached.
        now: seconds since the epoch.

    All rules pass exactly if :func:`~.verifier.verify_access_token` accepts the token. If the signature rule did not
    pass, the claims are unverified: anyone can create such a token.
    """
    examined = _Examination(token, expected, now)
    if key_ring is not None:
        examined.key_ring = key_ring
    results: list[RuleResult] = []
    for rule in _RULES:
        result = RuleResult(
            rule=rule.name,
            outcome=RuleOutcome.NOT_REACHED,
            expected=_expected(rule.name, examined),
            found=_found(rule.name, examined),
        )
        if all(hasattr(examined, fact) for fact in rule.needs):
            try:
                rule.check(examined)
            except TokenRejected as rejected:
                result = replace(result, outcome=RuleOutcome.FAILED, reason=rejected.reason, detail=rejected.detail)
            else:
                result = replace(result, outcome=RuleOutcome.PASSED)
        results.append(result)
    return tuple(results)


def _expected(rule: str, examined: _Examination) -> str:
    expected = examined.expected
    now = f"{_with_date(int(examined.now))}, with {expected.leeway:g} s of leeway"
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


def _known_kids(examined: _Examination) -> str:
    ring = getattr(examined, "key_ring", None)
    kids = [] if ring is None else [quote(kid) for kid in ring.public_keys]
    more = ", ..." if len(kids) > _MOST_LISTED else ""
    return f"one of {', '.join(kids[:_MOST_LISTED])}{more}" if kids else "the kid of one of the issuer's keys"


def _found(rule: str, examined: _Examination) -> str:
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
        case "iss" | "aud" | "cnf" if claims:
            found = quote(claims.get(rule))
        case "exp" | "iat, nbf" if claims:
            found = ", ".join(_with_date(claims.get(name)) for name in rule.split(", "))
        case "required claims":
            found = _present(REQUIRED_CLAIMS, claims)
        case "claims of the settings":
            found = _present(examined.expected.required_claims, claims)
    return found


def _with_date(value: object) -> str:
    """Return a NumericDate (RFC 7519 section 2) with its instant in UTC, or another value as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return quote(value)
    try:
        return f"{quote(value)} ({format_instant(datetime.fromtimestamp(value, UTC))})"
    except (OverflowError, OSError, ValueError):
        return quote(value)


def _present(wanted: Iterable[str], claims: Mapping[str, Any]) -> str:
    return ", ".join(claim for claim in wanted if claims.get(claim) is not None)
