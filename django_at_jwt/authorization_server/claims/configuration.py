"""The claim mappers and resource servers that determine a token's claims, as stored or with a pending change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from django_at_jwt.authorization_server.resource_servers import registered_or_disabled, with_declared
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models import ResourceServer as ResourceServerRow
from django_at_jwt.models.primary import primary_rows

from .registry import compile_site_rules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from django_at_jwt.core.claims import CompiledMappers, MapperRule
    from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers


@dataclass(frozen=True, kw_only=True)
class ClaimConfiguration:
    """The stored rules and resource servers, without those that the settings declare.

    ``default`` is the identifier of the row that is the default resource.
    """

    rules: tuple[MapperRule, ...] = ()
    servers: tuple[ResourceServerConfig, ...] = ()
    default: str | None = None

    @classmethod
    def stored(cls) -> Self:
        """Return the stored configuration, read from the primary database."""
        servers = list(primary_rows(ResourceServerRow).order_by("pk"))
        return cls(
            rules=tuple(row.rule_or_broken() for row in primary_rows(ClaimMapper)),
            servers=tuple(registered_or_disabled(row) for row in servers),
            default=next((row.identifier for row in servers if row.is_default), None),
        )

    def with_rules(self, rules: Iterable[MapperRule], *, in_place_of: Collection[str] = ()) -> Self:
        """Return a copy with these rules added and the rules with the keys ``in_place_of`` removed."""
        return replace(self, rules=(*(rule for rule in self.rules if rule.key not in in_place_of), *rules))

    def with_server(self, row: ResourceServerRow | None, *, in_place_of: Collection[str] = ()) -> Self:
        """Return a copy with this resource server added and those with the identifiers ``in_place_of`` removed."""
        servers = [server for server in self.servers if server.identifier not in in_place_of]
        default = None if self.default in in_place_of else self.default
        if row is not None:
            servers.append(registered_or_disabled(row))
            default = row.identifier if row.is_default else default
        return replace(self, servers=tuple(servers), default=default)

    @cached_property
    def mappers(self) -> CompiledMappers:
        """The compiled rules, including those that the settings declare."""
        return compile_site_rules(self.rules)

    @cached_property
    def resource_servers(self) -> ResourceServers:
        """The resource servers, including those that the settings declare."""
        return with_declared(self.servers, default=self.default)

    def changed_rules(self, after: ClaimConfiguration) -> Iterator[tuple[MapperRule | None, MapperRule | None]]:
        """Yield the rules that differ, as pairs of before and after; ``None`` if absent."""
        old, new = ({rule.key: rule for rule in each.rules} for each in (self, after))
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                yield old.get(key), new.get(key)

    def changed_servers(self, after: ClaimConfiguration) -> frozenset[str]:
        """Return the identifiers of the resource servers that differ, and of both defaults if the default differs."""
        old, new = ({server.identifier: server for server in each.resource_servers} for each in (self, after))
        changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        if self.resource_servers.default != after.resource_servers.default:
            changed |= {self.resource_servers.default or "", after.resource_servers.default or ""} - {""}
        return frozenset(changed)
