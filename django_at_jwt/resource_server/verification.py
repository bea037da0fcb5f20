"""From the settings to a verified access token: the issuer, the audience and the keys that this project accepts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_at_jwt.conf import AppSettings, app_settings, local_issuer
from django_at_jwt.core.verifier import Expectations, KeySource, verify_with_current_keys

if TYPE_CHECKING:
    from django_at_jwt.core.profile import AccessTokenClaims


def verify_local_token(token: str, *, audience: str | None = None) -> AccessTokenClaims:
    """Verify an access token of this project's own issuer.

    Args:
        audience: what ``aud`` must hold; without it ``AT_JWT["AUDIENCE"]``, else the default resource.

    Raises:
        TokenRejected: it must not be accepted.
        ImproperlyConfigured: the issuer or the audience is not set.

    It makes no query, and does *not* check whether the token was revoked or its subject is active.
    """
    settings = app_settings()
    return verify_with_current_keys(
        token, keys=_local_keys(settings.local_key_ring), expected=_expectations(settings, audience), now=time.time()
    )


_keys_by_path: dict[str, KeySource] = {}


def _local_keys(dotted_path: str) -> KeySource:
    # The authorization server's code is only reached by this path, so that an API without one never imports it.
    keys = _keys_by_path.get(dotted_path)
    if keys is None:
        keys = _keys_by_path[dotted_path] = import_string(dotted_path)
    return keys


_expected: dict[str | None, tuple[AppSettings, str, Expectations]] = {}


def _expectations(settings: AppSettings, audience: str | None) -> Expectations:
    issuer = local_issuer()
    before = _expected.get(audience)
    if before is not None and before[0] is settings and before[1] == issuer:
        return before[2]
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
    _expected[audience] = (settings, issuer, expected)
    return expected
