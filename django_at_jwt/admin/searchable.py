"""What the forms of the admin search for: clients, APIs and groups, each stored by a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.core.quotation import is_storable
from django_at_jwt.models.mappable import groups_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import QuerySet


class Searchable(Protocol):
    """Things with a value, which is stored, and a name, which can be empty or the value itself.

    Attributes:
        missing_label: the label of a value that no longer exists, with the placeholder ``value``.
        single_prompt: the label of the text field for one value, in browsers without JavaScript.
        multiple_prompt: the same for several values, one per line.
    """

    missing_label: Any
    single_prompt: Any
    multiple_prompt: Any

    def names(self, values: Iterable[str]) -> dict[str, str]:
        """Return the names of those values that exist."""

    def matching(self, words: Iterable[str]) -> Sequence[tuple[str, str]] | QuerySet[Any, tuple[str, str]]:
        """Return, in a fixed order, the values and names that contain all words in any case."""


class Clients:
    """Clients by client id. Lookups of DOT's application model can limit them."""

    missing_label = _("%(value)s (no such client)")
    single_prompt = _("Another client ID")
    multiple_prompt = _("More client IDs, one per line")

    def __init__(self, **conditions: Any) -> None:
        self._conditions = conditions

    def _rows(self) -> Any:
        return get_application_model()._default_manager.filter(**self._conditions)

    def names(self, values: Iterable[str]) -> dict[str, str]:
        """Return the names of those clients that exist."""
        rows = self._rows().filter(client_id__in=[value for value in values if is_storable(value)])
        return dict(rows.values_list("client_id", "name"))

    def matching(self, words: Iterable[str]) -> QuerySet[Any, tuple[str, str]]:
        """Return the clients whose client ids or names contain all words."""
        rows = self._rows().order_by("name", "client_id")
        for word in words:
            rows = rows.filter(Q(name__icontains=word) | Q(client_id__icontains=word))
        found: QuerySet[Any, tuple[str, str]] = rows.values_list("client_id", "name")
        return found


class ResourceServers:
    """Resource servers by identifier: those in the database and those declared in the settings."""

    missing_label = _("%(value)s (no such API)")
    single_prompt = _("Another API identifier")
    multiple_prompt = _("More API identifiers, one per line")

    def names(self, values: Iterable[str]) -> dict[str, str]:
        """Return the names of those resource servers that exist."""
        servers = registry.latest().by_identifier
        return {value: servers[value].name for value in values if value in servers}

    def matching(self, words: Iterable[str]) -> list[tuple[str, str]]:
        """Return the resource servers whose identifiers or names contain all words."""
        wanted = [word.casefold() for word in words]
        found = [(server.identifier, server.name) for server in registry.latest()]
        texts = {server: f"{server[1]}\n{server[0]}".casefold() for server in found}
        return sorted((each for each in found if all(word in texts[each] for word in wanted)), key=texts.__getitem__)


class Groups:
    """The groups of users, by name."""

    missing_label = _("%(value)s (no such group)")
    single_prompt = _("Another group")
    multiple_prompt = _("More groups, one per line")

    def _rows(self) -> Any:
        field = groups_field()
        return None if field is None else field.remote_field.model._default_manager

    def names(self, values: Iterable[str]) -> dict[str, str]:
        """Return those groups that exist."""
        rows = self._rows()
        if rows is None:
            return {}
        found = rows.filter(name__in=[value for value in values if is_storable(value)]).values_list("name", flat=True)
        return {name: name for name in found}

    def matching(self, words: Iterable[str]) -> Sequence[tuple[str, str]] | QuerySet[Any, tuple[str, str]]:
        """Return the groups whose names contain all words."""
        rows = self._rows()
        if rows is None:
            return []
        rows = rows.order_by("name")
        for word in words:
            rows = rows.filter(name__icontains=word)
        found: QuerySet[Any, tuple[str, str]] = rows.values_list("name", "name")
        return found
