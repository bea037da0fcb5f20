"""What is known of a remote issuer at one time, as a value and as the text that workers share."""

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
class Lifetimes:
    """Between which bounds a response's own word counts. All are seconds.

    Attributes:
        least: for so long it is used even if it says less, so that no issuer is asked all the time.
        most: for no longer it is used, so that a revoked key is noticed.
        usual: for so long it is used where it says nothing.
    """

    least: float
    most: float
    usual: float

    def of(self, cache_control: str | None, age: str | None) -> float:
        """Give the seconds for which a response may be used from now on.

        Args:
            cache_control: the value of ``Cache-Control``, or ``None`` where there is none.
            age: the value of ``Age``: how long a cache on the way has held the response.
        """
        said = max_age(cache_control)
        if said is None:
            return min(max(self.usual, self.least), self.most)
        held = int(age) if age is not None and _SECONDS.fullmatch(age) else 0
        return min(max(said - held, self.least), self.most)


def max_age(cache_control: str | None) -> int | None:
    """Give what ``Cache-Control`` allows in seconds (RFC 9111 §5.2.2), 0 for never, ``None`` where it does not say."""
    directives = {name.lower(): value.strip('"') for name, value in _DIRECTIVE.findall(cache_control or "")}
    if directives.keys() & {"no-store", "no-cache"}:
        return 0
    said = directives.get("max-age")
    if said is None:
        return None
    # What cannot be read counts as stale (RFC 9111 §4.2.1).
    return int(said) if _SECONDS.fullmatch(said) else 0


def refresh_after(lifetime: float) -> float:
    """Give the seconds after which a response is asked for again: a while before it runs out."""
    return lifetime * _REVALIDATED_FROM


def entity_tag(value: str | None) -> str | None:
    """Give an ``ETag`` that can be sent back as it is (RFC 9110 §8.8.3), or ``None``."""
    return value if value is not None and _ENTITY_TAG.fullmatch(value) else None


_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')

_FORM: Final = 2
# Clocks of two machines may differ by so much. What claims to be from later than that is not believed.
_CLOCKS_DIFFER: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuerSnapshot:
    """An issuer's keys, and when they were had. Instants are seconds since the epoch.

    Attributes:
        issuer: whose keys these are.
        jwks_uri: where they were fetched, as the metadata said.
        metadata_until: for so long the metadata is not asked for again.
        etag: what the JWK set's answer was tagged with.
        keys: the keys that may verify; none where the issuer says that it has none.
        confirmed_at: when the issuer last said that these are its keys.
        fresh_until: for so long its answer may be used without asking again.
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
        """When the issuer is asked again: a while before its answer runs out."""
        return self.confirmed_at + refresh_after(self.fresh_until - self.confirmed_at)

    def usable_until(self, max_stale: float) -> float:
        """Give for how long the keys are used at the most, if the issuer cannot be asked again.

        Args:
            max_stale: seconds for which they are used after the issuer confirmed them. What the issuer's own answer
                allows is used up in any case.
        """
        return max(self.confirmed_at + max_stale, self.fresh_until)

    def to_text(self) -> str:
        """Write it as JSON: public members of public keys, addresses and instants."""
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
        """Read what another worker wrote, as strictly as what an issuer answers.

        Args:
            longest: seconds for which nothing may be used without asking again, whatever the text says.
            now: seconds since the epoch.

        Raises:
            UnacceptableDocument: it is of another issuer or another form, from the future, or not whole.
        """
        document = read_document(text.encode(errors="replace"))
        if document.get("form") != _FORM or document.get("issuer") != issuer:
            raise UnacceptableDocument("it is of another form, or of another issuer")
        jwks_uri, jwk_set, etag = document.get("jwks_uri"), document.get("jwk_set"), document.get("etag")
        if not is_fetchable(jwks_uri, loopback_http=loopback_http) or not isinstance(jwk_set, dict):
            raise UnacceptableDocument("it has no address or no keys")
        confirmed_at = _instant(document, "confirmed_at", latest=now + _CLOCKS_DIFFER)
        return cls(
            issuer=issuer,
            jwks_uri=str(jwks_uri),
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
    # Compared before it is converted: JSON has integers that no float can hold, and 1e400 reads as infinity.
    if not 0 <= value <= latest:
        raise UnacceptableDocument(f"its {member} is negative or too far in the future")
    return float(value)
