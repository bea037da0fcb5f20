"""What decides about the claims of tokens, as it is and as it would be: claim mappers and resource servers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from django.db import router

from django_at_jwt.authorization_server.resource_servers import registered_or_disabled, with_declared
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models import ResourceServer as ResourceServerRow

from .registry import compile_site_rules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from django_at_jwt.core.claims import CompiledMappers, MapperRule
    from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimConfiguration:
    """The rules and resource servers of the rows, without what the settings declare.

    ``default`` is the identifier of the row that is the default.
    """

    rules: tuple[MapperRule, ...] = ()
    servers: tuple[ResourceServerConfig, ...] = ()
    default: str | None = None

    @classmethod
    def stored(cls) -> Self:
        """Read how it is now, on the primary database."""
        mappers = ClaimMapper.objects.using(router.db_for_write(ClaimMapper))
        servers = list(ResourceServerRow.objects.using(router.db_for_write(ResourceServerRow)).order_by("pk"))
        return cls(
            rules=tuple(row.rule_or_broken() for row in mappers),
            servers=tuple(registered_or_disabled(row) for row in servers),
            default=next((row.identifier for row in servers if row.is_default), None),
        )

    def with_rules(self, rules: Iterable[MapperRule], *, in_place_of: Collection[str] = ()) -> Self:
        """Give the arrangement with these rules, and without those of some keys."""
        return replace(self, rules=(*(rule for rule in self.rules if rule.key not in in_place_of), *rules))

    def with_server(self, row: ResourceServerRow | None, *, in_place_of: Collection[str] = ()) -> Self:
        """Give the arrangement with this resource server, and without those of some identifiers."""
        servers = [server for server in self.servers if server.identifier not in in_place_of]
        default = None if self.default in in_place_of else self.default
        if row is not None:
            servers.append(registered_or_disabled(row))
            default = row.identifier if row.is_default else default
        return replace(self, servers=tuple(servers), default=default)

    @property
    def mappers(self) -> CompiledMappers:
        """The rules together with those that the settings declare, ready for use."""
        return compile_site_rules(self.rules)

    @property
    def resource_servers(self) -> ResourceServers:
        """The resource servers together with those that the settings declare."""
        return with_declared(self.servers, default=self.default)

    def rules_unlike(self, other: ClaimConfiguration) -> Iterator[tuple[MapperRule | None, MapperRule | None]]:
        """Give the rules that differ, each as it is here and there."""
        here, there = ({rule.key: rule for rule in each.rules} for each in (self, other))
        for key in sorted(here.keys() | there.keys()):
            if here.get(key) != there.get(key):
                yield here.get(key), there.get(key)

    def servers_unlike(self, other: ClaimConfiguration) -> frozenset[str]:
        """Give the identifiers of the resource servers that differ."""
        here, there = ({each.identifier: each for each in which.resource_servers} for which in (self, other))
        unlike = {key for key in here.keys() | there.keys() if here.get(key) != there.get(key)}
        if self.resource_servers.default != other.resource_servers.default:
            unlike |= {self.resource_servers.default or "", other.resource_servers.default or ""} - {""}
        return frozenset(unlike)
