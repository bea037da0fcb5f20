"""Checks of the claim mappers in the settings and of the fields that claim mappers may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import AppSettings, app_settings
from django_at_jwt.core.claims import UnusableRule

from .ids import CheckId, issues_tokens, settings_valid, system_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@system_check(issues_tokens, settings_valid)
def check_declared_mappers(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each mapper in the settings works on this site. Its syntax is checked when the settings are read."""
    from django_at_jwt.models.claim_mapper import refuse_rule  # noqa: PLC0415 - a project that only verifies has no users to map

    messages: list[CheckMessage] = []
    for rule in app_settings().claim_mappers:
        try:
            refuse_rule(rule)
        except UnusableRule as error:
            effect = "no token that it applies to is issued" if rule.required else "tokens are issued without its claim"
            messages.append(
                Error(
                    f'AT_JWT["CLAIM_MAPPERS"]: the mapper {rule.key!r} always fails, so {effect}. {error}',
                    hint="Correct the mapper. Register a source that is a function in the ready() method of an app.",
                    id=CheckId.UNUSABLE_MAPPER,
                )
            )
    return messages


@system_check(issues_tokens, settings_valid)
def check_mappable_fields(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each field that mappers may read exists and is mappable."""
    from django_at_jwt.models.mappable import refuse_client_field, refuse_user_path  # noqa: PLC0415 - as above

    return [
        *_unreadable_fields("mappable_user_fields", refuse_user_path),
        *_unreadable_fields("mappable_client_fields", refuse_client_field),
    ]


def _unreadable_fields(setting: str, refuse: Callable[[str], None]) -> Iterator[CheckMessage]:
    # Defaults are not reported: not every user model has those fields.
    defaults = getattr(AppSettings(), setting)
    for name in getattr(app_settings(), setting):
        if name in defaults:
            continue
        try:
            refuse(name)
        except UnusableRule as error:
            [problem] = error.problems
            yield Warning(
                f'AT_JWT["{setting.upper()}"] contains {name!r}, which claim mappers cannot read. {problem}',
                hint="Correct or remove it. Claim mappers can read the fields of the model, and those of other models "
                "through foreign keys and one-to-one fields, except passwords, private names, methods, files and "
                "other users.",
                id=CheckId.UNMAPPABLE_FIELD,
            )
