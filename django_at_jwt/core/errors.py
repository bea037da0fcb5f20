"""Errors in issuing and verifying tokens."""

from __future__ import annotations

from enum import StrEnum


class RejectionReason(StrEnum):
    """Why an access token was rejected, for the log.

    The client is only told ``invalid_token`` (RFC 6750 section 3.1).
    """

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    ENCRYPTED = "encrypted"
    BAD_HEADER = "bad_header"
    CRITICAL_HEADER = "critical_header"
    UNEXPECTED_TYPE = "unexpected_type"
    UNKNOWN_KEY = "unknown_key"
    ALGORITHM_MISMATCH = "algorithm_mismatch"
    BAD_SIGNATURE = "bad_signature"
    BAD_CLAIMS = "bad_claims"
    MISSING_CLAIM = "missing_claim"
    BAD_CLAIM = "bad_claim"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    SENDER_CONSTRAINED = "sender_constrained"
    REVOKED = "revoked"
    UNKNOWN_REVOCATION = "unknown_revocation"
    UNKNOWN_SUBJECT = "unknown_subject"
    INACTIVE_SUBJECT = "inactive_subject"


class TokenRejected(Exception):
    """An access token was rejected.

    ``reason`` and ``detail`` are for the log. ``detail`` never contains the token, a claim's value or any other text
    chosen by the sender.
    """

    def __init__(self, reason: RejectionReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


class IssuanceError(Exception):
    """A token cannot be issued.

    ``code`` is the OAuth error code and ``description`` the text for the client (RFC 6749 section 5.2); ``detail`` is
    for the log only. ``status`` is the HTTP status of the response.
    """

    code = "server_error"
    status = 503

    def __init__(self, description: str, *, detail: str = "") -> None:
        super().__init__(detail or description)
        self.description = description
        self.detail = detail


class InvalidTarget(IssuanceError):
    """The requested resource is unknown, malformed, or more than was granted (RFC 8707 section 2)."""

    code = "invalid_target"
    status = 400


class InvalidScope(IssuanceError):
    """The requested scopes imply different default resources (RFC 9068 section 3)."""

    code = "invalid_scope"
    status = 400


class InvalidLifetime(IssuanceError):
    """The requested lifetime is longer than the lifetimes of the resource servers."""

    code = "invalid_request"
    status = 400


class LoginRequired(IssuanceError):
    """A (recent) login is needed, but no login page may be shown (OpenID Connect Core section 3.1.2.6)."""

    code = "login_required"
    status = 400


class ConsentRequired(IssuanceError):
    """The user's consent is needed, but no consent page may be shown (OpenID Connect Core section 3.1.2.6)."""

    code = "consent_required"
    status = 400


class UnmetAuthenticationRequirements(IssuanceError):
    """The user's login does not meet the authentication contexts that the client requires (RFC 9470 section 5)."""

    code = "unmet_authentication_requirements"
    status = 400


class InvalidGrant(IssuanceError):
    """The grant is no longer valid, for instance because its user was deactivated."""

    code = "invalid_grant"
    status = 400


class IssuanceUnavailable(IssuanceError):
    """The server cannot issue tokens now: 503 ``server_error`` (RFC 6749 section 5.2)."""

    def __init__(self, detail: str) -> None:
        super().__init__("The authorization server cannot sign access tokens at the moment.", detail=detail)


class NoDefaultResource(IssuanceUnavailable):
    """The request implies no resource, and there is no default resource server (RFC 9068 section 3)."""

    def __init__(
        self, detail: str = "the token would have no audience: there is no default resource, or it is isolated"
    ) -> None:
        super().__init__(detail)


class NoSigningKey(IssuanceUnavailable):
    """There is no signing key, or it cannot be decrypted."""


class UnknownKeyEncryptionKey(NoSigningKey):
    """A key is encrypted with a key-encryption key that this process does not have."""


class KeysUnavailable(NoSigningKey):
    """The issuer's keys could not be read, and the cached ones are too old to use: 503, not 401 or 500."""


class RevocationUnavailable(Exception):
    """Whether a token was revoked, or its user deactivated, cannot be found out: 503, as it may be either."""


class ReadNeeded(Exception):
    """A check that may only use memory needs a query or a request. Never leaves this app."""


class UnacceptableKey(ValueError):
    """A key is too weak, of the wrong type, or not meant for signatures (RFC 8725 section 3.5)."""


class KeyChangeRefused(ValueError):
    """A requested change to the signing keys must not be made; the text says why."""


class NoSuccessor(KeyChangeRefused):
    """A key must not be revoked, because no other key could sign."""


class UnacceptableDocument(ValueError):
    """Issuer metadata or a JWK set must not be used; the text says why and quotes little of it."""
