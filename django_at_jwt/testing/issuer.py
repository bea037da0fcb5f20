"""An in-memory issuer with its own keys."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self

from django.conf import settings
from django.test import override_settings

from django_at_jwt.checks.ids import CheckId
from django_at_jwt.conf import SETTING_NAME, app_settings, local_issuer
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.jws import sign_compact
from django_at_jwt.core.jose.keyring import KeyRing, Signer
from django_at_jwt.core.jose.keys import PrivateKey
from django_at_jwt.core.profile import encode_json, header_segment
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.token_id import TokenId

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUER: Final = "https://issuer.example.com"
TEST_SERVER: Final = "http://testserver/"
"""The address of Django's test client, which covers every view of the project."""
AUDIENCE: Final = "https://api.example.com/"
_LIFETIME: Final = 600


def new_signing_key(algorithm: str) -> PrivateKey:
    """Return a new key for one of the allowed algorithms.

    Raises:
        ValueError: the algorithm is not allowed.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)} (got {algorithm!r})")
    return PrivateKey.from_jwk(ALGORITHMS[algorithm].generate_key(), algorithm=algorithm)


@cache
def _cached_key(algorithm: str, issuer: str) -> PrivateKey:  # noqa: ARG001 - part of the cache key
    """Return the key of an issuer, generated once. Each issuer has its own, so that tests cannot confuse issuers."""
    return new_signing_key(algorithm)


class InMemoryIssuer:
    """An issuer with in-memory keys, which the project accepts while it is installed.

    Args:
        issuer: its ``iss``. Default: the project's own issuer, else the first of ``AT_JWT["ISSUERS"]``, else
            ``https://issuer.example.com``.
        audience: the ``aud`` of its tokens, and the API's audience unless the view names one. Default: the (first)
            audience in the settings for this issuer, else ``https://api.example.com/``.
        algorithm: signs its tokens.

    Raises:
        ValueError: the algorithm is not allowed.

    Keys are generated once per process, since RSA keys are slow to generate. For an issuer in ``AT_JWT["ISSUERS"]`` its
    user mode applies; its ``algorithms``, ``leeway`` and ``required_claims`` do *not*.

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
        configured_audience = next(iter(audiences.get(self.issuer, ())), next(iter(configured.local_audiences), ""))
        self.audience: Final = audience or configured_audience or AUDIENCE
        self._audiences: Final = configured.local_audiences
        self.signing_key: Final = _cached_key(algorithm, self.issuer)
        public_key = self.signing_key.public_key
        self.key_ring: Final = KeyRing.of(
            [public_key],
            signers={algorithm: Signer(public_key=public_key, open=lambda: self.signing_key)},
            algorithms=tuple(dict.fromkeys((algorithm, *configured.signing_algorithms))),
        )

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a token that is valid for ten minutes, with changes."""
        now = int(time.time())
        return {
            "iss": self.issuer,
            "sub": "a-subject-of-the-tests",
            "aud": self.audience,
            "client_id": "a-client-of-the-tests",
            "iat": now,
            "exp": now + _LIFETIME,
            "jti": str(TokenId("", secrets.token_hex(16), has_row=False)),
        } | changes

    def token(self, **claims: Any) -> str:
        """Return a signed access token.

        Args:
            claims: changes to :meth:`claims`. Use the same ``sub`` and ``client_id`` for a client credentials token.
        """
        return sign_compact(self.signing_key, header_segment(self.signing_key), encode_json(self.claims(**claims)))

    @contextmanager
    def installed(self) -> Iterator[Self]:
        """Make the project accept this issuer's tokens, and no tokens signed with other keys of the issuer.

        It only overrides settings, for the duration of the ``with`` statement.
        """
        # Its tokens have no rows, and the project may have no database.
        with self._overriding(REVOCATION=Revocation.OFFLINE):
            yield self

    @contextmanager
    def issuing(self) -> Iterator[Self]:
        """Make the project's own endpoints issue this issuer's tokens, and its APIs accept them.

        It only overrides settings, for the duration of the ``with`` statement: :attr:`audience` takes the place of the
        default resource. Tokens are stored, revoked and looked up as in production; no row of a signing key is needed.
        """
        own = getattr(settings, SETTING_NAME, None) or {}
        default = own.get("DEFAULT_RESOURCE")
        # What the settings say of the default resource applies to the audience.
        declared = own.get("RESOURCE_SERVERS") or {}
        entries = declared if isinstance(declared, Mapping) else {identifier: {} for identifier in declared}
        servers = {self.audience if key == default else key: options for key, options in entries.items()}
        with self._overriding(DEFAULT_RESOURCE=self.audience, RESOURCE_SERVERS=servers):
            yield self

    @contextmanager
    def _overriding(self, **changes: Any) -> Iterator[None]:
        toolkit = {**(getattr(settings, "OAUTH2_PROVIDER", None) or {}), "OIDC_ISS_ENDPOINT": self.issuer}
        own = {
            **(getattr(settings, SETTING_NAME, None) or {}),
            # All addresses of the project, if this is one of several.
            "AUDIENCE": self._audiences if self.audience in self._audiences else self.audience,
            "LOCAL_KEY_RING": f"{__name__}.installed_keys",
            **changes,
        }
        # An issuer in ISSUERS stays there, for its user mode. Silence the check that it is also the project's own
        # issuer: in a project without this app, checks may run in the first request of a test.
        silenced = [*settings.SILENCED_SYSTEM_CHECKS, CheckId.BAD_REMOTE_ISSUER]
        _installed.append(self)
        try:
            with override_settings(
                **{"OAUTH2_PROVIDER": toolkit, SETTING_NAME: own, "SILENCED_SYSTEM_CHECKS": silenced}
            ):
                yield
        finally:
            _installed.remove(self)


_installed: Final[list[InMemoryIssuer]] = []


class _InstalledKeys:
    """The keys of the issuer installed last."""

    def at_hand(self) -> KeyRing:
        return self.current()

    def current(self) -> KeyRing:
        return _installed[-1].key_ring

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        return None  # In-memory keys are always current.


installed_keys: Final = _InstalledKeys()
