"""Resource servers: what an authorization server knows of the APIs that its tokens are for (RFC 8707, RFC 9068 §3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django_at_jwt.core.jose.algorithms import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

# What OpenID Connect Core §5.4 and §11 name, and the scopes of django-oauth-toolkit's own endpoints.
ISSUER_SCOPES: Final = ("openid", "profile", "email", "address", "phone", "offline_access", "introspection")


class TokenFormat(StrEnum):
    """What a resource server's access tokens look like: a signed JWT, or a random string that it introspects."""

    AT_JWT = "at+jwt"
    OPAQUE = "opaque"


def is_resource_identifier(value: object) -> bool:
    """Tell whether ``value`` may identify a resource server: absolute, with a host, no fragment (RFC 8707 §2)."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or "#" in value:
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.scheme and parts.hostname and parts.username is None and (parts.port is None or parts.port))
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceServerConfig:
    """A registered API.

    Attributes:
        identifier: an absolute URI: the ``resource`` that clients ask for and the ``aud`` of its tokens.
        name: for people; the identifier where nobody gave one.
        description: for people, one or two sentences.
        scopes: the scopes that mean something here, each with what it lets a client do, or an empty text for what the
            site says of the scope in general. ``None``: those that no resource server names as its own.
        lifetime: of its tokens, in seconds; ``None`` for the site's.
        algorithm: that its tokens are signed with; ``None`` for the site's default.
        token_format: a JWT, or an opaque token.
        client_ids: the only clients that may ask for it; ``None`` for all.
        isolated: it must be asked for by name, and its tokens are for nobody else.
        enabled: whether there are tokens for it at all.
    """

    identifier: str
    name: str = ""
    description: str = ""
    scopes: Mapping[str, str] | None = None
    lifetime: int | None = None
    algorithm: str | None = None
    token_format: TokenFormat = TokenFormat.AT_JWT
    client_ids: frozenset[str] | None = None
    isolated: bool = False
    enabled: bool = True

    def __str__(self) -> str:
        return self.name or self.identifier

    def is_open_to(self, client_id: str) -> bool:
        """Tell whether a client may have a token for this API."""
        return self.enabled and (self.client_ids is None or client_id in self.client_ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceServers:
    """All registered resource servers, as an immutable view.

    Attributes:
        by_identifier: every one, disabled ones too.
        default: the identifier of the one that a token is for where nobody asked for any, or ``None``.
        marked_default: the one that is meant to be it. An isolated one must be asked for by name, and so cannot be.
        issuer_scopes: scopes that mean something at the issuer's own endpoints, such as ``openid``. Each token may have
            them, and none says anything about an audience.
    """

    by_identifier: Mapping[str, ResourceServerConfig] = field(default_factory=dict)
    marked_default: str | None = None
    issuer_scopes: Collection[str] = ISSUER_SCOPES
    default: str | None = field(init=False)
    _claimed: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        marked = None if self.marked_default is None else self.by_identifier[self.marked_default]
        default = None if marked is None or marked.isolated else marked.identifier
        object.__setattr__(self, "default", default)
        claimed = (scope for server in self for scope in server.scopes or ())
        object.__setattr__(self, "_claimed", frozenset(claimed))

    @classmethod
    def of(
        cls,
        servers: Iterable[ResourceServerConfig],
        *,
        default: str | None = None,
        issuer_scopes: Collection[str] = ISSUER_SCOPES,
    ) -> ResourceServers:
        """Make the view of resource servers; the default one need not be among them."""
        by_identifier = {server.identifier: server for server in servers}
        if default is not None:
            by_identifier.setdefault(default, ResourceServerConfig(identifier=default))
        return cls(by_identifier=by_identifier, marked_default=default, issuer_scopes=frozenset(issuer_scopes))

    def __iter__(self) -> Iterator[ResourceServerConfig]:
        return iter(self.by_identifier.values())

    def available(self, identifier: str, *, client_id: str) -> ResourceServerConfig | None:
        """Give the resource server if there is an enabled one of this name that the client may ask for."""
        server = self.by_identifier.get(identifier)
        return server if server is not None and server.is_open_to(client_id) else None

    def has_meaning(self, scope: str, server: ResourceServerConfig) -> bool:
        """Tell whether a scope means something at a resource server (RFC 9068 §2.2.3).

        Where a resource server names no scopes, that is each scope that no other one names: a site whose first API
        never listed its scopes gets a second one that does, and the two keep apart.
        """
        if server.scopes is None:
            return scope not in self._claimed and scope not in self.issuer_scopes
        return scope in server.scopes


def declared_resource_servers(value: object) -> tuple[ResourceServerConfig, ...]:
    """Read what a site declares in its settings: identifiers alone, or each with a dict of what is said of it.

    The options are the attributes of :class:`ResourceServer` but for two: ``format`` is the token format by its name,
    and ``clients`` a list of client ids. ``scopes`` may be a list, or a dict with what each lets a client do.

    Raises:
        ValueError: a sentence that says what cannot be used, and what could be.
    """
    if isinstance(value, str) or not isinstance(value, (Mapping, Sequence)):
        raise ValueError("must be a dict of identifiers with their options, or a list of identifiers")
    entries = value.items() if isinstance(value, Mapping) else ((identifier, {}) for identifier in value)
    return tuple(read_resource_server(identifier, options) for identifier, options in entries)


def read_resource_server(identifier: object, options: object) -> ResourceServerConfig:
    """Read one resource server: its identifier, and a dict with the options of :func:`declared_resource_servers`.

    Raises:
        ValueError: as there.
    """
    if not isinstance(identifier, str) or not is_resource_identifier(identifier):
        raise ValueError(
            "each entry must be an absolute URI without a fragment, such as 'https://api.example.com/', and "
            f"{identifier!r} is none"
        )
    if not isinstance(options, Mapping):
        raise ValueError(f"has no dict of options for {identifier}")
    values: dict[str, Any] = {}
    for name, option in options.items():
        if name not in _OPTIONS:
            raise ValueError(f"has {name!r} for {identifier}, which is no option; there are {', '.join(_OPTIONS)}")
        attribute, read = _OPTIONS[name]
        try:
            values[attribute] = read(option)
        except ValueError as error:
            raise ValueError(f"has a {name!r} for {identifier} that {error}") from None
    return ResourceServerConfig(identifier=identifier, **values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is no text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither True nor False")
    return value


_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def read_scopes(value: object) -> Mapping[str, str]:
    """Read scopes: a list of them, or a dict with a text for each.

    Raises:
        ValueError: it is neither, or one cannot be a scope (RFC 6749 §3.3).
    """
    if isinstance(value, str) or not isinstance(value, (Mapping, Sequence)):
        raise ValueError("is neither a dict of scopes with their descriptions nor a list of scopes")
    texts = value.items() if isinstance(value, Mapping) else ((scope, "") for scope in value)
    scopes: dict[str, str] = {}
    for scope, text in texts:
        if not isinstance(scope, str) or not _SCOPE.fullmatch(scope):
            raise ValueError(
                f"has {scope!r}, which cannot be a scope: printable ASCII without space, quote and backslash"
            )
        if not isinstance(text, str):
            raise ValueError(f"has no text for the scope {scope}")
        scopes[scope] = text
    return scopes


def _lifetime(value: object) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 1 or seconds != int(seconds):
        raise ValueError("is neither a timedelta nor a whole number of seconds above 0")
    return int(seconds)


def _algorithm(value: object) -> str:
    if not isinstance(value, str) or value not in ALGORITHMS:
        raise ValueError(f"is none of {', '.join(ALGORITHMS)}")
    return value


def _format(value: object) -> TokenFormat:
    try:
        return TokenFormat(str(value))
    except ValueError:
        raise ValueError(f"is none of {', '.join(TokenFormat)}") from None


def read_client_ids(value: object) -> frozenset[str]:
    """Read a list of client ids.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise ValueError("is no list of client ids")
    return frozenset(value)


_OPTIONS: Final[Mapping[str, tuple[str, Callable[[object], Any]]]] = {
    "name": ("name", _text),
    "description": ("description", _text),
    "scopes": ("scopes", read_scopes),
    "lifetime": ("lifetime", _lifetime),
    "algorithm": ("algorithm", _algorithm),
    "format": ("token_format", _format),
    "clients": ("client_ids", read_client_ids),
    "isolated": ("isolated", _flag),
    "enabled": ("enabled", _flag),
}
