"""What there is to say about the two APIs: on the pages and to programs."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse


@dataclass(frozen=True, kw_only=True)
class ResourceServer:
    """An API. ``identifier`` is what its tokens have in ``aud``; a GET at ``url`` needs the first of ``scopes``.

    The scopes come with what each lets a client do there, which the consent page says.
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
            description="Where each user keeps notes.",
            identifier=settings.NOTES_API,
            url=settings.BASE_URL + reverse("notes"),
            scopes={"api:read": "Read your notes", "api:write": "Write notes in your name"},
        ),
        ResourceServer(
            name="Reports",
            description="Figures about the notes of everybody.",
            identifier=settings.REPORTS_API,
            url=settings.BASE_URL + reverse("summary"),
            scopes={"reports:read": "Read how many notes there are, and by how many people"},
        ),
    )
