"""The two APIs and the MCP server, as shown on pages and listed by ``seed_example``."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse


@dataclass(frozen=True, kw_only=True)
class ResourceServer:
    """An API. ``identifier`` is the ``aud`` of its tokens; a GET request for ``url`` needs the first of ``scopes``.

    ``scopes`` maps each scope to its text on the consent page.
    """

    name: str
    description: str
    identifier: str
    url: str
    scopes: dict[str, str]


def resource_servers() -> tuple[ResourceServer, ...]:
    return (
        ResourceServer(
            name="Notes",
            description="Your personal notes.",
            identifier=settings.NOTES_API,
            url=settings.BASE_URL + reverse("notes"),
            scopes={"api:read": "Read your notes", "api:write": "Write notes on your behalf"},
        ),
        ResourceServer(
            name="Reports",
            description="Statistics about the notes of all users.",
            identifier=settings.REPORTS_API,
            url=settings.BASE_URL + reverse("summary"),
            scopes={"reports:read": "Read the number of notes and of authors"},
        ),
    )


def mcp_server() -> ResourceServer:
    return ResourceServer(
        name="Notes for assistants",
        description="Your personal notes, for programs that speak the Model Context Protocol.",
        identifier=settings.MCP_SERVER,
        url=settings.MCP_SERVER,
        scopes={"notes:read": "Read your notes", "notes:write": "Write notes on your behalf"},
    )
