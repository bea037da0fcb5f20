"""Compact JWS (RFC 7515 §7.1), made and taken apart strictly.

jwcrypto's own ``JWS`` copies a registry for each call and reads base64url leniently, which makes tokens malleable; here
a token has exactly one spelling, and jwcrypto does the signatures alone.
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from django_at_jwt.core.errors import RejectionReason, TokenRejected

if TYPE_CHECKING:
    from .keys import PrivateKey

_BASE64URL: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_BASE64URL: Final = bytes.maketrans(b"+/", b"-_")
_DOTS_OF_A_JWE: Final = b"...."
# As numbers, since bytes are searched for a number ten times as fast as for bytes.
_PLUS, _SLASH, _EQUALS, _DOT = b"+/=."

# The last character of a group of 2 or 3 has 4 or 2 bits that carry nothing. They must be 0, else one token would have
# several spellings (RFC 4648 §3.5).
_LAST_OF: Final = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}
_PADDING: Final = {0: b"", 2: b"==", 3: b"="}


def encode_segment(data: bytes) -> bytes:
    """Encode bytes as base64url without padding (RFC 7515 §2)."""
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_BASE64URL)


def decode_segment(segment: bytes) -> bytes:
    """Decode one segment of base64url, strictly: these bytes have no other spelling.

    Raises:
        TokenRejected: there are other characters, the length is impossible, or bits that carry nothing are set.
    """
    rest = len(segment) % 4
    if rest == 1 or (rest and segment[-1] not in _LAST_OF[rest]):
        raise _not_base64url()
    if _PLUS in segment or _SLASH in segment or _EQUALS in segment:
        # The decoder knows these, which base64url has other characters for, or none. It refuses all the rest itself.
        raise _not_base64url()
    try:
        return a2b_base64(segment.replace(b"-", b"+").replace(b"_", b"/") + _PADDING[rest], strict_mode=True)
    except ValueError:
        raise _not_base64url() from None


def _not_base64url() -> TokenRejected:
    return TokenRejected(RejectionReason.MALFORMED, "a segment is not canonical base64url")


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _no_constants(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_JSON_WHITE_SPACE: Final = " \t\n\r"
_json_at_start_of = json.JSONDecoder(object_pairs_hook=_members_once, parse_constant=_no_constants).raw_decode


_written = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def decode_object(data: bytes, reason: RejectionReason) -> dict[str, Any]:
    """Read a JSON object strictly: UTF-8, each member once, no ``NaN`` (RFC 7515 §4, RFC 8725 §3.7, RFC 7493 §2.1).

    Raises:
        TokenRejected: with ``reason``, whatever is wrong with it.
    """
    try:
        # JSONDecoder.decode() finds the white space with two regular expressions, at a quarter of all its cost.
        text = data.decode().strip(_JSON_WHITE_SPACE)
        value, end = _json_at_start_of(text)
        if "\\" in text and "\\u" in text:
            # An escape can say half of a character, which no UTF-8 has: whoever writes it anywhere would crash.
            _written(value).encode()
    except (ValueError, RecursionError):
        # A number of thousands of digits is a ValueError too. The text is not passed on, it quotes the token.
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
    """The segments of a compact JWS, and what the signature is over (RFC 7515 §5.2). Nothing in it is verified.

    The header is not decoded before somebody asks for it, since one that is known by its segment need not be.

    It is a tuple since one is made for each request, by :meth:`split`: a frozen dataclass takes twice as long to make.
    """

    signing_input: bytes
    header_segment: bytes
    payload: bytes
    signature: bytes

    @classmethod
    def split(cls, token: str, max_bytes: int) -> CompactJws:
        """Take a token apart.

        Args:
            token: what followed ``Bearer``.
            max_bytes: the longest token that is looked at at all.

        Raises:
            TokenRejected: too long, encrypted (five segments), or anything but three segments of base64url.
        """
        check_length(token, max_bytes)
        try:
            data = token.encode("ascii")
        except UnicodeEncodeError:
            raise TokenRejected(RejectionReason.MALFORMED, "characters outside base64url") from None
        signing_input, _, signature = data.rpartition(b".")
        header, dot, payload = signing_input.partition(b".")
        if not dot or _DOT in payload:
            # What is left when all that is base64url is taken away.
            if data.translate(None, _BASE64URL) == _DOTS_OF_A_JWE:
                raise TokenRejected(RejectionReason.ENCRYPTED, "five segments: an encrypted token")
            raise TokenRejected(RejectionReason.MALFORMED, "not three segments of base64url")
        if header.translate(None, _BASE64URL):
            raise _not_base64url()
        return tuple.__new__(cls, (signing_input, header, decode_segment(payload), decode_segment(signature)))

    @property
    def header(self) -> dict[str, Any]:
        """The protected header, read strictly and anew each time, and not verified."""
        return decode_object(decode_segment(self.header_segment), RejectionReason.BAD_HEADER)


def sign_compact(key: PrivateKey, header_segment: bytes, payload: bytes) -> str:
    """Make a compact JWS over ``payload`` with a header that is already encoded (RFC 7515 §5.1)."""
    signing_input = b"%b.%b" % (header_segment, encode_segment(payload))
    return (b"%b.%b" % (signing_input, encode_segment(key.sign(signing_input)))).decode("ascii")
