"""What claim mappers may read on this site, and the mappers that the settings declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import AppSettings, app_settings
from django_at_jwt.core.claims import UnusableRule

from .ids import CheckId, issues_tokens, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def check_declared_mappers(**_kwargs: Any) -> list[CheckMessage]:
    """Each mapper in the settings can be applied on this site: its form was checked when the settings were read."""
    if not issues_tokens() or not readable():
        return []
    from django_at_jwt.models.claim_mapper import refuse_rule  # noqa: PLC0415 - a project that only verifies has no users to map

    messages: list[CheckMessage] = []
    for rule in app_settings().claim_mappers:
        try:
            refuse_rule(rule)
        except UnusableRule as error:
            so = "no token is issued that it is meant for" if rule.required else "tokens are issued without its claim"
            messages.append(
                Error(
                    f"AT_JWT['CLAIM_MAPPERS'] has a mapper, {rule.key!r}, that always fails, so that {so}. {error}",
                    hint="Correct it. A source that a function gives is registered in the ready() method of an app.",
                    id=CheckId.UNUSABLE_MAPPER,
                )
            )
    return messages


def check_mappable_fields(**_kwargs: Any) -> list[CheckMessage]:
    """Each field that the settings let mappers read is one that can be read."""
    if not issues_tokens() or not readable():
        return []
    from django_at_jwt.models.mappable import refuse_client_field, refuse_user_path  # noqa: PLC0415 - as above

    return [
        *_unreadable("mappable_user_fields", refuse_user_path),
        *_unreadable("mappable_client_fields", refuse_client_field),
    ]


def _unreadable(setting: str, refuse: Callable[[str], None]) -> Iterator[CheckMessage]:
    # The defaults name fields that not every user model has.
    usual = getattr(AppSettings(), setting)
    for name in getattr(app_settings(), setting):
        if name in usual:
            continue
        try:
            refuse(name)
        except UnusableRule as error:
            [problem] = error.problems
            yield Warning(
                f"AT_JWT[{setting.upper()!r}] lists {name!r}, which no claim mapper can read. {problem}",
                hint="Correct it, or take it out. A field of the model can be read, also through foreign keys and "
                "one-to-one fields, but for a password, a private name, a method, a file and another user.",
                id=CheckId.UNMAPPABLE_FIELD,
            )
