"""Resource servers: the APIs for which an authorization server issues tokens (RFC 8707, RFC 9068 section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeGuard
from urllib.parse import urlsplit

from django_at_jwt.core.jose.algorithms import ALGORITHMS

from .bearer import is_scope
from .quotation import is_storable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

LONGEST_IDENTIFIER: Final = 255
"""The most characters of an identifier. Revocations name APIs by it, and their readers refuse longer names."""

_DEFAULT_PORTS: Final = {"https": "443", "http": "80"}
# The scopes of OpenID Connect Core sections 5.4 and 11, and those of django-oauth-toolkit's own endpoints.
ISSUER_SCOPES: Final = ("openid", "profile", "email", "address", "phone", "offline_access", "introspection")


class TokenFormat(StrEnum):
    """The format of a resource server's access tokens: a signed JWT, or an opaque string that it introspects."""

    AT_JWT = "at+jwt"
    OPAQUE = "opaque"


def is_resource_identifier(value: object) -> TypeGuard[str]:
    """Return whether ``value`` can identify an API: an absolute URI with host, no fragment (RFC 8707 section 2)."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or "#" in value:
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.scheme and parts.hostname and parts.username is None and (parts.port is None or parts.port))
    except ValueError:
        return False


def canonical_identifier(identifier: str) -> str:
    """Return the form that all equivalent identifiers have in common (RFC 3986 sections 6.2.2.1 and 6.2.3).

    Scheme and host are in lower case. With http and https, an empty path gets a trailing slash, and the default port
    is left out. Everything else is kept as it is: the path, the query, and percent-encoded characters in them.

    Only the authorization server compares by it, and only what clients request. In tokens and metadata, an identifier
    is always the registered one.

    Args:
        identifier: one for which :func:`is_resource_identifier` is true.
    """
    scheme, _, rest = identifier.partition("://")
    scheme = scheme.lower()
    length = next((place for place, character in enumerate(rest) if character in "/?"), len(rest))
    authority, path = rest[:length].lower(), rest[length:]
    if scheme in _DEFAULT_PORTS:
        host, colon, port = authority.rpartition(":")
        # The last colon of an IPv6 address is inside the brackets.
        if colon and port in {"", _DEFAULT_PORTS[scheme]}:
            authority = host
        if not path.startswith("/"):
            path = f"/{path}"
    return f"{scheme}://{authority}{path}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceServerConfig:
    """A registered API.

    Attributes:
        identifier: an absolute URI: the ``resource`` that clients request and the ``aud`` of its tokens.
        name: for display; defaults to the identifier.
        description: for display, one or two sentences.
        scopes: its scopes, each with a description, or an empty string to use the site's description of the scope.
            ``None``: every scope that no resource server declares.
        lifetime: of its tokens, in seconds; ``None`` for the site's default.
        algorithm: signs its tokens; ``None`` for the site's default.
        token_format: a JWT, or an opaque token.
        client_ids: the only clients that may request it; ``None`` for all that an administrator registered.
        registered_clients: whether all clients that registered themselves may request it (RFC 7591, or by a client ID
            metadata document). Otherwise only those in ``client_ids`` may.
        introspection_clients: the clients that may introspect its tokens; the token's own client always may.
        isolated: whether clients must request it by name, in a token for no other resource server.
        enabled: whether tokens are issued for it.
        aliases: its former identifiers, which requests may still name. The tokens are for ``identifier``.
    """

    identifier: str
    name: str = ""
    description: str = ""
    scopes: Mapping[str, str] | None = None
    lifetime: int | None = None
    algorithm: str | None = None
    token_format: TokenFormat = TokenFormat.AT_JWT
    client_ids: frozenset[str] | None = None
    introspection_clients: frozenset[str] = frozenset()
    isolated: bool = False
    enabled: bool = True
    aliases: tuple[str, ...] = ()
    registered_clients: bool = False

    def __str__(self) -> str:
        return self.name or self.identifier

    @property
    def names(self) -> tuple[str, ...]:
        """The identifier and the former ones."""
        return (self.identifier, *self.aliases)

    def is_open_to(self, client_id: str) -> bool:
        """Return whether a client may get a token for this API.

        Not checked: whether the client registered itself; see :meth:`for_registered_clients`.
        """
        return self.enabled and (self.client_ids is None or client_id in self.client_ids)

    def for_registered_clients(self) -> ResourceServerConfig:
        """Return the API with the access that it grants to clients that registered themselves.

        "Open to all clients" does not include them; ``registered_clients`` does.
        """
        return replace(self, client_ids=None if self.registered_clients else self.client_ids or frozenset())


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceServers:
    """All registered resource servers. Immutable.

    Attributes:
        by_identifier: all of them, including disabled ones.
        default: the identifier of the audience of a token if the request implies none, or ``None``.
        marked_default: the configured default. It is not used if it is isolated, since an isolated resource server must
            be requested by name.
        issuer_scopes: scopes of the issuer's own endpoints, such as ``openid``. Every token may have them, and they do
            not imply an audience.
    """

    by_identifier: Mapping[str, ResourceServerConfig] = field(default_factory=dict)
    marked_default: str | None = None
    issuer_scopes: Collection[str] = ISSUER_SCOPES
    default: str | None = field(init=False)
    _claimed: frozenset[str] = field(init=False, repr=False)
    _by_canonical: Mapping[str, ResourceServerConfig] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        marked = None if self.marked_default is None else self.by_identifier[self.marked_default]
        default = None if marked is None or marked.isolated else marked.identifier
        object.__setattr__(self, "default", default)
        claimed = (scope for server in self for scope in server.scopes or ())
        object.__setattr__(self, "_claimed", frozenset(claimed))
        by_canonical: dict[str, ResourceServerConfig] = {}
        # An identifier in use takes precedence over a former one.
        for server in self:
            by_canonical.setdefault(_canonical(server.identifier), server)
        for server in self:
            for alias in server.aliases:
                by_canonical.setdefault(_canonical(alias), server)
        object.__setattr__(self, "_by_canonical", by_canonical)

    @classmethod
    def of(
        cls,
        servers: Iterable[ResourceServerConfig],
        *,
        default: str | None = None,
        issuer_scopes: Collection[str] = ISSUER_SCOPES,
    ) -> ResourceServers:
        """Return the registry of resource servers; the default is added if it is missing."""
        by_identifier = {server.identifier: server for server in servers}
        if default is not None:
            by_identifier.setdefault(default, ResourceServerConfig(identifier=default))
        return cls(by_identifier=by_identifier, marked_default=default, issuer_scopes=frozenset(issuer_scopes))

    def __iter__(self) -> Iterator[ResourceServerConfig]:
        return iter(self.by_identifier.values())

    def named(self, name: str) -> ResourceServerConfig | None:
        """Return the resource server that a request names, or ``None``.

        A name is an identifier, a former one, or equivalent to one of these (:func:`canonical_identifier`).
        """
        exact = self.by_identifier.get(name)
        return self._by_canonical.get(_canonical(name)) if exact is None else exact

    def registered(self, names: Iterable[str]) -> list[str]:
        """Return the registered identifiers of resource servers, without duplicates. Unknown names are kept."""
        found = ((name, self.named(name)) for name in names)
        return list(dict.fromkeys(name if server is None else server.identifier for name, server in found))

    def or_default(self, resources: Iterable[str] | None) -> list[str]:
        """Return the resources of a stored row, or the default if it has none: it is from before this app.

        The list is empty if there is no default resource either.
        """
        return list(resources or ()) or ([] if self.default is None else [self.default])

    def collisions(self) -> Iterator[tuple[str, str]]:
        """Yield each name that is equivalent to another one, with the one that takes precedence."""
        seen: dict[str, str] = {}
        for name in (*self.by_identifier, *(alias for server in self for alias in server.aliases)):
            canonical = _canonical(name)
            if canonical in seen:
                yield name, seen[canonical]
            else:
                seen[canonical] = name

    def for_registered_clients(self) -> ResourceServers:
        """Return the resource servers with the access that they grant to clients that registered themselves."""
        servers = {identifier: server.for_registered_clients() for identifier, server in self.by_identifier.items()}
        return replace(self, by_identifier=servers)

    def has_meaning(self, scope: str, server: ResourceServerConfig) -> bool:
        """Return whether a scope has a meaning at a resource server (RFC 9068 section 2.2.3).

        A resource server that declares no scopes has every scope that no resource server declares. So a first API that
        never listed its scopes stays apart from a second one that does.
        """
        if server.scopes is None:
            return scope not in self._claimed and scope not in self.issuer_scopes
        return scope in server.scopes


def _canonical(name: str) -> str:
    # Rows and grants from before this app may hold anything.
    return canonical_identifier(name) if is_resource_identifier(name) else name


def declared_resource_servers(value: object) -> tuple[ResourceServerConfig, ...]:
    """Read resource servers declared in settings: a list of identifiers, or a dict with options for each.

    The options are the attributes of :class:`ResourceServerConfig` except two: ``format`` is the name of the token
    format, and ``clients`` a list of client ids. ``scopes`` may be a list, or a dict with descriptions.

    Raises:
        ValueError: the rest of a sentence that begins with the setting: what is wrong, and what is allowed.
    """
    if isinstance(value, str) or not isinstance(value, (Mapping, Sequence)):
        raise ValueError("must be a dict of identifiers with their options, or a list of identifiers")
    entries = value.items() if isinstance(value, Mapping) else ((identifier, {}) for identifier in value)
    servers = tuple(read_resource_server(identifier, options) for identifier, options in entries)
    for name, other in ResourceServers.of(servers).collisions():
        if name == other:
            raise ValueError(f"has {name!r} as an identifier or alias more than once")
        raise ValueError(f"has {name!r} and {other!r}, which are the same identifier (RFC 3986 section 6.2.3)")
    return servers


def read_resource_server(identifier: object, options: object) -> ResourceServerConfig:
    """Read one resource server: its identifier, and a dict with the options of :func:`declared_resource_servers`.

    Raises:
        ValueError: as there.
    """
    if not is_resource_identifier(identifier):
        raise ValueError(
            "must have absolute URIs without a fragment as identifiers, such as 'https://api.example.com/' (got "
            f"{identifier!r})"
        )
    check_length(identifier)
    if not isinstance(options, Mapping):
        raise ValueError(f"must have a dict of options for {identifier}")
    values: dict[str, Any] = {}
    for name, option in options.items():
        if name not in _OPTIONS:
            raise ValueError(f"has an unknown option {name!r} for {identifier}; options are {', '.join(_OPTIONS)}")
        attribute, read = _OPTIONS[name]
        try:
            values[attribute] = read(option)
        except ValueError as error:
            raise ValueError(f"has a {name!r} for {identifier} that {error}") from None
    return ResourceServerConfig(identifier=identifier, **values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a string")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither True nor False")
    return value


def read_scopes(value: object) -> Mapping[str, str]:
    """Read scopes: a list, or a dict with a description for each.

    Raises:
        ValueError: it is neither, has an invalid scope (RFC 6749 section 3.3), or has a description that cannot be
            stored.
    """
    if isinstance(value, str) or not isinstance(value, (Mapping, Sequence)):
        raise ValueError("is neither a dict of scopes with their descriptions nor a list of scopes")
    texts = value.items() if isinstance(value, Mapping) else ((scope, "") for scope in value)
    scopes: dict[str, str] = {}
    for scope, text in texts:
        if not isinstance(scope, str) or not is_scope(scope):
            raise ValueError(
                f"has an invalid scope {scope!r}: scopes are printable ASCII without space, quote and backslash"
            )
        if not isinstance(text, str):
            raise ValueError(f"has a description of the scope {scope} that is not a string")
        if not is_storable(text):
            raise ValueError(f"has a description of the scope {scope} with NUL characters or lone surrogates")
        scopes[scope] = text
    return scopes


def _lifetime(value: object) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 1 or seconds != int(seconds):
        raise ValueError("is not a timedelta or a positive integer of seconds")
    return int(seconds)


def _algorithm(value: object) -> str:
    if not isinstance(value, str) or value not in ALGORITHMS:
        raise ValueError(f"is not one of {', '.join(ALGORITHMS)}")
    return value


def _format(value: object) -> TokenFormat:
    try:
        return TokenFormat(str(value))
    except ValueError:
        raise ValueError(f"is not one of {', '.join(TokenFormat)}") from None


def read_client_ids(value: object) -> frozenset[str]:
    """Read a list of client ids.

    Raises:
        ValueError: it is not a list of strings.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise ValueError("is not a list of client ids")
    return frozenset(value)


def read_aliases(value: object) -> tuple[str, ...]:
    """Read the former identifiers of a resource server, a list.

    Raises:
        ValueError: it is not a list of identifiers.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError("is not a list of identifiers")
    for each in value:
        if not is_resource_identifier(each):
            raise ValueError(f"has {each!r}, which is not an absolute URI without a fragment")
        check_length(each)
    return tuple(value)


def check_length(identifier: str) -> None:
    """Check the length of an identifier.

    Raises:
        ValueError: the rest of a sentence: it is too long.
    """
    if len(identifier) > LONGEST_IDENTIFIER:
        raise ValueError(f"has an identifier of more than {LONGEST_IDENTIFIER} characters: {identifier[:60]}...")


_OPTIONS: Final[Mapping[str, tuple[str, Callable[[object], Any]]]] = {
    "name": ("name", _text),
    "description": ("description", _text),
    "scopes": ("scopes", read_scopes),
    "lifetime": ("lifetime", _lifetime),
    "algorithm": ("algorithm", _algorithm),
    "format": ("token_format", _format),
    "clients": ("client_ids", read_client_ids),
    "registered_clients": ("registered_clients", _flag),
    "introspection_clients": ("introspection_clients", read_client_ids),
    "isolated": ("isolated", _flag),
    "enabled": ("enabled", _flag),
    "aliases": ("aliases", read_aliases),
}
