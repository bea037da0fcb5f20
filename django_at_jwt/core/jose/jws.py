"""Compact JWS (RFC 7515 section 7.1), created and parsed strictly.

Decoding is strict, so each token has exactly one spelling. jwcrypto's ``JWS`` decodes base64url leniently, which makes
tokens malleable, and copies a registry for each call.
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from django_at_jwt.core.errors import RejectionReason, TokenRejected

if TYPE_CHECKING:
    from .keys import PrivateKey

_BASE64URL: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_DOTS_OF_A_JWE: Final = b"...."
# Integers: searching bytes for an integer is ten times as fast as for bytes.
_PLUS, _SLASH, _EQUALS, _DOT = b"+/=."

# The last character of a group of 2 or 3 has 4 or 2 unused bits. They must be 0, or a token would have several
# spellings (RFC 4648 section 3.5).
_LAST_OF: Final = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}
_PADDING: Final = {0: b"", 2: b"==", 3: b"="}


def encode_segment(data: bytes) -> bytes:
    """Encode bytes as base64url without padding (RFC 7515 section 2)."""
    return b2a_base64(data, newline=False).rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")


def decode_segment(segment: bytes) -> bytes:
    """Decode one segment of canonical base64url without padding.

    Raises:
        TokenRejected: other characters, an impossible length, or unused bits that are not 0.
    """
    rest = len(segment) % 4
    if rest == 1 or (rest and segment[-1] not in _LAST_OF[rest]):
        raise _not_base64url()
    if _PLUS in segment or _SLASH in segment or _EQUALS in segment:
        # The decoder accepts these characters, which base64url does not have. It rejects all others itself.
        raise _not_base64url()
    try:
        return a2b_base64(segment.replace(b"-", b"+").replace(b"_", b"/") + _PADDING[rest], strict_mode=True)
    except ValueError:
        raise _not_base64url() from None


def _not_base64url() -> TokenRejected:
    return TokenRejected(RejectionReason.MALFORMED, "a segment is not canonical base64url")


class DuplicateMember(ValueError):
    """A JSON object has two members with the same name."""

    def __init__(self, name: str) -> None:
        super().__init__("a member occurs twice")
        self.name = name


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object, for ``object_pairs_hook``.

    Raises:
        DuplicateMember: two members have the same name.
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise DuplicateMember(next(name for name, count in counts.items() if count > 1))
    return members


def _no_constants(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_JSON_WHITE_SPACE: Final = " \t\n\r"
_parse_json = json.JSONDecoder(object_pairs_hook=unique_members, parse_constant=_no_constants).raw_decode
_encode_json = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def decode_object(data: bytes, reason: RejectionReason) -> dict[str, Any]:
    """Read a JSON object strictly: UTF-8, each member once, no ``NaN``.

    See RFC 7515 section 4, RFC 8725 section 3.7 and RFC 7493 section 2.1.

    Raises:
        TokenRejected: with ``reason``, whatever is wrong with it.
    """
    try:
        # JSONDecoder.decode() strips white space with two regular expressions, a quarter of its total cost.
        text = data.decode().strip(_JSON_WHITE_SPACE)
        value, end = _parse_json(text)
        if "\\" in text and "\\u" in text:
            # An escape can be a lone surrogate, which cannot be encoded as UTF-8.
            _encode_json(value).encode()
    except (ValueError, RecursionError):
        # Numbers with thousands of digits raise ValueError too. Drop the original text: it quotes the token.
        raise TokenRejected(reason, "not a JSON object in UTF-8 with each member once") from None
    if end != len(text):
        raise TokenRejected(reason, "something follows the JSON")
    if type(value) is not dict:
        raise TokenRejected(reason, "JSON, but not an object")
    return value


def check_length(token: str, max_bytes: int) -> None:
    """Check that a token is short enough to be parsed.

    Raises:
        TokenRejected: it is longer than ``max_bytes``.
    """
    if len(token) > max_bytes:
        raise TokenRejected(RejectionReason.TOO_LARGE, f"longer than {max_bytes} bytes")


class CompactJws(NamedTuple):
    """The segments of a compact JWS, and the signing input (RFC 7515 section 5.2).

    The header is decoded on access: a known header segment need not be decoded. A tuple, since one is created for each
    request and a frozen dataclass takes twice as long.

    Not checked: the header and the signature.
    """

    signing_input: bytes
    header_segment: bytes
    payload: bytes
    signature: bytes

    @classmethod
    def split(cls, token: str, max_bytes: int) -> CompactJws:
        """Split a token into its segments.

        Args:
            token: what followed ``Bearer``.
            max_bytes: tokens longer than this are rejected unparsed.

        Raises:
            TokenRejected: too long, encrypted (five segments), or not three segments of base64url.
        """
        check_length(token, max_bytes)
        try:
            data = token.encode("ascii")
        except UnicodeEncodeError:
            raise TokenRejected(RejectionReason.MALFORMED, "characters outside base64url") from None
        signing_input, _, signature = data.rpartition(b".")
        header, dot, payload = signing_input.partition(b".")
        if not dot or _DOT in payload:
            if data.translate(None, _BASE64URL) == _DOTS_OF_A_JWE:
                raise TokenRejected(RejectionReason.ENCRYPTED, "five segments: an encrypted token")
            raise TokenRejected(RejectionReason.MALFORMED, "not three segments of base64url")
        if header.translate(None, _BASE64URL):
            raise _not_base64url()
        return tuple.__new__(cls, (signing_input, header, decode_segment(payload), decode_segment(signature)))

    @property
    def header(self) -> dict[str, Any]:
        """The protected header, decoded strictly on each access. Not verified."""
        return decode_object(decode_segment(self.header_segment), RejectionReason.BAD_HEADER)

    @property
    def claims(self) -> dict[str, Any]:
        """The JSON object in the payload, decoded strictly on each access. Not verified."""
        return decode_object(self.payload, RejectionReason.BAD_CLAIMS)


def sign_compact(key: PrivateKey, header_segment: bytes, payload: bytes) -> str:
    """Return a compact JWS over ``payload`` with an encoded header (RFC 7515 section 5.1)."""
    signing_input = header_segment + b"." + encode_segment(payload)
    return (signing_input + b"." + encode_segment(key.sign(signing_input))).decode("ascii")
