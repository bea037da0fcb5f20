"""An issuer in this process, with keys of its own."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self

from django.conf import settings
from django.test import override_settings

from django_at_jwt.checks.ids import CheckId
from django_at_jwt.conf import SETTING_NAME, app_settings, local_issuer
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.jws import sign_compact
from django_at_jwt.core.jose.keyring import KeyRing
from django_at_jwt.core.jose.keys import PrivateKey
from django_at_jwt.core.profile import encode_json, header_segment

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER: Final = "https://issuer.example.com"
AUDIENCE: Final = "https://api.example.com/"
_LIFETIME: Final = 600


def new_signing_key(algorithm: str) -> PrivateKey:
    """Make a key for one of the allowed algorithms.

    Raises:
        ValueError: it is none of them.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"{algorithm!r} is none of {', '.join(ALGORITHMS)}")
    return PrivateKey.from_jwk(ALGORITHMS[algorithm].generate_key(), algorithm=algorithm)


@cache
def _key_of_this_process(algorithm: str, issuer: str) -> PrivateKey:  # noqa: ARG001 - it is what is remembered by
    """Make the key of an issuer once: each has its own, so that no test takes one issuer for another."""
    return new_signing_key(algorithm)


class InMemoryIssuer:
    """An issuer whose keys are in this process alone, for as long as it is installed.

    Args:
        issuer: what its tokens say in ``iss``; without it the project's own issuer, else the first of
            ``AT_JWT["ISSUERS"]``, else one made up.
        audience: what its tokens say in ``aud`` unless told otherwise, and what the API expects unless its view names
            an audience; without it the (first) one that the settings have for this issuer, else one made up.
        algorithm: what it signs with.

    Raises:
        ValueError: the algorithm is none of those that this app knows.

    Its keys are made once in a process, since an RSA key takes a while. Of an issuer in ``AT_JWT["ISSUERS"]`` the user
    mode counts as ever; ``algorithms``, ``leeway`` and ``required_claims`` are *not* looked at.

    >>> issuer = InMemoryIssuer(issuer="https://login.example.com", algorithm="ES256")
    >>> issuer.claims(scope="read")["iss"]
    'https://login.example.com'
    >>> issuer.token(scope="read").count(".")
    2
    """

    def __init__(self, *, issuer: str = "", audience: str = "", algorithm: str = "RS256") -> None:
        configured = app_settings()
        audiences = {each.issuer: each.audience for each in configured.issuers}
        self.issuer: Final = issuer or local_issuer() or next(iter(audiences), ISSUER)
        of_settings = next(iter(audiences.get(self.issuer, ())), configured.local_audience)
        self.audience: Final = audience or of_settings or AUDIENCE
        self.signing_key: Final = _key_of_this_process(algorithm, self.issuer)
        self.key_ring: Final = KeyRing.of([self.signing_key.public_key])

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Give the claims of a token that is good for ten minutes, with changes."""
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": "a-subject-of-the-tests",
            "aud": self.audience,
            "client_id": "a-client-of-the-tests",
            "iat": now,
            "exp": now + _LIFETIME,
            "jti": secrets.token_hex(16),
        } | changes

    def token(self, **claims: Any) -> str:
        """Sign an access token.

        Args:
            claims: what differs from :meth:`claims`. The same ``sub`` and ``client_id`` make the token of a client that
                acts for itself.
        """
        return sign_compact(self.signing_key, header_segment(self.signing_key), encode_json(self.claims(**claims)))

    @contextmanager
    def installed(self) -> Iterator[Self]:
        """Let the project accept this issuer's tokens, and none that were signed with other keys of that issuer.

        Only settings are overridden, so it ends with the ``with`` statement and whatever else ends that.
        """
        toolkit = {**(getattr(settings, "OAUTH2_PROVIDER", None) or {}), "OIDC_ISS_ENDPOINT": self.issuer}
        own = {
            **(getattr(settings, SETTING_NAME, None) or {}),
            "AUDIENCE": self.audience,
            "LOCAL_KEY_RING": f"{__name__}.installed_keys",
        }
        # An issuer in ISSUERS stays there, for its user mode. A project without this app is checked when its views are
        # imported, which may be by the first request of a test, and need not hear that it is its own issuer as well.
        silenced = [*settings.SILENCED_SYSTEM_CHECKS, CheckId.BAD_REMOTE_ISSUER]
        _installed.append(self)
        try:
            with override_settings(
                **{"OAUTH2_PROVIDER": toolkit, SETTING_NAME: own, "SILENCED_SYSTEM_CHECKS": silenced}
            ):
                yield self
        finally:
            _installed.remove(self)


_installed: Final[list[InMemoryIssuer]] = []


class _InstalledKeys:
    """The keys of the issuer that was installed last."""

    def at_hand(self) -> KeyRing:
        return self.current()

    def current(self) -> KeyRing:
        return _installed[-1].key_ring

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        return None  # They are in memory: there is nothing to be read anew.


installed_keys: Final = _InstalledKeys()
