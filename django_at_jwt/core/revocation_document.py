"""The signed document with the revocations of an issuer, for APIs in other projects.

It is a compact JWS with a ``typ`` that no access token has. Its claims are ``iss``, ``iat``, ``exp``, ``version``,
``complete``, and the live entries of the deny list by kind. See docs/reference/revocation-document.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.jose.jws import CompactJws, encode_segment, sign_compact

from .deny_list import DenyEntry, DenyKind
from .errors import TokenRejected, UnacceptableDocument
from .profile import LAST_INSTANT, check_extensions, encode_json, key_reference
from .quotation import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django_at_jwt.core.jose.keyring import KeyRing
    from django_at_jwt.core.jose.keys import PrivateKey, PublicKey

TYPE: Final = "at-jwt-revocations+jwt"
MEDIA_TYPE: Final = f"application/{TYPE}"
MOST_ENTRIES: Final = 20_000
MOST_BYTES: Final = 4 * 1024 * 1024

_MEMBERS: Final = {
    DenyKind.TOKEN: "tokens",
    DenyKind.AUTHORIZATION: "authorizations",
    DenyKind.CLIENT: "clients",
    DenyKind.AUDIENCE: "audiences",
}
_LONGEST_VALUE: Final = 255
_GREATEST_VERSION: Final = 2**63 - 1


class UnknownDocumentKey(UnacceptableDocument):
    """The document names a key that is not in the key ring.

    Attributes:
        kid: its ``kid``.
    """

    def __init__(self, kid: str) -> None:
        super().__init__("no published key has its kid")
        self.kid = kid


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationDocument:
    """The live revocations of an issuer. Instants are whole seconds since the epoch.

    Attributes:
        issuer: the issuer's identifier.
        issued_at: when the issuer read the entries, rounded down.
        expires_at: until when the document may be used.
        version: of two documents, the one with the higher version was read later, unless the issuer's database was
            restored from a backup in between. With the same version, either may lack an entry of the other.
        complete: whether it has all live entries. If not, it has none.
        entries: the entries.
    """

    issuer: str
    issued_at: int
    expires_at: int
    version: int
    complete: bool
    entries: tuple[DenyEntry, ...]

    def claims(self) -> dict[str, Any]:
        """Return the claims of the JWS. Equal documents have equal claims."""
        members: dict[str, dict[str, Any]] = {name: {} for name in _MEMBERS.values()}
        for kind, value, issued_until, expires_at in sorted(self.entries, key=lambda entry: entry[:2]):
            end: Any = {"issued_until": issued_until or 0, "end": expires_at} if kind.is_bounded else expires_at
            members[_MEMBERS[kind]][value] = end
        return {
            "iss": self.issuer,
            "iat": self.issued_at,
            "exp": self.expires_at,
            "version": self.version,
            "complete": self.complete,
            **members,
        }

    def signed(self, key: PrivateKey) -> str:
        """Return the document as a compact JWS.

        It has neither ``sub`` nor ``aud``, and its ``typ`` is that of no token, so it cannot be used as one.
        """
        header = {"typ": TYPE, "alg": key.algorithm.name, "kid": key.kid}
        return sign_compact(key, encode_segment(encode_json(header)), encode_json(self.claims()))


def read_revocations(text: str, *, key_ring: KeyRing, issuer: str, now: float, leeway: float) -> RevocationDocument:
    """Verify the document of an issuer, and return it.

    Args:
        text: the compact JWS.
        key_ring: the keys of the issuer, and of no other issuer.
        issuer: the one accepted ``iss``.
        now: seconds since the epoch.
        leeway: the tolerated difference between clocks, in seconds.

    Raises:
        UnknownDocumentKey: the key ring lacks the key that it names.
        UnacceptableDocument: it must not be used for another reason. The message quotes little of it.

    Not checked: whether its version is lower than that of another document.
    """
    try:
        jws = CompactJws.split(text, MOST_BYTES)
        key = _key(jws, key_ring)
        if not key.verifies(jws.signing_input, jws.signature):
            raise UnacceptableDocument("its signature is wrong")
        claims = jws.claims
    except TokenRejected as rejected:
        raise UnacceptableDocument(f"it is not a valid JWS: {rejected.detail}") from None
    _check_issuer_and_times(claims, issuer, now, leeway)
    version, complete = claims.get("version"), claims.get("complete")
    if type(version) is not int or not 0 <= version <= _GREATEST_VERSION:
        raise UnacceptableDocument(f"its version must be a non-negative integer (got {quote(version)})")
    if type(complete) is not bool:
        raise UnacceptableDocument(f'its "complete" must be true or false (got {quote(complete)})')
    if sum(len(_object(claims, name)) for name in _MEMBERS.values()) > MOST_ENTRIES:
        raise UnacceptableDocument(f"it has more than {MOST_ENTRIES} entries")
    return RevocationDocument(
        issuer=issuer,
        issued_at=claims["iat"],
        expires_at=claims["exp"],
        version=version,
        complete=complete,
        entries=tuple(entry for kind in _MEMBERS for entry in _entries(claims, kind)),
    )


def _key(jws: CompactJws, key_ring: KeyRing) -> PublicKey:
    header = jws.header
    if header.get("typ") != TYPE:
        raise UnacceptableDocument(f"its typ must be {TYPE} (got {quote(header.get('typ'))})")
    check_extensions(header)
    reference = key_reference(header)
    key = key_ring.public_keys.get(reference.kid)
    if key is None:
        raise UnknownDocumentKey(reference.kid)
    if reference.algorithm != key.algorithm.name:
        raise UnacceptableDocument(f"its alg is {quote(reference.algorithm)}, and its key is for {key.algorithm.name}")
    return key


def _check_issuer_and_times(claims: Mapping[str, Any], issuer: str, now: float, leeway: float) -> None:
    if claims.get("iss") != issuer:
        raise UnacceptableDocument(f"its issuer is {quote(claims.get('iss'))}, not {quote(issuer)}")
    issued_at, expires_at = _instant(claims, "iat"), _instant(claims, "exp")
    if expires_at <= issued_at:
        raise UnacceptableDocument("its exp is not after its iat")
    if issued_at > now + leeway:
        raise UnacceptableDocument(f"its iat is {issued_at - now:.0f} seconds in the future; compare the clocks")
    if expires_at + leeway <= now:
        raise UnacceptableDocument(f"it expired {now - expires_at:.0f} seconds ago")


def _entries(claims: Mapping[str, Any], kind: DenyKind) -> Iterator[DenyEntry]:
    name = _MEMBERS[kind]
    for value, end in claims[name].items():
        if not 0 < len(value) <= _LONGEST_VALUE:
            raise UnacceptableDocument(f'its "{name}" have a name that is empty or too long')
        if not kind.is_bounded:
            yield DenyEntry(kind, value, None, _checked(end, name))
        elif isinstance(end, dict):
            yield DenyEntry(kind, value, _checked(end.get("issued_until"), name), _checked(end.get("end"), name))
        else:
            raise UnacceptableDocument(f'its "{name}" have an entry that is not an object')


def _object(claims: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = claims.get(name)
    if not isinstance(value, dict):
        raise UnacceptableDocument(f'its "{name}" is missing or not an object')
    return value


def _instant(claims: Mapping[str, Any], name: str) -> int:
    return _checked(claims.get(name), name)


def _checked(value: object, name: str) -> int:
    # An exact type, since a boolean is an int too.
    if type(value) is not int or not 0 <= value <= LAST_INSTANT:
        raise UnacceptableDocument(f'its "{name}" must have whole seconds since the epoch (got {quote(value)})')
    return value
