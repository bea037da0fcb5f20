"""``AT_JWT`` as one typed object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.claims import MapperRule, Oversize, SizeLimits
from django_at_jwt.core.key_lifecycle import RotationPolicy
from django_at_jwt.core.remote_issuer import Lifetimes
from django_at_jwt.core.resource_servers import ISSUER_SCOPES, ResourceServerConfig, declared_resource_servers
from django_at_jwt.core.subjects import UserMode
from django_at_jwt.core.verifier import DEFAULT_LEEWAY, DEFAULT_MAX_BYTES

from .issuers import IssuerSettings, read_issuers
from .oauth2_provider import toolkit_setting
from .validators import (
    read_algorithms,
    read_count,
    read_dotted_path,
    read_duration,
    read_field_or_path,
    read_flag,
    read_hash_keys,
    read_key_encryption_keys,
    read_key_encryption_keys_if_usable,
    read_leeway,
    read_local_user_mode,
    read_mappers,
    read_methods_by_name,
    read_methods_or_dotted_path,
    read_optional_dotted_path,
    read_optional_duration,
    read_optional_identifier,
    read_optional_key,
    read_oversize,
    read_positive,
    read_protected_resources,
    read_seconds,
    read_sectors,
    read_some_seconds,
    read_text,
    read_texts,
    setting,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOOLKIT_JWK_SET_MAX_AGE: Final = 3600
# For how many seconds an issuer's answer is used that says nothing of caching.
_USUAL_ISSUER_AGE: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """``AT_JWT`` as typed values. Durations may be given as timedeltas or as whole seconds.

    Attributes:
        default_resource: the audience of tokens for which nobody asked for a resource (RFC 9068 §3).
        resource_servers: those that the settings declare; others are rows.
        issuer_scopes: scopes of the issuer's own endpoints, which each token may have (``openid``).
        subject: what ``sub`` is made of: ``pk``, a field of the user model, or a callable's dotted path.
        user_by_subject: dotted path of the callable that finds the user again, where ``subject`` is a callable.
        pairwise_subject_key: base64url key of 32 bytes; with it, each sector has its own ``sub`` for a user.
        sector_identifiers: pairs of a client id and the host of its sector, where its redirect URIs do not say it.
        signing_algorithms: those in use, the default first. ``EdDSA`` and ``Ed25519`` are two names for the same.
        rotation_interval: how long a key signs.
        propagation_time: how long a key is announced before it signs; for the slowest cache of any resource server.
        retention: how long a key is published after it has signed, or ``None`` for as long as its tokens can live.
        key_encryption_keys: base64url keys of 32 bytes that private keys are encrypted with, newest first; or ``None``
            where what the site wrote is no list of such keys, so that no private key can be opened.
        key_ring_max_age: seconds for which a process uses the keys that it has read.
        unknown_kid_cooldown: seconds between two reads that unknown ``kid`` values may cause.
        key_ring_max_stale: seconds for which the keys that were read last are used while they cannot be read again.
        revoked_kids: keys that stay revoked whatever the database says, for instance after a backup was restored.
        leeway: seconds by which clocks may differ, 600 at the most.
        max_token_bytes: longer tokens are refused unread.
        verified_token_cache_size: how many verified tokens a process remembers; 0 for none.
        claim_mappers: rules of claims that are declared by the settings, beside those in the database.
        claim_hash_keys: pairs of a name and the key that hashes of claims may refer to by it.
        mappable_user_fields: the fields of the user that a claim mapper may read, through relations with dots. The
            default is what a person is called and written to; a user name is half of what it takes to log in.
        mappable_client_fields: the fields of the client application that a claim mapper may read.
        max_claim_bytes: of JSON in one mapped claim.
        max_claims_bytes: of JSON in all claims of a token.
        oversized_claims: whether a token with more is refused, or optional claims are dropped, the largest first.
        audience: what this project's own API expects in ``aud``, if not the default resource.
        authentication_methods: the ``amr`` values (RFC 8176) that authentication backends stand for, by their dotted
            paths, beside those of Django's own backends.
        authentication_contexts: the ``amr`` values that each ``acr`` asks for, or the dotted path of a callable that
            takes an ``AuthenticationEvent`` and the user and gives the ``acr`` or ``None``.
        authentication_event: dotted path of a callable that takes the request and the user at a login and gives an
            ``AuthenticationEvent``, ``None`` to claim nothing, or ``NotImplemented`` to leave it to this app.
        user_mode: what the subjects of the local issuer are here, its users or nobody that is kept.
        local_subject_lookup: dotted path of the function that finds the user of a subject of the local issuer.
        protected_resources: what the metadata documents of this project's APIs say of them, by identifier (RFC 9728).
        local_key_ring: dotted path of the object that gives the local issuer's key ring.
        accept_opaque_tokens: whether the local issuer's opaque tokens are accepted beside its JWTs.
        issuers: the other issuers whose tokens this project accepts.
        issuer_cache: alias of Django's cache by which all workers share what they know of these issuers.
        issuer_timeout: seconds that asking an issuer may take in all.
        issuer_min_age: seconds for which an issuer's answer is used at the least.
        issuer_max_age: seconds for which it is used at the most.
        issuer_max_stale: seconds for which an issuer's keys are used after it last confirmed them, or for as long as
            that answer may be used if that is longer.
    """

    default_resource: str | None = setting(None, read_optional_identifier)
    resource_servers: tuple[ResourceServerConfig, ...] = setting((), declared_resource_servers)
    issuer_scopes: tuple[str, ...] = setting(ISSUER_SCOPES, read_texts)
    subject: str = setting("pk", read_field_or_path)
    user_by_subject: str | None = setting(None, read_optional_dotted_path)
    pairwise_subject_key: str | None = setting(None, read_optional_key, repr=False)
    sector_identifiers: tuple[tuple[str, str], ...] = setting((), read_sectors)
    signing_algorithms: tuple[str, ...] = setting(("RS256",), read_algorithms)
    rotation_interval: timedelta = setting(timedelta(days=90), read_duration)
    propagation_time: timedelta = setting(timedelta(days=7), read_duration)
    retention: timedelta | None = setting(None, read_optional_duration)
    key_encryption_keys: tuple[str, ...] | None = setting(
        (), read_key_encryption_keys_if_usable, examine=read_key_encryption_keys, repr=False
    )
    key_ring_max_age: float = setting(30.0, read_seconds)
    key_ring_max_stale: float = setting(3600.0, read_seconds)
    revoked_kids: tuple[str, ...] = setting((), read_texts)
    unknown_kid_cooldown: float = setting(30.0, read_seconds)
    leeway: float = setting(float(DEFAULT_LEEWAY), read_leeway)
    max_token_bytes: int = setting(DEFAULT_MAX_BYTES, read_positive)
    verified_token_cache_size: int = setting(1024, read_count)
    claim_mappers: tuple[MapperRule, ...] = setting((), read_mappers, repr=False)
    claim_hash_keys: tuple[tuple[str, str], ...] = setting((), read_hash_keys, repr=False)
    mappable_user_fields: tuple[str, ...] = setting(("email", "first_name", "last_name"), read_texts)
    mappable_client_fields: tuple[str, ...] = setting(("client_id", "name"), read_texts)
    max_claim_bytes: int = setting(SizeLimits().claim_bytes, read_positive)
    max_claims_bytes: int = setting(SizeLimits().token_bytes, read_positive)
    oversized_claims: str = setting("refuse", read_oversize)
    audience: str | None = setting(None, read_optional_identifier)
    authentication_methods: Mapping[str, tuple[str, ...]] | None = setting(None, read_methods_by_name)
    authentication_contexts: Mapping[str, tuple[str, ...]] | str | None = setting(None, read_methods_or_dotted_path)
    authentication_event: str | None = setting(None, read_optional_dotted_path)
    user_mode: UserMode = setting(UserMode.LOCAL, read_local_user_mode)
    local_subject_lookup: str = setting(
        "django_at_jwt.resource_server.users.lookup.user_for_local_subject", read_dotted_path
    )
    protected_resources: Mapping[str, Mapping[str, Any]] | None = setting(None, read_protected_resources)
    local_key_ring: str = setting("django_at_jwt.authorization_server.keys.store.key_store", read_dotted_path)
    accept_opaque_tokens: bool = setting(False, read_flag)
    issuers: tuple[IssuerSettings, ...] = setting((), read_issuers)
    issuer_cache: str = setting("default", read_text)
    issuer_timeout: float = setting(5.0, read_some_seconds)
    issuer_min_age: float = setting(60.0, read_some_seconds)
    issuer_max_age: float = setting(3600.0, read_some_seconds)
    issuer_max_stale: float = setting(7200.0, read_seconds)

    @property
    def local_audience(self) -> str | None:
        """What this project's own API expects in ``aud`` of the local issuer's tokens."""
        return self.audience or self.default_resource

    @property
    def issuer_lifetimes(self) -> Lifetimes:
        """Between which bounds an issuer's word on caching counts."""
        least = min(self.issuer_min_age, self.issuer_max_age)
        return Lifetimes(least=least, most=self.issuer_max_age, usual=_USUAL_ISSUER_AGE)

    @property
    def size_limits(self) -> SizeLimits:
        """How large claims may get."""
        return SizeLimits(
            claim_bytes=self.max_claim_bytes,
            token_bytes=self.max_claims_bytes,
            oversize=Oversize(self.oversized_claims),
        )

    @property
    def jwk_set_max_age(self) -> timedelta:
        """For how long anybody may use a copy of the JWK set without asking again."""
        return timedelta(seconds=int(toolkit_setting("OIDC_JWKS_MAX_AGE_SECONDS", _TOOLKIT_JWK_SET_MAX_AGE)))

    def rotation_policy(self, *, longest_lifetime: float) -> RotationPolicy:
        """Give how long keys spend in each state, where tokens live for ``longest_lifetime`` seconds at the most."""
        derived = timedelta(seconds=longest_lifetime + self.leeway)
        return RotationPolicy(
            rotation_interval=self.rotation_interval,
            propagation_time=self.propagation_time,
            retention=derived if self.retention is None else self.retention,
            notice=timedelta(seconds=self.key_ring_max_age),
        )
