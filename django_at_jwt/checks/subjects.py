"""Checks of the settings for ``sub``."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.core.exceptions import FieldDoesNotExist

from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.core.subjects import AmbiguousSector, sector_of

from .ids import UNREADABLE, CheckId, issues_tokens, problem_with_callable, settings_valid, system_check


@system_check(issues_tokens, settings_valid)
def check_subject(**_kwargs: Any) -> list[CheckMessage]:
    """Check that ``sub`` always identifies the same user (RFC 9068 section 2.2, OpenID Connect Core section 5.7)."""
    settings = app_settings()
    paths = [("SUBJECT", settings.subject)] if "." in settings.subject else []
    if settings.user_by_subject is not None:
        paths.append(("USER_BY_SUBJECT", settings.user_by_subject))
    messages: list[CheckMessage] = [
        Error(
            f'AT_JWT["{name}"] is {path!r}, which {problem}.',
            hint="Set it to the dotted path of a function.",
            id=CheckId.UNUSABLE_SUBJECT,
        )
        for name, path in paths
        if (problem := problem_with_callable(path)) is not None
    ]
    return [*messages, *_check_field(settings.subject)] if "." not in settings.subject else messages


@system_check(issues_tokens, settings_valid)
def check_way_back(**_kwargs: Any) -> list[CheckMessage]:
    """Check that a client id that equals a user's ``sub`` can be detected (RFC 9068 section 5)."""
    settings = app_settings()
    is_computed = "." in settings.subject and settings.pairwise_subject_key is None
    if not is_computed or settings.user_by_subject is not None:
        return []
    return [
        Warning(
            'AT_JWT["USER_BY_SUBJECT"] is not set, so a client id that equals a user\'s sub is not detected, and APIs '
            "that only read sub can mistake that client for the user.",
            hint=f"Set it to the dotted path of the inverse of {settings.subject}: a function that takes a sub and "
            "returns the user or None.",
            id=CheckId.NO_WAY_BACK,
        )
    ]


def _check_field(rule: str) -> list[CheckMessage]:
    model = token_user_model()
    meta = model._meta
    try:
        field: Any = meta.pk if rule == "pk" else meta.get_field(rule)
    except FieldDoesNotExist:
        return [
            Error(
                f'AT_JWT["SUBJECT"] is {rule!r}, which is not a field of {meta.label}.',
                hint='Use "pk", the name of a unique field, or the dotted path of a function that takes the user.',
                id=CheckId.UNUSABLE_SUBJECT,
            )
        ]
    if not getattr(field, "unique", False):
        return [
            Error(
                f'AT_JWT["SUBJECT"] is {rule!r}, which is not a unique field of {meta.label}.',
                hint="Choose a unique field: APIs cannot tell users with the same identifier apart.",
                id=CheckId.UNUSABLE_SUBJECT,
            )
        ]
    if field.name in {getattr(model, "USERNAME_FIELD", ""), "username", "email"}:
        alternative = "a field" if field.primary_key else '"pk" or a field'
        return [
            Warning(
                f'AT_JWT["SUBJECT"] is {rule!r}, the {field.verbose_name}, which may be reassigned to another user.',
                hint="APIs would give the new user access to the previous user's data. Use "
                f"{alternative} that is never reassigned, or silence this warning if this site never reassigns it.",
                id=CheckId.REUSABLE_SUBJECT,
            )
        ]
    return []


@system_check(issues_tokens, settings_valid)
def check_sectors(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each client has exactly one sector if subjects are pairwise (OpenID Connect Core section 8.1)."""
    if app_settings().pairwise_subject_key is None:
        return []
    from oauth2_provider.models import get_application_model  # noqa: PLC0415 - a project that only verifies has no toolkit

    declared = dict(app_settings().sector_identifiers)
    messages: list[CheckMessage] = []
    try:
        applications = get_application_model()._default_manager
        clients = list(applications.values_list("client_id", "redirect_uris", "authorization_grant_type"))
    except UNREADABLE:
        return []
    for client_id, redirect_uris, grant in clients:
        try:
            sector_of(redirect_uris.split(), client_id=client_id, grant=grant)
        except AmbiguousSector as error:
            if client_id not in declared:
                messages.append(
                    Warning(
                        f"The sector of client {client_id} is ambiguous, so it gets no tokens: {error}.",
                        hint=f'Set it in AT_JWT: "SECTOR_IDENTIFIERS": {{"{client_id}": "https://..."}}.',
                        id=CheckId.AMBIGUOUS_SECTOR,
                    )
                )
    return messages
