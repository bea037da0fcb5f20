"""Confirmation of a form: a review page submits the same values again, with a signed stamp.

The stamp names the values, the user, and the version of what they saw.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from django.core import signing

from .optimistic_lock import BACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.http import HttpRequest

CONFIRMATION: Final = "_shown"
_SALT: Final = "django_at_jwt.admin.confirmation"
_MAX_AGE: Final = 3600
_NOT_REPEATED: Final = frozenset({"csrfmiddlewaretoken", CONFIRMATION, BACK})


def submitted_values(request: HttpRequest) -> Iterator[tuple[str, str]]:
    """Yield the names and values of the submitted form, to be submitted again."""
    for name, values in request.POST.lists():
        if name not in _NOT_REPEATED:
            for value in values:
                yield name, str(value)


def _stamp(request: HttpRequest, version: str, sent: Iterable[tuple[str, str]]) -> dict[str, Any]:
    values = json.dumps([request.path, *sorted(sent)])
    return {"user": str(request.user.pk), "sent": hashlib.sha256(values.encode()).hexdigest(), "version": version}


def is_confirmed(request: HttpRequest, version: str) -> bool:
    """Return whether the user reviewed exactly these values against the current data."""
    try:
        stamp = signing.loads(request.POST.get(CONFIRMATION, ""), salt=_SALT, max_age=_MAX_AGE)
    except signing.BadSignature:
        return False
    return bool(stamp == _stamp(request, version, submitted_values(request)))


def confirmation_context(
    request: HttpRequest, version: str, *, sent: list[tuple[str, str]] | None = None
) -> dict[str, Any]:
    """Return the template context of a review page that submits a form again.

    Args:
        version: what the user confirms in addition to the values, see :func:`is_confirmed`.
        sent: the values to submit; by default those of the request.
    """
    sent = list(submitted_values(request)) if sent is None else sent
    return {
        "sent": sent,
        "back": BACK,
        "confirmation_name": CONFIRMATION,
        "confirmation": signing.dumps(_stamp(request, version, sent), salt=_SALT),
    }
