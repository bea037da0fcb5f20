"""What there is to say about the two APIs: on the pages and to programs."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse


@dataclass(frozen=True, kw_only=True)
class ResourceServer:
    """An API. ``identifier`` is what its tokens have in ``aud``; a GET at ``url`` needs the first of ``scopes``."""

    name: str
    identifier: str
    url: str
    scopes: tuple[str, ...]


def resource_servers() -> tuple[ResourceServer, ...]:
    return (
        ResourceServer(
            name="Notes",
            identifier=settings.NOTES_API,
            url=settings.BASE_URL + reverse("notes"),
            scopes=("api:read", "api:write"),
        ),
        ResourceServer(
            name="Reports",
            identifier=settings.REPORTS_API,
            url=settings.BASE_URL + reverse("summary"),
            scopes=("reports:read",),
        ),
    )
