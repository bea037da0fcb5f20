"""From the settings to a verified access token: the issuer, the audience and the keys that this project accepts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_at_jwt.conf import AppSettings, app_settings, local_issuer
from django_at_jwt.core.verifier import Expectations, KeySource

from .verified_tokens import verified_tokens

if TYPE_CHECKING:
    from django_at_jwt.core.profile import AccessTokenClaims


def verify_local_token(token: str, *, audience: str | None = None) -> AccessTokenClaims:
    """Verify an access token of this project's own issuer.

    Args:
        audience: what ``aud`` must hold; without it ``AT_JWT["AUDIENCE"]``, else the default resource.

    Raises:
        TokenRejected: it must not be accepted.
        KeysUnavailable: the issuer's keys cannot be read.
        ImproperlyConfigured: the issuer or the audience is not set.

    It makes no query while the keys are in memory, and does *not* check whether the token was revoked or its subject is
    active.
    """
    settings, issuer = app_settings(), local_issuer()
    before = _prepared.get(audience)
    if before is None or before.settings is not settings or before.issuer != issuer:
        before = _prepared[audience] = _prepare(settings, issuer, audience)
    return verified_tokens.verify(token, keys=before.keys, expected=before.expected, now=time.time())


class _Prepared(NamedTuple):
    """What verifying needs, and the settings that it was made of: they are live, and seldom change."""

    settings: AppSettings
    issuer: str
    keys: KeySource
    expected: Expectations


_prepared: dict[str | None, _Prepared] = {}


def _prepare(settings: AppSettings, issuer: str, audience: str | None) -> _Prepared:
    if not issuer:
        raise ImproperlyConfigured("OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not set, so no issuer can be expected.")
    wanted = audience or settings.audience or settings.default_resource
    if wanted is None:
        raise ImproperlyConfigured("AT_JWT['DEFAULT_RESOURCE'] is not set, so no audience can be expected.")
    expected = Expectations(
        issuer=issuer,
        audiences=frozenset({wanted}),
        leeway=settings.leeway,
        max_bytes=settings.max_token_bytes,
    )
    # The authorization server's code is only reached by this path, so that an API without one never imports it.
    keys: KeySource = import_string(settings.local_key_ring)
    return _Prepared(settings=settings, issuer=issuer, keys=keys, expected=expected)
