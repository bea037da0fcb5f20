"""A snapshot of a remote issuer's keys, in memory and in the shared cache, and how long it may be used."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.jose.jwk_set import accept_keys

from .errors import UnacceptableDocument
from .metadata import is_fetchable, read_document

if TYPE_CHECKING:
    from collections.abc import Collection

    from django_at_jwt.core.jose.keys import PublicKey

_DIRECTIVE: Final = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:=("(?:[^"\\]|\\.)*"|[^\s,;"]*))?')
_SECONDS: Final = re.compile(r"\d{1,9}", re.ASCII)
_REVALIDATED_FROM: Final = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheBounds:
    """Bounds for the time for which a response is used. All are seconds.

    Attributes:
        min: used if the response allows less, to limit the number of requests.
        max: used if the response allows more, or ``min`` is more, so that a revoked key is noticed.
        default: used if the response does not say.
    """

    min: float
    max: float
    default: float = 300.0

    def lifetime(self, cache_control: str | None, age: str | None) -> float:
        """Return the seconds for which a response may be used from now on.

        Args:
            cache_control: the value of ``Cache-Control``, or ``None`` if the header is missing.
            age: the value of ``Age``: how long an HTTP cache has held the response.
        """
        allowed = max_age(cache_control)
        if allowed is None:
            return min(max(self.default, self.min), self.max)
        held = int(age) if age is not None and _SECONDS.fullmatch(age) else 0
        return min(max(allowed - held, self.min), self.max)


def max_age(cache_control: str | None) -> int | None:
    """Return the seconds that ``Cache-Control`` allows (RFC 9111 section 5.2.2), or ``None`` if it does not say.

    ``no-store`` and ``no-cache`` are 0 seconds.
    """
    directives = {name.lower(): value.strip('"') for name, value in _DIRECTIVE.findall(cache_control or "")}
    if directives.keys() & {"no-store", "no-cache"}:
        return 0
    value = directives.get("max-age")
    if value is None:
        return None
    # An invalid value counts as stale (RFC 9111 section 4.2.1).
    return int(value) if _SECONDS.fullmatch(value) else 0


def entity_tag(value: str | None) -> str | None:
    """Return the value of ``ETag`` if it can be sent back unchanged (RFC 9110 section 8.8.3), else ``None``."""
    return value if value is not None and _ENTITY_TAG.fullmatch(value) else None


_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')

_FORM: Final = 2
MAX_CLOCK_SKEW: Final = 60.0
"""Seconds by which the clocks of two machines may differ. What a cache has from further in the future is rejected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuerSnapshot:
    """An issuer's keys, and when they were fetched. Instants are seconds since the epoch.

    Attributes:
        issuer: the issuer's identifier.
        jwks_uri: where the keys were fetched, from the metadata.
        metadata_until: when the metadata expires.
        etag: the ``ETag`` of the JWK set's response.
        keys: the verification keys; empty if the issuer publishes none.
        confirmed_at: when the issuer last confirmed these keys.
        fresh_until: when the JWK set's response expires.
    """

    issuer: str
    jwks_uri: str
    metadata_until: float
    etag: str | None
    keys: tuple[PublicKey, ...]
    confirmed_at: float
    fresh_until: float

    @property
    def refresh_at(self) -> float:
        """When the keys are fetched again, some time before the response expires."""
        return self.confirmed_at + _REVALIDATED_FROM * (self.fresh_until - self.confirmed_at)

    def usable_until(self, max_stale: float) -> float:
        """Return until when the keys are used if the issuer cannot be reached.

        Args:
            max_stale: seconds for which they are used after the issuer confirmed them, or longer if the issuer's
                response allows it.
        """
        return max(self.confirmed_at + max_stale, self.fresh_until)

    def to_text(self) -> str:
        """Return the snapshot as JSON: public keys, URLs and instants."""
        return json.dumps(
            {
                "form": _FORM,
                "issuer": self.issuer,
                "jwks_uri": self.jwks_uri,
                "metadata_until": self.metadata_until,
                "etag": self.etag,
                "jwk_set": {"keys": [dict(key.public_jwk) for key in self.keys]},
                "confirmed_at": self.confirmed_at,
                "fresh_until": self.fresh_until,
            }
        )

    @classmethod
    def from_text(
        cls, text: str, *, issuer: str, algorithms: Collection[str], loopback_http: bool, longest: float, now: float
    ) -> IssuerSnapshot:
        """Read a snapshot that another worker wrote, as strictly as an issuer's response.

        Args:
            longest: the longest time in seconds for which keys or metadata may be used without a request.
            now: seconds since the epoch.

        Raises:
            UnacceptableDocument: it is of another issuer or another format, from the future, or incomplete.
        """
        document = read_document(text.encode(errors="replace"))
        if document.get("form") != _FORM or document.get("issuer") != issuer:
            raise UnacceptableDocument("it has another format or another issuer")
        jwks_uri, jwk_set, etag = document.get("jwks_uri"), document.get("jwk_set"), document.get("etag")
        if not is_fetchable(jwks_uri, loopback_http=loopback_http) or not isinstance(jwk_set, dict):
            raise UnacceptableDocument("it has no valid jwks_uri or no keys")
        confirmed_at = _instant(document, "confirmed_at", latest=now + MAX_CLOCK_SKEW)
        return cls(
            issuer=issuer,
            jwks_uri=jwks_uri,
            metadata_until=_instant(document, "metadata_until", latest=confirmed_at + longest),
            etag=entity_tag(etag) if isinstance(etag, str) else None,
            keys=accept_keys(jwk_set, algorithms=algorithms).keys,
            confirmed_at=min(confirmed_at, now),
            fresh_until=_instant(document, "fresh_until", latest=confirmed_at + longest),
        )


def _instant(document: dict[str, Any], member: str, *, latest: float) -> float:
    value = document.get(member)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnacceptableDocument(f"its {member} is not a number")
    # Compare before converting: JSON allows integers too large for a float, and 1e400 is parsed as infinity.
    if not 0 <= value <= latest:
        raise UnacceptableDocument(f"its {member} is negative or too far in the future")
    return float(value)
