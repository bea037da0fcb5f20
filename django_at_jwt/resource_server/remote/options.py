"""The values that retrieval and caching of a remote issuer's keys take from their caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_at_jwt.core.remote_issuer import CacheBounds
    from django_at_jwt.core.revocation import RevocationPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteOptions:
    """How the keys of one remote issuer are fetched and cached. All times are seconds.

    Args:
        issuer: the issuer identifier.
        algorithms: of the keys that are used; if empty, all that this app supports.
        timeout: for all requests of one refresh together.
        cache_bounds: the bounds of the freshness lifetime of an answer, or of a snapshot in the shared cache.
        max_stale: how long keys are used after the issuer last confirmed them.
        unknown_kid_cooldown: between two requests because of unknown ``kid`` values.
        cache: alias of the Django cache that workers share; ``None`` without a shared cache.
        loopback_http: whether an issuer on a loopback address may use plain http.
    """

    issuer: str
    algorithms: tuple[str, ...]
    timeout: float
    cache_bounds: CacheBounds
    max_stale: float
    unknown_kid_cooldown: float
    cache: str | None
    loopback_http: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DenyListOptions:
    """How the document of revocations of one remote issuer is fetched and used. All times are seconds.

    Args:
        remote: how the issuer's metadata is fetched.
        max_age: how long the document is used before it is requested again.
        max_stale: how long it is used after the issuer last confirmed it, and no longer than until its ``exp``.
        leeway: allowed clock difference.
        accept_unavailable: whether a token is accepted if no document can be used.
        introspection: the check that is used if no document can be used, or ``None``.
    """

    remote: RemoteOptions
    max_age: float
    max_stale: float
    leeway: float
    accept_unavailable: bool
    introspection: RevocationPolicy | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class IntrospectionOptions:
    """How one remote issuer is asked about tokens, and how its answers are cached. All times are seconds.

    Args:
        remote: how the issuer's metadata is fetched.
        endpoint: the introspection endpoint; ``None`` for that of the metadata.
        client_id: of the client with which this API authenticates.
        client_secret: of that client.
        max_age: how long an answer is used.
        max_stale: how long an answer is used while the issuer cannot be asked.
        accept_unavailable: whether a token is accepted if the issuer cannot be asked, and no answer may be used.
    """

    remote: RemoteOptions
    endpoint: str | None
    client_id: str
    client_secret: str = field(repr=False)
    max_age: float
    max_stale: float
    accept_unavailable: bool
