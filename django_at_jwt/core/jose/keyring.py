"""The key ring: an issuer's signing and verification keys, independent of the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.errors import NoSigningKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .jws import CompactJws
    from .keys import PrivateKey, PublicKey

_MOST_KNOWN_HEADERS: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Signer:
    """The public half of a signing key, and a function that decrypts the private half.

    The function raises :class:`NoSigningKey` if it cannot be decrypted.
    """

    public_key: PublicKey
    open: Callable[[], PrivateKey] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRing:
    """All keys of one issuer at one time.

    Attributes:
        public_keys: every published key by its ``kid``.
        signers: the signer of each algorithm that has a signing key. A private key is decrypted when it is first
            needed, so never in a process that only verifies.
        algorithms: the algorithms in use, the default first.
        known_headers: the encoded headers of verified tokens, which need not be checked again.
    """

    public_keys: Mapping[str, PublicKey] = field(default_factory=dict)
    signers: Mapping[str, Signer] = field(default_factory=dict, repr=False)
    algorithms: Sequence[str] = ()
    known_headers: dict[bytes, PublicKey] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, public_keys: Iterable[PublicKey], **others: Any) -> KeyRing:
        """Return a key ring of verification keys and, if it signs too, ``signers`` and ``algorithms``."""
        return cls(public_keys={key.kid: key for key in public_keys}, **others)

    def signer(self, algorithm: str | None = None) -> Signer:
        """Return the current signer, without decrypting its key.

        Args:
            algorithm: the requested algorithm, or ``None`` for the default. A new algorithm is announced before it
                signs; until then the first of :attr:`algorithms` with a signing key signs in its place, or else a
                formerly used algorithm.

        Raises:
            NoSigningKey: there is no signing key, or the algorithm is not in use.
        """
        if algorithm is not None and algorithm not in self.algorithms:
            raise NoSigningKey(f"{algorithm} is not in use")
        first = () if algorithm is None else (algorithm,)
        for name in (*first, *self.algorithms, *self.signers):
            if name in self.signers:
                return self.signers[name]
        raise NoSigningKey("no signing key")

    def signing_key(self, algorithm: str | None = None) -> PrivateKey:
        """Return the current signing key, decrypted.

        Raises:
            NoSigningKey: as for :meth:`signer`, or it cannot be decrypted.
        """
        return self.signer(algorithm).open()

    def remember_header(self, jws: CompactJws, key: PublicKey) -> None:
        """Skip the rules for this header from now on: a token that had it was verified with ``key``.

        The number of headers is bounded, and only headers of tokens with a valid signature get here.
        """
        if len(self.known_headers) < _MOST_KNOWN_HEADERS:
            self.known_headers[jws.header_segment] = key

    def jwk_set(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWK set to publish (RFC 7517 section 5): public members only."""
        return {"keys": [dict(key.public_jwk) for key in self.public_keys.values()]}
