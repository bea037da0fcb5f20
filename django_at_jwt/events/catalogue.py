"""The events of this app."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from .emission import Event

if TYPE_CHECKING:
    from datetime import datetime


# The values of AccessTokenRefused.endpoint for requests for a token.
_ISSUING: Final = frozenset({"token", "authorization", "direct"})


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessTokenIssued(Event):
    """An access token was issued, and stored if it has a row.

    Attributes:
        grant: the grant type, ``implicit`` for a token from the authorization endpoint, or ``direct`` for one from
            ``issue_access_token()``.
        client_id: the client.
        audience: the identifiers of the APIs.
        format: ``at+jwt`` or ``opaque``.
        algorithm: the signature algorithm, or ``None`` for an opaque token.
        kid: the signing key, or ``None`` for an opaque token.
        lifetime: in seconds.
        seconds: how long it took to compose and sign the token.
    """

    name: ClassVar[str] = "token.issued"
    message: ClassVar[str] = "An access token was issued (%(grant)s) to client %(client_id)r"

    grant: str
    client_id: str
    audience: tuple[str, ...]
    format: str
    algorithm: str | None
    kid: str | None
    lifetime: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessTokenRefused(Event):
    """A request for a token was refused: at the token or the authorization endpoint, or by ``issue_access_token()``.

    Also emitted if a client cannot be authenticated at another endpoint (``invalid_client``). The level is ``ERROR`` if
    the server is at fault (``server_error``).

    Attributes:
        endpoint: ``token``, ``authorization``, or ``direct`` for ``issue_access_token()``; for a client that is not
            authenticated also ``revocation``, ``introspection``, ``device_authorization`` or ``pushed_request``.
        grant: the grant type; ``direct`` as above, ``other`` if this app does not know it, or ``None`` for a request
            without one.
        client_id: the client, or ``None`` if it was not identified. If ``error`` is ``invalid_client``, it was not
            authenticated.
        error: the error code that the client was told.
        reason: why, for people.
    """

    name: ClassVar[str] = "token.refused"
    message: ClassVar[str] = "No access token was issued (%(error)s): %(reason)s"

    endpoint: str
    grant: str | None
    client_id: str | None
    error: str
    reason: str

    @property
    def level(self) -> int:
        """The level of the log record."""
        return logging.ERROR if self.error == "server_error" else logging.INFO

    @property
    def text(self) -> str:
        """The text of the log record."""
        if self.endpoint in _ISSUING:
            return self.message
        return "A client was not authenticated at the %(endpoint)s endpoint: %(reason)s"


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessTokenRejected(Event):
    """An access token was rejected, or reported as inactive.

    Attributes:
        where: ``api`` for this app's authentication class and decorator, ``issuer`` for the issuer's own endpoints and
            views that django-oauth-toolkit protects, ``introspection`` for the introspection endpoint.
        reason: the rejection reason, such as ``expired``.
        detail: the reason for people.
    """

    name: ClassVar[str] = "token.rejected"
    message: ClassVar[str] = "An access token was refused (%(reason)s: %(detail)s)"

    where: str
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessTokenUnverifiable(Event):
    """An API could neither accept nor reject an access token, and answered 503.

    Attributes:
        missing: what could not be read: ``keys``, or ``revocation``, which includes the user's row.
        detail: why, for people.
    """

    name: ClassVar[str] = "token.unverifiable"
    message: ClassVar[str] = "No access token can be verified: %(detail)s"
    usual_level: ClassVar[int] = logging.ERROR

    missing: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TokensRevoked(Event):
    """Tokens were revoked: entries of the deny list were committed.

    The level is ``DEBUG`` for tokens that a refresh replaced.

    Attributes:
        kind: what the entries name: ``token``, ``authorization``, ``client`` or ``audience``.
        reason: why, such as ``logout``.
        count: how many entries, counting those that existed before.
        client_id: the client, if ``kind`` is ``client``, else ``None``.
        audience: the API, if ``kind`` is ``audience``, else ``None``.
    """

    name: ClassVar[str] = "token.revoked"
    message: ClassVar[str] = "Tokens were revoked: %(count)d of kind %(kind)s (%(reason)s)"

    kind: str
    reason: str
    count: int
    client_id: str | None = None
    audience: str | None = None

    @property
    def level(self) -> int:
        """The level of the log record."""
        return logging.DEBUG if self.reason == "superseded" else logging.INFO


@dataclass(frozen=True, kw_only=True, slots=True)
class CredentialReused(Event):
    """A code or a refresh token was used again, perhaps by a thief, so its authorization has ended.

    Attributes:
        credential: ``code`` or ``refresh_token``.
        client_id: the client that it was issued to.
    """

    name: ClassVar[str] = "credential.reused"
    message: ClassVar[str] = "A %(credential)s of client %(client_id)r was used again; its authorization has ended"
    usual_level: ClassVar[int] = logging.WARNING

    credential: str
    client_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyMade(Event):
    """A signing key was stored, and is announced from now on.

    Attributes:
        kid: the key.
        algorithm: its algorithm.
        cause: ``rotation``, ``revocation`` or ``import``.
        signing_at: when it begins to sign.
    """

    name: ClassVar[str] = "key.made"
    message: ClassVar[str] = "Signing key %(kid)s was created (%(cause)s); it signs %(algorithm)s from %(signing_at)s"

    kid: str
    algorithm: str
    cause: str
    signing_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class _KeyStateEntered(Event):
    """A process noticed that a signing key has entered a state.

    Attributes:
        kid: the key.
        algorithm: its algorithm.
        since: when it entered the state.
    """

    kid: str
    algorithm: str
    since: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyAnnounced(_KeyStateEntered):
    """A process publishes a new signing key."""

    name: ClassVar[str] = "key.announced"
    message: ClassVar[str] = "Signing key %(kid)s (%(algorithm)s) has been announced since %(since)s"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeySigning(_KeyStateEntered):
    """A process signs with a key from now on."""

    name: ClassVar[str] = "key.signing"
    message: ClassVar[str] = "Signing key %(kid)s (%(algorithm)s) has signed since %(since)s"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRetained(_KeyStateEntered):
    """A process no longer signs with a key, which is still published."""

    name: ClassVar[str] = "key.retained"
    message: ClassVar[str] = "Signing key %(kid)s (%(algorithm)s) has been retained since %(since)s"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRetired(_KeyStateEntered):
    """A process no longer publishes a key."""

    name: ClassVar[str] = "key.retired"
    message: ClassVar[str] = "Signing key %(kid)s (%(algorithm)s) retired at %(since)s"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRevoked(_KeyStateEntered):
    """A signing key was revoked, or a process noticed it and rejects its tokens from now on.

    Attributes:
        noticed: ``False`` in the process that revoked it, ``True`` in others.
    """

    name: ClassVar[str] = "key.revoked"
    message: ClassVar[str] = "Signing key %(kid)s (%(algorithm)s) was revoked at %(since)s"
    usual_level: ClassVar[int] = logging.WARNING

    noticed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationRan(Event):
    """``rotate_signing_keys`` or the admin site rotated the keys, or found nothing to do. A dry run emits nothing.

    The level is ``ERROR`` if it failed.

    Attributes:
        outcome: ``changed``, ``unchanged`` or ``failed``.
        made: how many keys were made.
        changed: how many keys got other times.
        signing: the kids of the keys that sign now.
        announced: the kids of the keys that are announced now.
        next_signing_at: when the next key begins to sign, or ``None``.
        next_due_at: when a rotation has something to do again, or ``None``.
        problem: why it failed, or ``None``.
    """

    name: ClassVar[str] = "rotation.ran"
    message: ClassVar[str] = (
        "The signing keys were checked for rotation: %(made)d made, %(changed)d changed, next due %(next_due_at)s"
    )

    outcome: str
    made: int = 0
    changed: int = 0
    signing: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    next_signing_at: datetime | None = None
    next_due_at: datetime | None = None
    problem: str | None = None

    @property
    def text(self) -> str:
        """The text of the log record."""
        return "The signing keys were not rotated: %(problem)s" if self.problem else self.message

    @property
    def level(self) -> int:
        """The level of the log record."""
        return logging.ERROR if self.outcome == "failed" else logging.INFO


@dataclass(frozen=True, kw_only=True, slots=True)
class KeysRewrapped(Event):
    """Private keys were encrypted with the newest key-encryption key. A dry run emits nothing.

    The level is ``ERROR`` if some could not be decrypted.

    Attributes:
        rewrapped: how many were encrypted again.
        up_to_date: how many were up to date.
        failed: how many could not be decrypted.
    """

    name: ClassVar[str] = "key.rewrapped"
    message: ClassVar[str] = (
        "Private keys were encrypted again: %(rewrapped)d (%(up_to_date)d up to date, %(failed)d failed)"
    )

    rewrapped: int
    up_to_date: int
    failed: int

    @property
    def level(self) -> int:
        """The level of the log record."""
        return logging.ERROR if self.failed else logging.INFO


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuerFetched(Event):
    """A remote issuer's metadata, JWK set or document of revocations was fetched.

    Attributes:
        issuer: the issuer's URL.
        document: ``metadata``, ``jwk_set`` or ``revocations``.
        outcome: ``fetched``, or ``unchanged`` if the issuer confirmed what was known (304).
        seconds: how long it took.
    """

    name: ClassVar[str] = "issuer.fetched"
    message: ClassVar[str] = "Fetched the %(document)s of %(issuer)s (%(outcome)s)"

    issuer: str
    document: str
    outcome: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuerFailed(Event):
    """A remote issuer could not be asked, or its answer cannot be used.

    Attributes:
        issuer: the issuer's URL.
        purpose: ``keys``, ``introspection`` or ``revocations``.
        fallback: what is used instead, for people.
        detail: why, for people.
    """

    name: ClassVar[str] = "issuer.failed"
    message: ClassVar[str] = "%(issuer)s cannot be asked for %(purpose)s (%(fallback)s): %(detail)s"
    usual_level: ClassVar[int] = logging.WARNING

    issuer: str
    purpose: str
    fallback: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DenyListRead(Event):
    """A process read the entries of the deny list that were added since its last read.

    Attributes:
        entries: how many live entries this process knows now.
        seconds: how long it took.
    """

    name: ClassVar[str] = "deny_list.read"
    message: ClassVar[str] = "The deny list was read (%(entries)d entries)"
    usual_level: ClassVar[int] = logging.DEBUG

    entries: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DenyListFailed(Event):
    """A process could not read the deny list.

    Attributes:
        detail: why, for people.
    """

    name: ClassVar[str] = "deny_list.failed"
    message: ClassVar[str] = "The deny list could not be read: %(detail)s"
    usual_level: ClassVar[int] = logging.ERROR

    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointUnavailable(Event):
    """An endpoint of the issuer answered 503, because the database or the keys are not available.

    Attributes:
        method: the HTTP method.
        path: the path of the request, percent-encoded and without its query.
        detail: why, for people.
    """

    name: ClassVar[str] = "endpoint.unavailable"
    message: ClassVar[str] = "%(method)s %(path)s answered 503: %(detail)s"
    usual_level: ClassVar[int] = logging.ERROR

    method: str
    path: str
    detail: str


ALL_EVENTS: Final[tuple[type[Event], ...]] = (
    AccessTokenIssued,
    AccessTokenRefused,
    AccessTokenRejected,
    AccessTokenUnverifiable,
    TokensRevoked,
    CredentialReused,
    KeyMade,
    KeyAnnounced,
    KeySigning,
    KeyRetained,
    KeyRetired,
    KeyRevoked,
    KeysRewrapped,
    RotationRan,
    IssuerFetched,
    IssuerFailed,
    DenyListRead,
    DenyListFailed,
    EndpointUnavailable,
)
"""All events, in the order of the reference page."""
