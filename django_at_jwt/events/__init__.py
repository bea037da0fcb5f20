"""What happens to tokens, keys and issuers, as events with stable names and typed fields.

Each event is emitted once: as a log record, and as the Django signal ``django_at_jwt.signals.event_emitted``, whose
sender is the class of the event. Metrics are receivers of that signal. No field contains a token, a secret, a ``sub``,
a user's name or other personal data.
"""

from .catalogue import (
    ALL_EVENTS,
    AccessTokenIssued,
    AccessTokenRefused,
    AccessTokenRejected,
    AccessTokenUnverifiable,
    CredentialReused,
    DenyListFailed,
    DenyListRead,
    EndpointUnavailable,
    IssuerFailed,
    IssuerFetched,
    KeyAnnounced,
    KeyMade,
    KeyRetained,
    KeyRetired,
    KeyRevoked,
    KeySigning,
    KeysRewrapped,
    RotationRan,
    TokensRevoked,
)
from .emission import Event, emit, event_emitted
from .tracing import span

__all__ = [
    "ALL_EVENTS",
    "AccessTokenIssued",
    "AccessTokenRefused",
    "AccessTokenRejected",
    "AccessTokenUnverifiable",
    "CredentialReused",
    "DenyListFailed",
    "DenyListRead",
    "EndpointUnavailable",
    "Event",
    "IssuerFailed",
    "IssuerFetched",
    "KeyAnnounced",
    "KeyMade",
    "KeyRetained",
    "KeyRetired",
    "KeyRevoked",
    "KeySigning",
    "KeysRewrapped",
    "RotationRan",
    "TokensRevoked",
    "emit",
    "event_emitted",
    "span",
]
