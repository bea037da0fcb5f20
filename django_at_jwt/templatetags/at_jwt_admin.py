"""Tags of the admin pages: the sections about tokens on those of users and clients, and the version of Django.

The sections are tags, since the templates add them to the site's own admin classes. Without django-oauth-toolkit they
show nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from django import template

from django_at_jwt.conf import has_issuer_tables

if TYPE_CHECKING:
    from collections.abc import Callable

register = template.Library()


@register.inclusion_tag("admin/django_at_jwt/tokens/user.html", takes_context=True)
def user_authorizations(context: dict[str, Any]) -> dict[str, Any]:
    """Show the live authorizations of the user whose page it is."""
    return _section(context, "user_section")


@register.inclusion_tag("admin/django_at_jwt/tokens/client.html", takes_context=True)
def client_tokens(context: dict[str, Any]) -> dict[str, Any]:
    """Show the APIs and the tokens of the client whose page it is."""
    return _section(context, "client_section")


@register.simple_tag
def layout_is_of_django_6_1() -> bool:
    """Return whether breadcrumbs are a list, and help and errors of a field are between its label and its input."""
    return django.VERSION >= (6, 1)


def _section(context: dict[str, Any], name: str) -> dict[str, Any]:
    row = context.get("original")
    if row is None or not has_issuer_tables():
        return {}
    from django_at_jwt.admin import token_sections  # noqa: PLC0415 - it imports django-oauth-toolkit's models

    section: Callable[..., dict[str, Any]] = getattr(token_sections, name)
    return section(context["request"], row)
