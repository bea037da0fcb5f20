"""Conditions: which tokens a mapper applies to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class ConditionName(StrEnum):
    """The conditions, in the order in which they are checked and displayed."""

    TOKENS_FOR = "tokens_for"
    CLIENT = "clients"
    SCOPE = "scopes"
    RESOURCE_SERVER = "resource_servers"
    GRANT = "grants"
    USER_GROUP = "groups"


class Match(StrEnum):
    """Whether any or all of the scopes must be granted."""

    ANY = "any"
    ALL = "all"


class TokensFor(StrEnum):
    """Tokens of users, or of clients that act for themselves."""

    USERS = "users"
    MACHINES = "machines"


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenFacts:
    """The facts about a token that conditions check.

    Attributes:
        grant: the grant type of the request: ``refresh_token`` for a refreshed token, whatever the original grant.
        resource_servers: the identifiers in the token's audience.
    """

    client_id: str
    scopes: Collection[str]
    resource_servers: Collection[str]
    grant: str
    is_machine: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """Conditions, all of which must be met. A condition without values is always met.

    ``resource_servers`` must contain *every* audience of the token, since each of them can read the claim. Of
    ``clients``, ``grants`` and ``groups`` one must match.
    """

    tokens_for: TokensFor | None = None
    clients: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    scopes_match: Match = Match.ANY
    resource_servers: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def parts(self) -> tuple[tuple[ConditionName, tuple[str, ...]], ...]:
        """Return the conditions that have values, each with its values, in the order of display."""
        whose = () if self.tokens_for is None else (self.tokens_for.value,)
        all_of_them = (
            (ConditionName.TOKENS_FOR, whose),
            (ConditionName.CLIENT, self.clients),
            (ConditionName.SCOPE, self.scopes),
            (ConditionName.RESOURCE_SERVER, self.resource_servers),
            (ConditionName.GRANT, self.grants),
            (ConditionName.USER_GROUP, self.groups),
        )
        return tuple((name, values) for name, values in all_of_them if values)


class CompiledConditions:
    """Conditions, prepared for checking many tokens."""

    __slots__ = ("_all_scopes", "_clients", "_grants", "_groups", "_is_machine", "_resource_servers", "_scopes")

    def __init__(self, conditions: Conditions) -> None:
        self._is_machine = None if conditions.tokens_for is None else conditions.tokens_for is TokensFor.MACHINES
        self._clients = frozenset(conditions.clients)
        self._scopes = frozenset(conditions.scopes)
        self._all_scopes = conditions.scopes_match is Match.ALL
        self._resource_servers = frozenset(conditions.resource_servers)
        self._grants = frozenset(conditions.grants)
        self._groups = frozenset(conditions.groups)

    def first_unmet(self, facts: TokenFacts) -> ConditionName | None:  # noqa: PLR0911 - one for each condition
        """Return the first condition that a token does not meet, or ``None``.

        Not checked: the user's groups; see :meth:`groups_are_met`.
        """
        if self._is_machine is not None and self._is_machine is not facts.is_machine:
            return ConditionName.TOKENS_FOR
        if self._clients and facts.client_id not in self._clients:
            return ConditionName.CLIENT
        if self._scopes and not self._scopes_are_met(facts.scopes):
            return ConditionName.SCOPE
        audience = facts.resource_servers
        if self._resource_servers and not (audience and self._resource_servers.issuperset(audience)):
            return ConditionName.RESOURCE_SERVER
        if self._grants and facts.grant not in self._grants:
            return ConditionName.GRANT
        if self._groups and facts.is_machine:
            return ConditionName.USER_GROUP
        return None

    def _scopes_are_met(self, granted: Collection[str]) -> bool:
        if self._all_scopes:
            return self._scopes.issubset(granted)
        return not self._scopes.isdisjoint(granted)

    def groups_are_met(self, groups: Collection[str]) -> bool:
        """Return whether the user is in one of the groups, or there is no condition on groups."""
        return not self._groups or not self._groups.isdisjoint(groups)
