"""A verifier of one issuer's access tokens that takes arguments instead of Django's settings."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django_at_jwt.conf.validators import MAX_LEEWAY_SECONDS
from django_at_jwt.core.errors import ReadNeeded
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.metadata import is_remote_issuer
from django_at_jwt.core.remote_issuer import CacheBounds
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.verifier import DEFAULT_LEEWAY, DEFAULT_MAX_BYTES, Expectations, KeysInMemory

from .access_token import AccessToken
from .remote.deny_list import RemoteDenyList, RemoteDenyListCheck
from .remote.key_source import RemoteKeySource
from .remote.options import DenyListOptions, RemoteOptions
from .token_cache import TokenCache

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from django_at_jwt.core.profile import AccessTokenClaims
    from django_at_jwt.core.verifier import KeySource

    _Method = TypeVar("_Method", bound=Callable[..., Any])

    # A project without Django has no types for it, and the decorated methods would have none either.
    def sensitive_variables() -> Callable[[_Method], _Method]: ...  # noqa: D103
else:
    from django.views.decorators.debug import sensitive_variables


class Verifier:
    """Verify access tokens of one issuer, without Django settings: for FastAPI, Starlette, MCP servers and scripts.

    Create one for the whole process, and share it between threads and tasks. It discovers the issuer's keys by its
    metadata (RFC 8414 or OpenID Connect Discovery), and keeps them in memory.

    Args:
        issuer: the issuer identifier, an https URL. ``iss`` must equal it.
        audience: this API's identifier, or several. ``aud`` must contain one of them.
        algorithms: the accepted algorithms; by default, all that this package supports and the issuer's keys are for.
        leeway: allowed clock difference in seconds, at most 600.
        required_claims: claims required in addition to RFC 9068 section 2.2, with any value but ``null``.
        timeout: maximum seconds for one retrieval of the keys, in total.
        min_age: minimum seconds for which the issuer's response is used.
        max_age: maximum seconds for which the issuer's response is used.
        max_stale: seconds for which keys are used after the issuer last confirmed them, while it cannot be reached.
        unknown_kid_cooldown: minimum seconds between two retrievals caused by an unknown ``kid``.
        max_token_bytes: tokens longer than this are rejected unparsed.
        cache_size: maximum number of verified tokens in memory; 0 turns the cache off.
        revocation: ``"offline"``, the default: a revoked token is accepted until it expires; or ``"deny_list"``, if the
            issuer publishes its revocations (``AT_JWT["PUBLISH_REVOCATIONS"]``).
        revocation_max_age: seconds for which the issuer's revocations are used before they are requested again.
        revocation_max_stale: seconds for which they are used after the issuer last confirmed them, while it cannot be
            reached, and no longer than they say.
        revocation_unavailable: what happens after that: ``"refuse"`` raises ``RevocationUnavailable``, ``"accept"``
            accepts tokens that may have been revoked.
        allow_loopback_http: whether an issuer on a loopback address may use plain http, for development.

    Raises:
        ValueError: an argument cannot be used.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str | Collection[str],
        algorithms: Collection[str] = (),
        leeway: float = DEFAULT_LEEWAY,
        required_claims: Collection[str] = (),
        timeout: float = 5.0,
        min_age: float = 60.0,
        max_age: float = 3600.0,
        max_stale: float = 7200.0,
        unknown_kid_cooldown: float = 30.0,
        max_token_bytes: int = DEFAULT_MAX_BYTES,
        cache_size: int = 1024,
        revocation: str = "offline",
        revocation_max_age: float = 5.0,
        revocation_max_stale: float = 300.0,
        revocation_unavailable: str = "refuse",
        allow_loopback_http: bool = False,
    ) -> None:
        audiences = frozenset([audience] if isinstance(audience, str) else audience or ())
        _check_issuer(issuer, allow_loopback_http=allow_loopback_http)
        if not audiences or not all(audiences):
            raise ValueError("audience must be the identifier of this API, or several (got none)")
        _check_lists(algorithms=algorithms, required_claims=required_claims)
        for algorithm in algorithms:
            _check_choice("algorithms", algorithm, ALGORITHMS)
        _check_choice("revocation", revocation, (Revocation.OFFLINE, Revocation.DENY_LIST))
        _check_choice("revocation_unavailable", revocation_unavailable, ("refuse", "accept"))
        _check_numbers(
            leeway=leeway,
            min_age=min_age,
            max_stale=max_stale,
            unknown_kid_cooldown=unknown_kid_cooldown,
            cache_size=cache_size,
            revocation_max_stale=revocation_max_stale,
        )
        _check_numbers(
            more_than_zero=True,
            timeout=timeout,
            max_age=max_age,
            max_token_bytes=max_token_bytes,
            revocation_max_age=revocation_max_age,
        )
        if leeway > MAX_LEEWAY_SECONDS:
            raise ValueError(f"leeway must be at most {MAX_LEEWAY_SECONDS} seconds (got {leeway!r})")
        self._expected: Final = Expectations(
            issuer=issuer,
            audiences=audiences,
            leeway=leeway,
            max_bytes=max_token_bytes,
            algorithms=frozenset(algorithms) or None,
            required_claims=tuple(required_claims),
        )
        remote = RemoteOptions(
            issuer=issuer,
            algorithms=tuple(algorithms),
            timeout=timeout,
            cache_bounds=CacheBounds(min=min_age, max=max_age),
            max_stale=max_stale,
            unknown_kid_cooldown=unknown_kid_cooldown,
            cache=None,
            loopback_http=allow_loopback_http,
        )
        self._keys: Final = RemoteKeySource(remote)
        self._revocation: RemoteDenyListCheck | None = None
        if revocation == Revocation.DENY_LIST:
            options = DenyListOptions(
                remote=remote,
                max_age=revocation_max_age,
                max_stale=revocation_max_stale,
                leeway=leeway,
                accept_unavailable=revocation_unavailable == "accept",
            )
            self._revocation = RemoteDenyListCheck(RemoteDenyList(options, self._keys), audiences)
        self._keys_in_memory: Final = KeysInMemory(self._keys)
        self._tokens: Final = TokenCache(cache_size)

    @sensitive_variables()
    def verify(self, token: str) -> AccessToken:
        """Verify an access token (RFC 9068 section 4). Fetches the issuer's keys if necessary.

        Args:
            token: what followed ``Bearer``.

        Raises:
            TokenRejected: the token must not be accepted: 401. ``reason`` and ``detail`` are for the log.
            KeysUnavailable: the issuer's keys are not available: 503.
            RevocationUnavailable: it is unknown whether the token was revoked. Answer 503.

        Not checked: scopes, whether its subject is active, and, unless ``revocation`` says so, whether the token was
        revoked.
        """
        claims = self._claims(token, self._keys)
        if self._revocation is not None:
            self._revocation(claims, token)
        return AccessToken(claims)

    @sensitive_variables()
    async def averify(self, token: str) -> AccessToken:
        """Verify as :meth:`verify`, without blocking: if a request is needed, a thread makes it.

        Raises:
            TokenRejected, KeysUnavailable, RevocationUnavailable: as :meth:`verify`.
        """
        try:
            claims = self._claims(token, self._keys_in_memory)
            if self._revocation is not None:
                self._revocation.in_memory(claims, token)
            return AccessToken(claims)
        except ReadNeeded:
            pass
        return await asyncio.to_thread(self.verify, token)

    @sensitive_variables()
    def _claims(self, token: str, keys: KeySource) -> AccessTokenClaims:
        return self._tokens.verify(token, keys, self._expected, time.time())


def _check_issuer(issuer: str, *, allow_loopback_http: bool) -> None:
    if is_remote_issuer(issuer, loopback_http=allow_loopback_http):
        return
    is_loopback = is_remote_issuer(issuer, loopback_http=True)
    hint = "; for development, allow_loopback_http=True accepts it" if is_loopback else ""
    raise ValueError(f"issuer must be an https URL without query and fragment (got {issuer!r}){hint}")


def _check_lists(**lists: Collection[str]) -> None:
    for name, values in lists.items():
        if isinstance(values, str):
            raise ValueError(f"{name} must be a list (got {values!r})")


def _check_numbers(*, more_than_zero: bool = False, **numbers: Any) -> None:
    for name, number in numbers.items():
        # Not a boolean, NaN or infinity.
        if type(number) not in {int, float} or not 0 <= number < math.inf or (more_than_zero and not number):
            needed = "more than 0" if more_than_zero else "a non-negative number"
            raise ValueError(f"{name} must be {needed} (got {number!r})")


def _check_choice(name: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)} (got {value!r})")
