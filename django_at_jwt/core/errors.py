"""What goes wrong when a token is issued or verified, as values that a caller can act on."""

from __future__ import annotations

from enum import StrEnum


class RejectionReason(StrEnum):
    """Why an access token was refused: one member for each rule, meant for the log.

    The client is never told which one it was: it learns ``invalid_token`` (RFC 6750 §3.1) and nothing else.
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
    UNKNOWN_SUBJECT = "unknown_subject"
    INACTIVE_SUBJECT = "inactive_subject"


class TokenRejected(Exception):
    """An access token that must not be accepted.

    ``reason`` and ``detail`` are for the log. ``detail`` never holds the token, a claim's value or any other text that
    whoever sent the token chose.
    """

    def __init__(self, reason: RejectionReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class IssuanceError(Exception):
    """A token that cannot be issued.

    ``code`` is the OAuth error code and ``description`` the text that the client is told (RFC 6749 §5.2);
    ``detail`` is for the log only. ``status`` is the HTTP status of the answer.
    """

    code = "server_error"
    status = 503

    def __init__(self, description: str, *, detail: str = "") -> None:
        super().__init__(detail or description)
        self.description = description
        self.detail = detail


class InvalidTarget(IssuanceError):
    """The requested resource is unknown, malformed, or more than was granted (RFC 8707 §2)."""

    code = "invalid_target"
    status = 400


class InvalidScope(IssuanceError):
    """The requested scopes imply different default resources (RFC 9068 §3)."""

    code = "invalid_scope"
    status = 400


class LoginRequired(IssuanceError):
    """Nobody has logged in, or not recently enough, and no login page may be shown (OpenID Connect Core §3.1.2.6)."""

    code = "login_required"
    status = 400


class ConsentRequired(IssuanceError):
    """The user has not agreed to what is asked for, and no consent page was shown (OpenID Connect Core §3.1.2.6)."""

    code = "consent_required"
    status = 400


class UnmetAuthenticationRequirements(IssuanceError):
    """The user has logged in, and not as strongly as the client asks for (RFC 9470 §5)."""

    code = "unmet_authentication_requirements"
    status = 400


class InvalidGrant(IssuanceError):
    """The grant no longer entitles anybody to a token, for instance because its user was deactivated."""

    code = "invalid_grant"
    status = 400


class IssuanceUnavailable(IssuanceError):
    """This server cannot issue tokens now, through no fault of the client's: 503 ``server_error`` (RFC 6749 §5.2)."""

    def __init__(self, detail: str) -> None:
        super().__init__("The authorization server cannot sign access tokens at the moment.", detail=detail)


class NoDefaultResource(IssuanceUnavailable):
    """Nobody asked for a resource, and no resource server is the default (RFC 9068 §3)."""

    def __init__(self) -> None:
        super().__init__(
            "there is no default resource, or it is isolated, so the token would have no audience; set "
            "AT_JWT['DEFAULT_RESOURCE'], or mark a resource server as the default that is not isolated"
        )


class NoSigningKey(IssuanceUnavailable):
    """There is no key to sign with, or it cannot be opened."""


class KeysUnavailable(NoSigningKey):
    """The issuer's keys could not be read, and those read before are too old to be relied on: 503, not 401 or 500."""


class UnacceptableKey(ValueError):
    """A key that is too weak, of the wrong kind, or not meant for signatures (RFC 8725 §3.5)."""


class KeyChangeRefused(ValueError):
    """A change to the signing keys that an administrator asked for and that must not be made; the text says why."""


class UnacceptableDocument(ValueError):
    """Issuer metadata or a JWK set that must not be used; the text says why, and quotes little of it."""
