"""Remote issuers whose tokens this project accepts: ``AT_JWT["ISSUERS"]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any, Final

from django_at_jwt.core.metadata import is_fetchable
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.subjects import UserMode

from .validators import (
    entry_name,
    got,
    one_of,
    optional,
    problems_among,
    read_algorithms,
    read_dotted_path,
    read_flag,
    read_leeway,
    read_positive_seconds,
    read_seconds,
    read_secret,
    read_text,
    read_texts,
    setting,
)

_REVOCATIONS: Final = (Revocation.OFFLINE, Revocation.DENY_LIST, Revocation.INTROSPECT)


def _audience(value: object) -> tuple[str, ...]:
    # Any string (RFC 7519 section 2): a remote issuer need not identify an API by a URL.
    audiences = (value,) if isinstance(value, str) else read_texts(value)
    if not all(audiences):
        raise ValueError(f"must not contain an empty string {got(value)}")
    return audiences


def _endpoint(value: object) -> str:
    if not is_fetchable(value, loopback_http=True):
        raise ValueError(f"must be an https URL {got(value)}")
    return value


@dataclass(frozen=True, kw_only=True)
class IssuerSettings:
    """An entry of ``AT_JWT["ISSUERS"]``: what is expected of the tokens of one remote issuer.

    Attributes:
        issuer: the issuer identifier, the only accepted value of ``iss``.
        audience: accepted audiences; ``aud`` must contain one of them, also in views that name an audience. Required:
            a system check rejects an issuer without one.
        algorithms: accepted algorithms; if empty, all that this app supports.
        leeway: allowed clock difference in seconds, at most 600, or ``None`` for ``AT_JWT["LEEWAY"]``.
        required_claims: claims that a token must have in addition to those of RFC 9068.
        revocation: ``OFFLINE``, ``DENY_LIST`` to read the issuer's document of revocations, or ``INTROSPECT`` to ask
            the issuer whether a token was revoked.
        deny_list_max_age: for ``DENY_LIST``: seconds for which the document is used before it is requested again.
        revocation_unavailable: for ``DENY_LIST``, if no document can be used: ``refuse``, ``accept`` or ``introspect``,
            or ``None`` for ``AT_JWT["REVOCATION_UNAVAILABLE"]``.
        introspection_endpoint: for introspection; ``None`` for that of the issuer's metadata.
        client_id: for introspection: the client with which this API authenticates at the issuer.
        client_secret: of that client.
        introspection_max_age: seconds for which the issuer's answer about a token is used.
        user_mode: how ``request.user`` is determined for its tokens.
        user_field: unique field of the user model that contains its subjects, or ``None`` for the table of subjects.
        fill_user: dotted path of a function that takes a new user and the claims and fills in the user's fields, for
            just-in-time provisioning.
        authorization_endpoint: for OpenAPI documents, which are generated without a request to the issuer.
        token_endpoint: for OpenAPI documents, as above.
        openid_connect: for OpenAPI documents: whether the issuer has an OpenID Connect discovery document.
    """

    issuer: str
    audience: tuple[str, ...] = setting((), _audience)
    algorithms: tuple[str, ...] = setting((), read_algorithms)
    leeway: float | None = setting(None, read_leeway)
    required_claims: tuple[str, ...] = setting((), read_texts)
    revocation: Revocation = setting(Revocation.OFFLINE, one_of(*_REVOCATIONS))
    deny_list_max_age: float = setting(5.0, read_positive_seconds)
    revocation_unavailable: str | None = setting(None, optional(one_of("refuse", "accept", "introspect")))
    introspection_endpoint: str | None = setting(None, optional(_endpoint))
    client_id: str | None = setting(None, optional(read_text))
    client_secret: str | None = setting(None, optional(read_secret), repr=False)
    introspection_max_age: float = setting(5.0, read_seconds)
    user_mode: UserMode = setting(UserMode.STATELESS, one_of(*UserMode))
    user_field: str | None = setting(None, optional(read_text))
    fill_user: str | None = setting(None, optional(read_dotted_path))
    authorization_endpoint: str | None = setting(None, optional(_endpoint))
    token_endpoint: str | None = setting(None, optional(_endpoint))
    openid_connect: bool = setting(False, read_flag)


_ISSUER_OPTIONS: Final[Mapping[str, Field[Any]]] = {
    each.name: each for each in fields(IssuerSettings) if each.name != "issuer"
}


def read_issuers(value: object) -> tuple[IssuerSettings, ...]:
    """Read ``AT_JWT["ISSUERS"]``, in which :func:`problems_in_issuers` has found no problem."""
    assert isinstance(value, Mapping)  # noqa: S101 - anything else has a problem
    return tuple(
        IssuerSettings(
            issuer=issuer, **{name: _ISSUER_OPTIONS[name].metadata["read"](options[name]) for name in options}
        )
        for issuer, options in value.items()
    )


def problems_in_issuers(value: object, where: str) -> Iterator[tuple[str, str]]:
    """Yield the problems of ``AT_JWT["ISSUERS"]``: pairs of a setting's name and the rest of the sentence."""
    if not isinstance(value, Mapping):
        yield where, f'must be a dict such as {{"https://as.example.com/o": {{"audience": ...}}}} {got(value)}'
        return
    for issuer, options in value.items():
        entry = entry_name(where, issuer)
        if not isinstance(issuer, str):
            yield entry, "must have an issuer URL as its key"
        elif not isinstance(options, Mapping):
            yield entry, f"must be a dict of the issuer's options {got(options)}"
        else:
            yield from problems_among(options, _ISSUER_OPTIONS, entry, unknown="is not an option of an issuer")
            if Revocation.INTROSPECT in (options.get("revocation"), options.get("revocation_unavailable")):
                missing = [f'"{name}"' for name in ("client_id", "client_secret") if not options.get(name)]
                if missing:
                    yield entry, f"needs a {' and a '.join(missing)}, to introspect tokens at the issuer"
            if options.get("authorization_endpoint") and not options.get("token_endpoint"):
                yield entry, 'needs a "token_endpoint" in addition to its "authorization_endpoint"'
