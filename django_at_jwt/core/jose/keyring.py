"""The key ring: which keys sign and verify, as an immutable view that needs no database."""

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
    """A key that signs now, as everybody may know it, and a function that opens its private half.

    The function raises :class:`NoSigningKey` where it cannot be opened.
    """

    public_key: PublicKey
    open: Callable[[], PrivateKey] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRing:
    """All keys of one issuer at one time.

    ``public_keys`` has every published key by its ``kid``. ``signers`` has one for each algorithm that has a
    signing key: a private key is opened when it is first needed, so a verifying process never does. ``algorithms`` are
    those in use, the default first. ``known_headers`` are the encoded headers of tokens that one of the keys has
    verified, which need not be examined again.
    """

    public_keys: Mapping[str, PublicKey] = field(default_factory=dict)
    signers: Mapping[str, Signer] = field(default_factory=dict, repr=False)
    algorithms: Sequence[str] = ()
    known_headers: dict[bytes, PublicKey] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, public_keys: Iterable[PublicKey], **others: Any) -> KeyRing:
        """Make a key ring of verification keys and, where it signs too, ``signers`` and ``algorithms``."""
        return cls(public_keys={key.kid: key for key in public_keys}, **others)

    def signer(self, algorithm: str | None = None) -> Signer:
        """Give the key that signs now, without opening it.

        Args:
            algorithm: the one wanted, or ``None`` for the default. What comes into use is announced before it signs;
                until then the first of :attr:`algorithms` that has a signing key goes on in its place, or else one
                that was in use before.

        Raises:
            NoSigningKey: there is none, or the algorithm is not in use.
        """
        if algorithm is not None and algorithm not in self.algorithms:
            raise NoSigningKey(f"no key signs with {algorithm}; add it to AT_JWT['SIGNING_ALGORITHMS']")
        first = () if algorithm is None else (algorithm,)
        for name in (*first, *self.algorithms, *self.signers):
            if name in self.signers:
                return self.signers[name]
        raise NoSigningKey("there is no signing key; make one with: manage.py rotate_signing_keys")

    def signing_key(self, algorithm: str | None = None) -> PrivateKey:
        """Open the key that signs now.

        Raises:
            NoSigningKey: as :meth:`signer`, or it cannot be opened.
        """
        return self.signer(algorithm).open()

    def remember_header(self, jws: CompactJws, key: PublicKey) -> None:
        """Skip the rules for this very header from now on: a token that had it was verified with ``key``.

        Only holders of a good signature get here, so nobody can fill the memory from outside. It is bounded too.
        """
        if len(self.known_headers) < _MOST_KNOWN_HEADERS:
            self.known_headers[jws.header_segment] = key

    def jwk_set(self) -> dict[str, list[dict[str, str]]]:
        """Give the JWK set that is published (RFC 7517 §5): public members alone."""
        return {"keys": [dict(key.public_jwk) for key in self.public_keys.values()]}
