"""A human-readable diagnosis of why a token is accepted or rejected."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django_at_jwt.conf import app_settings
from django_at_jwt.core.diagnosis import RuleOutcome, RuleResult, diagnose
from django_at_jwt.core.errors import KeysUnavailable, RevocationUnavailable, TokenRejected
from django_at_jwt.core.jose.jws import CompactJws
from django_at_jwt.core.profile import parse_claims
from django_at_jwt.core.subjects import UserMode
from django_at_jwt.core.verifier import Expectations
from django_at_jwt.resource_server.users.resolution import known_user, user_options

from .verification import accepted_issuers, claimed_issuer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_at_jwt.core.jose.keyring import KeyRing
    from django_at_jwt.core.profile import AccessTokenClaims
    from django_at_jwt.core.verifier import KeySource


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """The result of each rule, for the issuer that the token claims.

    ``keys_problem`` is why the issuer's keys are not available, or empty. ``token_id`` is the token's unverified
    ``jti``, or ``None`` if its claims cannot be read.
    """

    issuer: str | None
    keys_problem: str
    token_id: str | None = None
    rules: tuple[RuleResult, ...]

    @property
    def is_accepted(self) -> bool:
        """Whether every rule passed, as the authentication class requires."""
        return all(rule.outcome is RuleOutcome.PASSED for rule in self.rules)

    @property
    def is_rejected(self) -> bool:
        """Whether a rule failed. If none did, but some could not be checked, the token is neither."""
        return any(rule.outcome is RuleOutcome.FAILED for rule in self.rules)

    @property
    def audience(self) -> str:
        """The accepted audiences, for people."""
        return next(rule.expected for rule in self.rules if rule.rule == "aud")


def diagnose_token(token: str, *, audience: str | None = None) -> Diagnosis:
    """Apply all rules of :func:`~.verification.verify_token` to a token, without stopping at the first failure.

    The last two rules are about revocation and the user, and apply if all other rules passed: the site's own lookup
    function must only get verified claims. No user is created. The issuer's keys may be fetched.

    Raises:
        ImproperlyConfigured: no issuer is set, an issuer has no audience, or the table of subjects is missing.
        django.db.Error: the user cannot be read.

    Not checked: opaque tokens are not looked up.
    """
    diagnosis = _diagnose_token(token, audience=audience)
    diagnosis = replace(diagnosis, rules=(*diagnosis.rules, _revocation_rule(token, diagnosis, audience)))
    return replace(
        diagnosis, token_id=unverified_token_id(token), rules=(*diagnosis.rules, _user_rule(token, diagnosis))
    )


def _diagnose_token(token: str, *, audience: str | None) -> Diagnosis:
    issuers, now = accepted_issuers(audience), time.time()
    issuer = _issuer_to_ask(token, tuple(issuers))
    if issuer is None:
        any_issuer = Expectations(
            # No identifier has spaces, so the rule for iss fails and shows the accepted issuers.
            issuer=" or ".join(issuers),
            audiences=frozenset().union(*(each.expected.audiences or () for each in issuers.values())),
            leeway=app_settings().leeway,
            max_bytes=app_settings().max_token_bytes,
        )
        rules = diagnose(token, key_ring=None, expected=any_issuer, now=now)
        return Diagnosis(issuer=None, keys_problem="", rules=rules)
    expected = issuers[issuer].expected
    try:
        ring = _ring_for(token, issuers[issuer].keys, expected)
    except KeysUnavailable as error:
        rules = diagnose(token, key_ring=None, expected=expected, now=now)
        return Diagnosis(issuer=issuer, keys_problem=str(error), rules=rules)
    return Diagnosis(issuer=issuer, keys_problem="", rules=diagnose(token, key_ring=ring, expected=expected, now=now))


def _revocation_rule(token: str, diagnosis: Diagnosis, audience: str | None) -> RuleResult:
    result = RuleResult(rule="revocation", outcome=RuleOutcome.NOT_REACHED, expected="not revoked")
    if diagnosis.issuer is None:
        return result
    check = accepted_issuers(audience)[diagnosis.issuer].revocation
    if check is None:
        return replace(result, outcome=RuleOutcome.PASSED, expected="(not checked; offline)")
    if not diagnosis.is_accepted:
        return result
    try:
        check(unverified_claims(token), token)
    except TokenRejected as rejected:
        return replace(result, outcome=RuleOutcome.FAILED, reason=rejected.reason, detail=rejected.detail)
    except RevocationUnavailable as error:
        return replace(result, found=str(error))
    return replace(result, outcome=RuleOutcome.PASSED)


def unverified_claims(token: str) -> AccessTokenClaims:
    """Return the claims of an access token.

    Raises:
        TokenRejected: it is not a JWT with the claims of RFC 9068.

    Not checked: the signature, and any value.
    """
    return parse_claims(CompactJws.split(token, max_bytes=app_settings().max_token_bytes).claims)


def unverified_token_id(token: str) -> str | None:
    """Return the ``jti`` of an access token, or ``None`` if its claims cannot be read.

    Not checked: as :func:`unverified_claims`.
    """
    try:
        return unverified_claims(token).token_id
    except TokenRejected:
        return None


def _user_rule(token: str, diagnosis: Diagnosis) -> RuleResult:
    result = RuleResult(rule="user", outcome=RuleOutcome.PASSED, expected="exists and is active")
    if diagnosis.issuer is None:
        return replace(result, outcome=RuleOutcome.NOT_REACHED)
    options = user_options(diagnosis.issuer)
    if options.mode is UserMode.STATELESS:
        return replace(result, expected="any subject (users of this issuer are not looked up)")
    if not diagnosis.is_accepted:
        return replace(result, outcome=RuleOutcome.NOT_REACHED)
    claims = unverified_claims(token)
    if claims.is_machine:
        return replace(result, expected="(none; the client acts for itself)")
    try:
        user = known_user(claims, token, options)
    except TokenRejected as rejected:
        return replace(result, outcome=RuleOutcome.FAILED, reason=rejected.reason, detail=rejected.detail)
    found = "none yet; the first request creates the user" if user is None else f"primary key {user.pk}"
    return replace(result, found=found)


def _issuer_to_ask(token: str, issuers: Sequence[str]) -> str | None:
    """Return the issuer whose keys would verify the token: the only one configured, or the one that ``iss`` names."""
    if len(issuers) == 1:
        return issuers[0]
    try:
        claimed = claimed_issuer(token)
    except TokenRejected:
        return None
    return claimed if claimed in issuers else None


def _ring_for(token: str, keys: KeySource, expected: Expectations) -> KeyRing:
    """Return the key ring that would verify the token, refreshed if the token names an unknown key."""
    ring = keys.current()
    try:
        kid = CompactJws.split(token, max_bytes=expected.max_bytes).header.get("kid")
    except TokenRejected:
        return ring
    if isinstance(kid, str) and kid not in ring.public_keys:
        # Even if the header is invalid in other ways, the rule for kid gets the refreshed key ring.
        return keys.after_unknown_kid(kid) or ring
    return ring
