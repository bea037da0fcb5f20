"""Verification of access tokens with the issuers, audiences and keys that the settings accept.

This module reads the settings. The key sources, the token cache and the verifier take values.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from django_at_jwt.conf import (
    AppSettings,
    IssuerSettings,
    app_settings,
    local_issuer,
    process_cached,
)
from django_at_jwt.core.errors import ReadNeeded, RejectionReason, TokenRejected
from django_at_jwt.core.jose.jws import CompactJws
from django_at_jwt.core.metadata import is_remote_issuer
from django_at_jwt.core.profile import check_type
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.verifier import Expectations, KeysInMemory, KeySource

from .remote_issuers import remote_key_source
from .revocation import local_revocation_policy, remote_revocation_policy
from .token_cache import TokenCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_at_jwt.core.profile import AccessTokenClaims
    from django_at_jwt.core.revocation import RevocationPolicy

_JWT_DOTS: Final = 2
# `manage.py check` reports these too.
NOT_A_REMOTE_ISSUER: Final = 'AT_JWT["ISSUERS"] has {!r}, which is not an https URL without query and fragment.'
NO_AUDIENCE: Final = 'AT_JWT["ISSUERS"]["{}"] has no "audience", so tokens for any API would be accepted.'


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptedIssuer:
    """An issuer whose tokens are accepted: its keys, the expected claims, and the check for revocation, if any."""

    keys: KeySource
    expected: Expectations
    revocation: RevocationPolicy | None


@sensitive_variables()
def verify_token(
    token: str, audience: str | tuple[str, ...] | None = None, revocation: Revocation | None = None
) -> AccessTokenClaims:
    """Verify an access token of the local issuer or of an issuer in ``AT_JWT["ISSUERS"]``.

    Makes no query while the keys and the deny list in memory are recent, unless a token's row is needed: for ``ROW``,
    for a token from before the format of ``jti``, or if ``AT_JWT["ACCEPT_OPAQUE_TOKENS"]`` is on and the token is
    opaque. The token's ``iss`` only selects one of the configured issuers.

    Args:
        audience: the value that ``aud`` must contain, or several, of which one suffices; by default, the audience in
            the settings for the issuer. The local issuer's tokens are accepted for any audience named here. A remote
            issuer's tokens are accepted only if the settings list the audience for that issuer; otherwise the issuer
            counts as unknown.
        revocation: how tokens are checked for revocation. By default, and if it does not apply to the token's issuer,
            ``AT_JWT["REVOCATION"]`` for the local issuer and ``revocation`` in ``AT_JWT["ISSUERS"]`` for others.
            ``DENY_LIST`` and ``ROW`` only apply to the local issuer.
            ``OFFLINE`` turns the check off for all issuers.

    Raises:
        TokenRejected: the token must not be accepted.
        KeysUnavailable: the issuer's keys are not available.
        RevocationUnavailable: whether the token was revoked cannot be found out.
        ImproperlyConfigured: no issuer is set, no issuer has this audience, or an issuer has no audience.

    Not checked: whether the token's subject is active; and, if ``OFFLINE``, whether the token was revoked.
    """
    settings, issuers = app_settings(), accepted_issuers(audience, revocation)
    if settings.accept_opaque_tokens and (local := local_issuer()) and token.count(".") < _JWT_DOTS:
        return _read_opaque(token, issuers[local].expected, _for_local(revocation, settings))
    accepted = _issuer_of(token, issuers)
    claims = _token_cache().verify(token, accepted.keys, accepted.expected, time.time())
    if accepted.revocation is not None:
        accepted.revocation(claims, token)
    return claims


@sensitive_variables()
def verify_token_in_memory(
    token: str, audience: str | tuple[str, ...] | None = None, revocation: Revocation | None = None
) -> AccessTokenClaims:
    """Verify as :func:`verify_token`, without a query or a request, so that an event loop does not wait.

    Raises:
        TokenRejected, ImproperlyConfigured: as there.
        ReadNeeded: the keys, the deny list or the issuer's answer in memory are missing or not recent, or the token's
            row is needed.
    """
    settings, issuers = app_settings(), accepted_issuers(audience, revocation)
    if settings.accept_opaque_tokens and local_issuer() and token.count(".") < _JWT_DOTS:
        raise ReadNeeded
    accepted = _issuer_of(token, issuers)
    claims = _token_cache().verify(token, KeysInMemory(accepted.keys), accepted.expected, time.time())
    if accepted.revocation is not None:
        accepted.revocation.in_memory(claims, token)
    return claims


@sensitive_variables()
def is_meant_for_this_api(token: str, audience: str | tuple[str, ...] | None = None) -> bool:
    """Return whether a token claims to be an access token of an accepted issuer for an accepted audience.

    Not checked: anything else, so anyone can create such a token. Use this only to decide which class rejects it.

    Args:
        audience: as for :func:`verify_token`.

    Raises:
        ImproperlyConfigured: as :func:`verify_token`.
    """
    try:
        jws = CompactJws.split(token, max_bytes=app_settings().max_token_bytes)
        check_type(jws.header)
        claims = jws.claims
    except TokenRejected:
        return False
    issuer, aud = claims.get("iss"), claims.get("aud")
    accepted = accepted_issuers(audience).get(issuer) if isinstance(issuer, str) else None
    if accepted is None:
        return False
    named = aud if isinstance(aud, list) else [aud]
    return any(isinstance(each, str) and each in (accepted.expected.audiences or ()) for each in named)


@process_cached
def accepted_issuers(
    audience: str | tuple[str, ...] | None = None, revocation: Revocation | None = None
) -> Mapping[str, AcceptedIssuer]:
    """Return the issuers whose tokens are accepted, by identifier.

    The local issuer's own entry takes precedence over one in ``AT_JWT["ISSUERS"]``.

    Args:
        audience, revocation: as for :func:`verify_token`.

    Raises:
        ImproperlyConfigured: as :func:`verify_token`.
    """
    settings, local = app_settings(), local_issuer()
    for_remote = revocation if revocation in {Revocation.OFFLINE, Revocation.INTROSPECT} else None
    audiences = frozenset([audience] if isinstance(audience, str) else audience or ())
    remote = [each for each in settings.issuers if each.issuer != local]
    for each in remote:
        _check_remote(each)
    issuers = {
        each.issuer: _remote(each, settings, accepted, for_remote or each.revocation)
        for each in remote
        if (accepted := frozenset(each.audience) & audiences if audiences else frozenset(each.audience))
    }
    if local:
        issuers[local] = _local(local, settings, audiences, _for_local(revocation, settings))
    if not issuers:
        raise ImproperlyConfigured(
            f'No issuer in AT_JWT["ISSUERS"] has the audience {" or ".join(map(repr, sorted(audiences)))}, so no token '
            "can be accepted for it."
            if remote
            else 'No issuer is configured: set OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] or AT_JWT["ISSUERS"].'
        )
    return issuers


def _for_local(revocation: Revocation | None, settings: AppSettings) -> Revocation:
    # The local issuer is not asked over HTTP: its tables are here.
    return settings.local_revocation if revocation in {None, Revocation.INTROSPECT} else revocation


def claimed_issuer(token: str) -> str | None:
    """Return the token's unverified ``iss``, or ``None`` if it is not a string.

    Raises:
        TokenRejected: the token is not a JWT.
    """
    issuer = CompactJws.split(token, max_bytes=app_settings().max_token_bytes).claims.get("iss")
    return issuer if isinstance(issuer, str) else None


def _local(issuer: str, settings: AppSettings, audiences: frozenset[str], revocation: Revocation) -> AcceptedIssuer:
    wanted = audiences or frozenset(settings.local_audiences)
    if not wanted:
        raise ImproperlyConfigured(
            'No audience is configured: set AT_JWT["AUDIENCE"] or AT_JWT["DEFAULT_RESOURCE"], or use '
            "AccessTokenAuthentication.for_audience() in the view. The default resource marked in the admin is not "
            "used here."
        )
    expected = Expectations(
        issuer=issuer,
        audiences=wanted,
        leeway=settings.leeway,
        max_bytes=settings.max_token_bytes,
    )
    # Imported by its path, so that an API without an authorization server never imports that code.
    return AcceptedIssuer(
        keys=import_string(settings.local_key_ring),
        expected=expected,
        revocation=local_revocation_policy(revocation, wanted),
    )


def _check_remote(issuer: IssuerSettings) -> None:
    if not is_remote_issuer(issuer.issuer, loopback_http=bool(django_settings.DEBUG)):
        raise ImproperlyConfigured(NOT_A_REMOTE_ISSUER.format(issuer.issuer))
    if not issuer.audience:
        raise ImproperlyConfigured(NO_AUDIENCE.format(issuer.issuer))


def _remote(
    issuer: IssuerSettings, settings: AppSettings, audiences: frozenset[str], revocation: Revocation
) -> AcceptedIssuer:
    expected = Expectations(
        issuer=issuer.issuer,
        audiences=audiences,
        leeway=settings.leeway_for(issuer),
        max_bytes=settings.max_token_bytes,
        algorithms=frozenset(issuer.algorithms) or None,
        required_claims=issuer.required_claims,
    )
    return AcceptedIssuer(
        keys=remote_key_source(issuer),
        expected=expected,
        revocation=remote_revocation_policy(issuer, revocation, audiences),
    )


@process_cached
def _token_cache() -> TokenCache:
    return TokenCache(app_settings().verified_token_cache_size)


def _issuer_of(token: str, issuers: Mapping[str, AcceptedIssuer]) -> AcceptedIssuer:
    if len(issuers) == 1:
        [only] = issuers.values()
        return only
    accepted = issuers.get(_token_cache().issuer_of(token) or "")
    if accepted is None:
        accepted = issuers.get(claimed_issuer(token) or "")
    if accepted is None:
        raise TokenRejected(RejectionReason.WRONG_ISSUER, "iss is not an accepted issuer")
    return accepted


def _read_opaque(token: str, expected: Expectations, revocation: Revocation) -> AccessTokenClaims:
    # Imported by its path, as in _local().
    read = import_string("django_at_jwt.authorization_server.oauthlib_bridge.opaque_token.read_opaque_token")
    claims: AccessTokenClaims = read(token, expected=expected, now=time.time(), revocation=revocation)
    return claims
