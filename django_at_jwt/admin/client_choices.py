"""Clients as choices of a form field. They are stored by their client ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.widgets import FilteredSelectMultiple
from django.utils.html import format_html
from django.utils.translation import gettext
from oauth2_provider.models import get_application_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.utils.safestring import SafeString


class ClientsWidget(FilteredSelectMultiple):
    """Django's two lists in a wrapper element: its script inserts them as the first child of their parent."""

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        """Return the HTML; without JavaScript it is one list with multiple choices."""
        return format_html('<div class="related-widget-wrapper">{}</div>', super().render(*args, **kwargs))


def client_choices(chosen: Iterable[str] = (), **conditions: Any) -> list[tuple[str, str]]:
    """Return all clients as choices.

    Args:
        chosen: client ids that stay listed if the client was deleted, until an administrator removes them.
        conditions: lookups of DOT's application model that limit the clients.
    """
    rows = get_application_model()._default_manager.filter(**conditions).order_by("name", "client_id")
    labels = {
        client_id: f"{name} ({client_id})" if name else client_id
        for client_id, name in rows.values_list("client_id", "name")
    }
    for client_id in chosen:
        labels.setdefault(client_id, gettext("%(client)s (no such client)") % {"client": client_id})
    return list(labels.items())
