"""``AT_JWT`` as one typed object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.claims import MapperRule, Oversize, SizeLimits
from django_at_jwt.core.key_lifecycle import RotationPolicy
from django_at_jwt.core.resource_servers import ISSUER_SCOPES, ResourceServerConfig, declared_resource_servers
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.subjects import UserMode
from django_at_jwt.core.verifier import DEFAULT_LEEWAY, DEFAULT_MAX_BYTES

from .issuers import IssuerSettings, read_issuers
from .oauth2_provider import has_issuer_tables, toolkit_setting
from .validators import (
    one_of,
    optional,
    read_algorithms,
    read_count,
    read_dotted_path,
    read_duration,
    read_field_or_path,
    read_flag,
    read_hash_keys,
    read_identifier,
    read_identifiers,
    read_key,
    read_key_encryption_keys,
    read_key_encryption_keys_if_usable,
    read_leeway,
    read_mappers,
    read_methods_by_name,
    read_methods_or_dotted_path,
    read_origins,
    read_positive,
    read_positive_seconds,
    read_protected_resources,
    read_rate,
    read_seconds,
    read_sectors,
    read_stored_tokens,
    read_text,
    read_texts,
    setting,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOOLKIT_JWK_SET_MAX_AGE: Final = 3600
_LOCAL_REVOCATIONS: Final = (Revocation.OFFLINE, Revocation.DENY_LIST, Revocation.ROW)


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """``AT_JWT`` as typed values. A duration is a timedelta or a whole number of seconds.

    Attributes:
        default_resource: audience of tokens if the client requests no resource (RFC 9068 section 3).
        resource_servers: resource servers declared in the settings, in addition to those in the database.
        issuer_scopes: scopes of the issuer's own endpoints, such as ``openid``; any token may have them.
        subject: source of ``sub``: ``pk``, a field of the user model, or the dotted path of a callable.
        user_by_subject: dotted path of the inverse of ``subject``, if that is a callable.
        pairwise_subject_key: base64url key of 32 bytes; if set, a user has a different ``sub`` in each sector.
        sector_identifiers: pairs of a client id and the host of its sector, for clients whose redirect URIs have
            several hosts.
        signing_algorithms: algorithms in use, the default first. ``EdDSA`` and ``Ed25519`` are the same algorithm.
        rotation_interval: how long a key signs.
        propagation_time: how long a key is announced before it signs: the longest time that a resource server caches
            the JWK set.
        retention: how long a key stays published after it stops signing; ``None`` for the longest token lifetime.
        rotation_run_max_age: the longest time between two successful runs of ``rotate_signing_keys`` before a
            warning; 0 for none.
        key_encryption_keys: base64url keys of 32 bytes that encrypt the private keys, newest first; ``None`` if the
            setting is invalid, so that no private key can be decrypted.
        key_ring_max_age: seconds for which a process uses the key ring it has read.
        unknown_kid_cooldown: minimum seconds between two reads caused by an unknown ``kid``.
        key_ring_max_stale: seconds for which the last key ring is used while the database cannot be read.
        revoked_kids: keys that stay revoked whatever the database contains, for instance after restoring a backup.
        leeway: allowed clock difference in seconds, at most 600.
        max_token_bytes: tokens longer than this are rejected unparsed.
        verified_token_cache_size: maximum number of verified tokens cached per process; 0 turns the cache off.
        revocation: how the local issuer's tokens are checked for revocation, unless a view sets it; ``None`` for
            ``DENY_LIST`` in the project that issues them. See :attr:`local_revocation`.
        revocation_max_age: seconds for which a process uses the deny list it has read.
        revocation_max_stale: seconds for which the last deny list is used while the database cannot be read.
        revocation_unavailable: ``refuse`` to answer 503 after that, or ``accept`` to accept tokens that may be revoked.
        publish_revocations: whether the deny list is published for APIs in other projects, signed.
        introspection_clients: client ids of the clients that may introspect all tokens, in addition to those in the
            database.
        introspection_by_get: whether tokens can be introspected by GET, where logs show them.
        claim_mappers: claim mappers declared in the settings, in addition to those in the database.
        claim_hash_keys: pairs of a name and a key for the ``hash`` transform, which refers to it by that name.
        mappable_user_fields: user fields that claim mappers may read; dots follow relations. Usernames are not in the
            default because they are half of a login credential.
        mappable_client_fields: fields of the client application that claim mappers may read.
        max_claim_bytes: maximum size of one mapped claim, in bytes of JSON.
        max_claims_bytes: maximum size of all claims of a token, in bytes of JSON.
        oversized_claims: whether a token over the maximum is refused or optional claims are dropped, largest first.
        self_registration: whether any user may register clients on DOT's page, without the permission to add them.
        loopback_client_metadata: whether client metadata documents may be on a loopback address, for development.
        client_registration: who may register clients by RFC 7591: ``"closed"``, ``"users"`` who are logged in, or
            ``"open"`` to anyone. ``None``: django-oauth-toolkit's settings decide.
        client_registration_rate: the most requests to register clients that each address may send, and the seconds in
            which they count; ``None`` for any number.
        unused_client_retention: how long a client that registered itself is kept after it was last used; 0 for ever.
        cors_allowed_origins: origins whose scripts may use the endpoints that clients call, or ``"*"`` for all.
        user_code_attempts: wrong user codes of devices per session and quarter of an hour; 0 for any number.
        user_code_attempts_per_address: the same per address that requests come from.
        attempt_cache: alias of the Django cache in which all workers count wrong attempts and registrations.
        audience: the values of ``aud`` that this project's own API accepts, if not the default resource; one of them
            suffices. A site with several addresses has one for each.
        authentication_methods: ``amr`` values (RFC 8176) by the dotted path of an authentication backend, in addition
            to those of Django's own backends.
        authentication_contexts: the ``amr`` values that each ``acr`` requires, or the dotted path of a callable that
            takes an ``AuthenticationEvent`` and the user and returns the ``acr`` or ``None``.
        authentication_event: dotted path of a callable that takes the request and the user at login and returns an
            ``AuthenticationEvent``, ``None`` to claim nothing, or ``NotImplemented`` to use this app's own.
        user_mode: whether subjects of the local issuer are users of this site or are not looked up.
        local_subject_lookup: dotted path of the function that finds the user of a local subject.
        protected_resources: contents of the metadata documents of this project's APIs, by identifier (RFC 9728).
        local_key_ring: dotted path of the object that provides the local issuer's key ring.
        accept_opaque_tokens: whether the local issuer's opaque tokens are accepted in addition to its JWTs.
        issuers: remote issuers whose tokens this project accepts.
        issuer_cache: alias of the Django cache in which all workers share metadata and keys of remote issuers.
        issuer_timeout: maximum seconds for one retrieval from an issuer, in total.
        issuer_min_age: minimum seconds for which an issuer's response is used.
        issuer_max_age: maximum seconds for which an issuer's response is used.
        issuer_max_stale: seconds for which an issuer's keys are used after it last confirmed them, or for as long as
            its response may be cached if that is longer.
        revoke_on_password_change: whether a new password revokes all tokens of its user.
        revoke_superseded_tokens: whether a refresh revokes the access token that it replaces, if that is for the same
            resources.
        store_access_tokens: whether ``at+jwt`` access tokens get a row in the database; ``"users"`` for those with a
            user only. An administrator can choose otherwise for a client.
        token_lifetime: dotted path of a callable that takes a ``ClaimContext`` and the usual lifetime of an access
            token in seconds, and returns its lifetime, which is not longer.
    """

    default_resource: str | None = setting(None, optional(read_identifier))
    resource_servers: tuple[ResourceServerConfig, ...] = setting((), declared_resource_servers)
    issuer_scopes: tuple[str, ...] = setting(ISSUER_SCOPES, read_texts)
    subject: str = setting("pk", read_field_or_path)
    user_by_subject: str | None = setting(None, optional(read_dotted_path))
    pairwise_subject_key: str | None = setting(None, optional(read_key), repr=False)
    sector_identifiers: tuple[tuple[str, str], ...] = setting((), read_sectors)
    signing_algorithms: tuple[str, ...] = setting(("RS256",), read_algorithms)
    rotation_interval: timedelta = setting(timedelta(days=90), read_duration)
    propagation_time: timedelta = setting(timedelta(days=7), read_duration)
    retention: timedelta | None = setting(None, optional(read_duration))
    rotation_run_max_age: timedelta = setting(timedelta(hours=36), read_duration)
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
    revocation: Revocation | None = setting(None, optional(one_of(*_LOCAL_REVOCATIONS)))
    revocation_max_age: float = setting(5.0, read_seconds)
    revocation_max_stale: float = setting(300.0, read_seconds)
    revocation_unavailable: str = setting("refuse", one_of("refuse", "accept"))
    publish_revocations: bool = setting(False, read_flag)
    introspection_clients: tuple[str, ...] = setting((), read_texts)
    introspection_by_get: bool = setting(False, read_flag)
    claim_mappers: tuple[MapperRule, ...] = setting((), read_mappers, repr=False)
    claim_hash_keys: tuple[tuple[str, str], ...] = setting((), read_hash_keys, repr=False)
    mappable_user_fields: tuple[str, ...] = setting(("email", "first_name", "last_name"), read_texts)
    mappable_client_fields: tuple[str, ...] = setting(("client_id", "name"), read_texts)
    max_claim_bytes: int = setting(SizeLimits().claim_bytes, read_positive)
    max_claims_bytes: int = setting(SizeLimits().token_bytes, read_positive)
    oversized_claims: Oversize = setting(Oversize.REFUSE, one_of(*Oversize))
    self_registration: bool = setting(False, read_flag)
    loopback_client_metadata: bool = setting(False, read_flag)
    client_registration: str | None = setting(None, optional(one_of("closed", "users", "open")))
    client_registration_rate: tuple[int, int] | None = setting((20, 3600), read_rate)
    unused_client_retention: timedelta = setting(timedelta(days=90), read_duration)
    cors_allowed_origins: tuple[str, ...] | str = setting((), read_origins)
    user_code_attempts: int = setting(5, read_count)
    user_code_attempts_per_address: int = setting(20, read_count)
    attempt_cache: str = setting("default", read_text)
    audience: tuple[str, ...] | None = setting(None, optional(read_identifiers))
    authentication_methods: Mapping[str, tuple[str, ...]] | None = setting(None, optional(read_methods_by_name))
    authentication_contexts: Mapping[str, tuple[str, ...]] | str | None = setting(
        None, optional(read_methods_or_dotted_path)
    )
    authentication_event: str | None = setting(None, optional(read_dotted_path))
    # Not CREATED: a missing user of the local issuer was deleted, and must not be created again.
    user_mode: UserMode = setting(UserMode.LOCAL, one_of(UserMode.LOCAL, UserMode.STATELESS))
    local_subject_lookup: str = setting(
        "django_at_jwt.resource_server.users.lookup.user_for_local_subject", read_dotted_path
    )
    protected_resources: Mapping[str, Mapping[str, Any]] | None = setting(None, optional(read_protected_resources))
    local_key_ring: str = setting("django_at_jwt.authorization_server.keys.store.key_store", read_dotted_path)
    accept_opaque_tokens: bool = setting(False, read_flag)
    issuers: tuple[IssuerSettings, ...] = setting((), read_issuers)
    issuer_cache: str = setting("default", read_text)
    issuer_timeout: float = setting(5.0, read_positive_seconds)
    issuer_min_age: float = setting(60.0, read_positive_seconds)
    issuer_max_age: float = setting(3600.0, read_positive_seconds)
    issuer_max_stale: float = setting(7200.0, read_seconds)
    revoke_on_password_change: bool = setting(True, read_flag)
    revoke_superseded_tokens: bool = setting(True, read_flag)
    store_access_tokens: bool | str = setting(True, read_stored_tokens)
    token_lifetime: str | None = setting(None, optional(read_dotted_path))

    @property
    def local_audiences(self) -> tuple[str, ...]:
        """The values of ``aud`` that this project's own API accepts in the local issuer's tokens."""
        return self.audience or (() if self.default_resource is None else (self.default_resource,))

    @property
    def local_revocation(self) -> Revocation:
        """How the local issuer's tokens are checked for revocation, unless a view sets it."""
        if self.revocation is not None:
            return self.revocation
        return Revocation.DENY_LIST if has_issuer_tables() else Revocation.OFFLINE

    @property
    def size_limits(self) -> SizeLimits:
        """The limits for the size of claims."""
        return SizeLimits(
            claim_bytes=self.max_claim_bytes, token_bytes=self.max_claims_bytes, oversize=self.oversized_claims
        )

    @property
    def jwk_set_max_age(self) -> timedelta:
        """How long clients may cache the JWK set."""
        return timedelta(seconds=int(toolkit_setting("OIDC_JWKS_MAX_AGE_SECONDS", _TOOLKIT_JWK_SET_MAX_AGE)))

    def leeway_for(self, issuer: IssuerSettings) -> float:
        """Return the allowed clock difference in seconds for the tokens of a remote issuer."""
        return self.leeway if issuer.leeway is None else issuer.leeway

    def rotation_policy(self, *, longest_lifetime: float) -> RotationPolicy:
        """Return how long keys spend in each state.

        Args:
            longest_lifetime: the longest lifetime of an access token, in seconds.
        """
        derived = timedelta(seconds=longest_lifetime + self.leeway)
        return RotationPolicy(
            rotation_interval=self.rotation_interval,
            propagation_time=self.propagation_time,
            retention=derived if self.retention is None else self.retention,
            notice=timedelta(seconds=self.key_ring_max_age),
        )
