"""From the settings to a verified access token: the issuers, the audiences and the keys that this project accepts."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from django_at_jwt.conf import (
    OPAQUE_TOKEN_READER,
    AppSettings,
    IssuerSettings,
    app_settings,
    local_issuer,
    process_cached,
)
from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.jose.jws import CompactJws, decode_object
from django_at_jwt.core.metadata import is_remote_issuer
from django_at_jwt.core.verifier import Expectations, KeySource
from django_at_jwt.resource_server.remote.discovery import loopback_http
from django_at_jwt.resource_server.remote.key_source import remote_key_source

from .token_cache import token_cache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_at_jwt.core.profile import AccessTokenClaims

_DOTS_OF_A_JWT: Final = 2
# What `manage.py check` reports as well.
NOT_A_REMOTE_ISSUER: Final = "AT_JWT['ISSUERS'] has {!r}, which is not an https URL without query and fragment."
NO_AUDIENCE: Final = "AT_JWT['ISSUERS'][{!r}] has no 'audience', so tokens for any API would be accepted."


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptedIssuer:
    """One issuer whose tokens are accepted here: its keys, and what its tokens must say."""

    keys: KeySource
    expected: Expectations


@sensitive_variables()
def verify_token(token: str, audience: str | None = None) -> AccessTokenClaims:
    """Verify an access token of this project's own issuer, or of one in ``AT_JWT["ISSUERS"]``.

    Args:
        audience: what ``aud`` must hold; without it what the settings say for the issuer. It is one of this project's
            own issuer's audiences by being named here. A remote issuer's tokens are accepted for it if the settings
            have it among that issuer's audiences, else they are refused as those of an issuer that is not set.

    Raises:
        TokenRejected: it must not be accepted.
        KeysUnavailable: the issuer's keys cannot be had.
        ImproperlyConfigured: no issuer is set, none for this audience, or one without an audience.

    What the token says of its issuer only chooses among those that are set. It makes no query while the keys are in
    memory, unless ``AT_JWT["ACCEPT_OPAQUE_TOKENS"]`` is on and the token is one. It does *not* check whether the token
    was revoked or its subject is active.
    """
    settings, issuers = app_settings(), accepted_issuers(audience)
    if settings.accept_opaque_tokens and (local := local_issuer()) and token.count(".") < _DOTS_OF_A_JWT:
        return _read_opaque(token, issuers[local].expected)
    if len(issuers) == 1:
        [accepted] = issuers.values()
    else:
        accepted = issuers.get(token_cache.issuer_of(token) or "") or _issuer_of(token, issuers, settings)
    return token_cache.verify(token, accepted.keys, accepted.expected, time.time(), settings.verified_token_cache_size)


@process_cached
def accepted_issuers(audience: str | None = None) -> Mapping[str, AcceptedIssuer]:
    """Return all issuers whose tokens are accepted, by identifier. An issuer that is listed twice counts as local.

    Args:
        audience: as for :func:`verify_token`.

    Raises:
        ImproperlyConfigured: as :func:`verify_token`.
    """
    settings, local = app_settings(), local_issuer()
    remote = {each.issuer: _remote(each, settings) for each in settings.issuers if each.issuer != local}
    issuers = remote if audience is None else _for_one_audience(remote, audience)
    if local:
        issuers[local] = _local(local, settings, audience)
    if not issuers:
        raise ImproperlyConfigured(
            f"No issuer in AT_JWT['ISSUERS'] has {audience!r} in its 'audience', so no token can be accepted for it."
            if remote
            else "Neither OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] nor AT_JWT['ISSUERS'] is set, so no issuer can be "
            "expected."
        )
    return issuers


def claimed_issuer(token: str, *, max_bytes: int) -> str | None:
    """Give the issuer that a token says it is of, which anybody can write there.

    Raises:
        TokenRejected: it is no JWT.
    """
    jws = CompactJws.split(token, max_bytes=max_bytes)
    issuer = decode_object(jws.payload, RejectionReason.BAD_CLAIMS).get("iss")
    return issuer if isinstance(issuer, str) else None


def _local(issuer: str, settings: AppSettings, audience: str | None) -> AcceptedIssuer:
    wanted = audience or settings.local_audience
    if wanted is None:
        raise ImproperlyConfigured(
            "Neither AT_JWT['AUDIENCE'] nor AT_JWT['DEFAULT_RESOURCE'] is set, so no audience can be expected. A "
            "default resource that is marked in the admin is not looked at here: set AT_JWT['AUDIENCE'] to its "
            "identifier, or name the API at the view, with AccessTokenAuthentication.for_audience()."
        )
    expected = Expectations(
        issuer=issuer,
        audiences=frozenset({wanted}),
        leeway=settings.leeway,
        max_bytes=settings.max_token_bytes,
    )
    # The authorization server's code is only reached by this path, so that an API without one never imports it.
    return AcceptedIssuer(keys=import_string(settings.local_key_ring), expected=expected)


def _for_one_audience(issuers: Mapping[str, AcceptedIssuer], audience: str) -> dict[str, AcceptedIssuer]:
    """Leave out the issuers that the settings do not trust with this audience, whatever a view says."""
    return {
        issuer: replace(accepted, expected=replace(accepted.expected, audiences=frozenset({audience})))
        for issuer, accepted in issuers.items()
        if audience in (accepted.expected.audiences or ())
    }


def _remote(issuer: IssuerSettings, settings: AppSettings) -> AcceptedIssuer:
    if not is_remote_issuer(issuer.issuer, loopback_http=loopback_http()):
        raise ImproperlyConfigured(NOT_A_REMOTE_ISSUER.format(issuer.issuer))
    if not issuer.audience:
        raise ImproperlyConfigured(NO_AUDIENCE.format(issuer.issuer))
    expected = Expectations(
        issuer=issuer.issuer,
        audiences=frozenset(issuer.audience),
        leeway=settings.leeway if issuer.leeway is None else issuer.leeway,
        max_bytes=settings.max_token_bytes,
        algorithms=frozenset(issuer.algorithms) or None,
        required_claims=issuer.required_claims,
    )
    return AcceptedIssuer(keys=remote_key_source(issuer), expected=expected)


def _issuer_of(token: str, issuers: Mapping[str, AcceptedIssuer], settings: AppSettings) -> AcceptedIssuer:
    accepted = issuers.get(claimed_issuer(token, max_bytes=settings.max_token_bytes) or "")
    if accepted is None:
        raise TokenRejected(RejectionReason.WRONG_ISSUER, "iss is none of the issuers that are accepted here")
    return accepted


def _read_opaque(token: str, expected: Expectations) -> AccessTokenClaims:
    claims: AccessTokenClaims = import_string(OPAQUE_TOKEN_READER)(token, expected=expected, now=time.time())
    return claims
