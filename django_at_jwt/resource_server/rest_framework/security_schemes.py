"""Names of security schemes in OpenAPI documents, and the login that a view requires, which is part of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .permissions import RequiresAuthentication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rest_framework.views import APIView

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9.-]")


def required_login(view: APIView) -> str:
    """Return the parameters of the login that a view may require, as in a challenge, or an empty string."""
    required = [each for permission in view.get_permissions() for each in _logins(permission)]
    return " ".join(
        part
        for each in required
        for part in (*each.acr_values, *(() if each.max_age is None else (f"max_age={each.max_age}",)))
    )


def _logins(permission: object) -> Iterator[RequiresAuthentication]:
    if isinstance(permission, RequiresAuthentication):
        yield permission
    for name in ("op1", "op2"):
        operand = getattr(permission, name, None)
        if operand is not None:
            yield from _logins(operand)


def login_suffix(login: str) -> str:
    """Return what a required login adds to the name of a scheme: nothing for an empty string."""
    return f"_with_{escaped(login)}" if login else ""


def escaped(text: str) -> str:
    """Escape a URL or another text to the characters allowed in a name, without mapping two texts to one name."""
    return _NOT_IN_A_NAME.sub(
        lambda found: "__" if found[0] == "/" else "".join(f"_{byte:02X}" for byte in found[0].encode()),
        text.removeprefix("https://"),
    )
