"""Whom a token speaks for: the subject, which means something together with its issuer alone (RFC 7519 §4.1.2)."""

from __future__ import annotations

import hashlib
from enum import StrEnum


class UserMode(StrEnum):
    """What the subjects of an issuer are at this site.

    ``LOCAL``: users that the site has. ``CREATED``: the same, and a user is made where there is none yet.
    ``STATELESS``: nobody that the site keeps; all that is known of them is in the token.
    """

    LOCAL = "local"
    CREATED = "created"
    STATELESS = "stateless"


def subject_digest(issuer: str, subject: str) -> str:
    """Give 64 characters that stand for a subject of an issuer, and for no other.

    They can be compared where the subject itself cannot: a database may take "A" for "a", and has a longest key.
    """
    # An issuer is a URL and has no NUL in it, so the first one ends it. JSON can say lone surrogates, UTF-8 cannot.
    return hashlib.sha256(f"{issuer}\x00{subject}".encode("utf-8", "surrogatepass")).hexdigest()


def can_be_stored(subject: str) -> bool:
    """Tell whether a database can hold a subject: no NUL character and no lone surrogate is in it."""
    try:
        subject.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in subject
