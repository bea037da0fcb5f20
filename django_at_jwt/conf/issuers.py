"""The issuers in other projects whose tokens this one accepts: ``AT_JWT["ISSUERS"]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any, Final

from django_at_jwt.core.metadata import is_fetchable
from django_at_jwt.core.subjects import UserMode

from .validators import (
    problems_among,
    read_algorithms,
    read_leeway,
    read_optional_dotted_path,
    read_optional_text,
    read_texts,
    setting,
)


def _audience(value: object) -> tuple[str, ...]:
    # A string or a URI (RFC 7519 §2): what another project's issuer calls an API need not be a URL.
    audiences = (value,) if isinstance(value, str) else read_texts(value)
    if not all(audiences):
        raise ValueError("must not have an empty string")
    return audiences


def _user_mode(value: object) -> UserMode:
    try:
        return UserMode(str(value))
    except ValueError:
        raise ValueError(f"must be one of {', '.join(UserMode)}") from None


def _endpoint(value: object) -> str | None:
    if value is not None and not is_fetchable(value, loopback_http=True):
        raise ValueError("must be an https URL")
    return None if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class IssuerSettings:
    """What is expected of one issuer whose tokens this project accepts: an entry of ``AT_JWT["ISSUERS"]``.

    Attributes:
        issuer: its identifier, the one value of ``iss``.
        audience: what ``aud`` must hold one of, also where a view names one. A check refuses an issuer without any.
        algorithms: the only ones to accept; none for all that this app knows.
        leeway: seconds by which clocks may differ, 600 at the most, or ``None`` for the project's setting.
        required_claims: claims that a token must have beside those of RFC 9068.
        user_mode: whom ``request.user`` is for its tokens.
        user_field: the unique field of the user model that holds its subjects, or ``None`` for the table of subjects.
        fill_user: dotted path of a function of a new user and the claims, for users that are made at first sight.
        authorization_endpoint: where its users log in, for OpenAPI documents, which are written without asking anybody.
        token_endpoint: where it gives tokens, for the same.
    """

    issuer: str
    audience: tuple[str, ...] = setting((), _audience)
    algorithms: tuple[str, ...] = setting((), read_algorithms)
    leeway: float | None = setting(None, read_leeway)
    required_claims: tuple[str, ...] = setting((), read_texts)
    user_mode: UserMode = setting(UserMode.STATELESS, _user_mode)
    user_field: str | None = setting(None, read_optional_text)
    fill_user: str | None = setting(None, read_optional_dotted_path)
    authorization_endpoint: str | None = setting(None, _endpoint)
    token_endpoint: str | None = setting(None, _endpoint)


_ISSUER_OPTIONS: Final[Mapping[str, Field[Any]]] = {
    each.name: each for each in fields(IssuerSettings) if each.name != "issuer"
}


def read_issuers(value: object) -> tuple[IssuerSettings, ...]:
    """Read ``AT_JWT["ISSUERS"]``.

    Raises:
        ValueError: the first problem.
    """
    for name, problem in problems_in_issuers(value, "it"):
        raise ValueError(f"cannot be used: {name} {problem}")
    assert isinstance(value, Mapping)  # noqa: S101 - anything else has a problem
    return tuple(
        IssuerSettings(
            issuer=issuer, **{name: _ISSUER_OPTIONS[name].metadata["read"](options[name]) for name in options}
        )
        for issuer, options in value.items()
    )


def problems_in_issuers(value: object, where: str) -> Iterator[tuple[str, str]]:
    """Give what is wrong with the issuers: pairs of a setting's name and a sentence."""
    if not isinstance(value, Mapping):
        yield where, "must be a dict of issuers, such as {'https://as.example.com/o': {'audience': ...}}"
        return
    for issuer, options in value.items():
        if not isinstance(issuer, str) or not isinstance(options, Mapping):
            yield f"{where}[{issuer!r}]", "must be an issuer's URL, and a dict of its options"
        else:
            yield from problems_among(
                options, _ISSUER_OPTIONS, f"{where}[{issuer!r}]", unknown="is no option of an issuer"
            )
            if options.get("authorization_endpoint") and not options.get("token_endpoint"):
                yield f"{where}[{issuer!r}]", "has an 'authorization_endpoint', and needs a 'token_endpoint' beside it"
