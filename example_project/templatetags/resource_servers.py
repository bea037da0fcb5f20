from __future__ import annotations

from django import template
from django.conf import settings

from example_project.resource_servers import ResourceServer, resource_servers

register = template.Library()


@register.filter
def requested_resource_servers(resource: str | None) -> list[ResourceServer]:
    """Give the resource servers that a consent page is about: those that were asked for, else the default one."""
    identifiers = (resource or settings.AT_JWT["DEFAULT_RESOURCE"]).split()
    return [each for each in resource_servers() if each.identifier in identifiers]
