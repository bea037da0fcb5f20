"""The format of ``jti``: it ties a token to its authorization without a lookup.

A ``jti`` is ``<authorization>.<random>.<mark>`` in lower-case hex: the authorization's identifier (32 characters, empty
if a client acts for itself), 128 random bits, and ``1`` if the issuer stored a row for the token, else ``0``.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

LONGEST_TOKEN_ID: Final = 80
_FORMAT: Final = re.compile(r"((?:[0-9a-f]{32})?)\.([0-9a-f]{32})\.([01])", re.ASCII)


class TokenId(NamedTuple):
    """The parts of a ``jti``. ``authorization`` is empty if the client acts for itself."""

    authorization: str
    random: str
    has_row: bool

    def __str__(self) -> str:
        return f"{self.authorization}.{self.random}.{int(self.has_row)}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the parts of a ``jti``, or ``None`` if it has another format, as those of other issuers do."""
        match = _FORMAT.fullmatch(text)
        return None if match is None else cls(match[1], match[2], match[3] == "1")


def is_unstored(token_id: str) -> bool:
    """Return whether a ``jti`` marks its token as issued without a row."""
    return token_id.endswith(".0") and TokenId.parse(token_id) is not None
