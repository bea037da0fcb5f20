"""What ``sub`` is made of."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.core.exceptions import FieldDoesNotExist
from django.db import Error as AnyDatabaseError
from django.utils.connection import ConnectionDoesNotExist

from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.core.subjects import AmbiguousSector, sector_of

from .ids import CheckId, issues_tokens, problem_with_callable, readable


def check_subject(**_kwargs: Any) -> list[CheckMessage]:
    """``sub`` names one user for ever (RFC 9068 §2.2, OpenID Connect Core §5.7)."""
    if not issues_tokens() or not readable():
        return []
    settings = app_settings()
    paths = [("SUBJECT", settings.subject)] if "." in settings.subject else []
    if settings.user_by_subject is not None:
        paths.append(("USER_BY_SUBJECT", settings.user_by_subject))
    messages: list[CheckMessage] = [
        Error(
            f"AT_JWT[{name!r}] is {path!r}, which {problem}.",
            hint="It is the dotted path of a function.",
            id=CheckId.UNUSABLE_SUBJECT,
        )
        for name, path in paths
        if (problem := problem_with_callable(path)) is not None
    ]
    return [*messages, *_check_field(settings.subject)] if "." not in settings.subject else messages


def check_way_back(**_kwargs: Any) -> list[CheckMessage]:
    """It can be looked up whether a client's id is some user's ``sub`` (RFC 9068 §5)."""
    if not issues_tokens() or not readable():
        return []
    settings = app_settings()
    is_computed = "." in settings.subject and settings.pairwise_subject_key is None
    if not is_computed or settings.user_by_subject is not None:
        return []
    return [
        Warning(
            "Nobody can tell whether a client's id is some user's sub, so APIs that look at sub alone can take a "
            "client for a user.",
            hint="Set AT_JWT['USER_BY_SUBJECT'] to the dotted path of the way back from "
            f"{settings.subject}: a function that is given a sub, and gives the user or None.",
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
                f"AT_JWT['SUBJECT'] is {rule!r}, which is no field of {meta.label}.",
                hint="Write 'pk', the name of a unique field, or the dotted path of a function that is given the user.",
                id=CheckId.UNUSABLE_SUBJECT,
            )
        ]
    if not getattr(field, "unique", False):
        return [
            Error(
                f"AT_JWT['SUBJECT'] is {rule!r}, and {meta.label} does not keep it unique.",
                hint="Two users with one identifier would be one to every API. Choose a unique field.",
                id=CheckId.UNUSABLE_SUBJECT,
            )
        ]
    if field.name in {getattr(model, "USERNAME_FIELD", ""), "username", "email"}:
        other = "a field" if field.primary_key else "'pk' or a field"
        return [
            Warning(
                f"AT_JWT['SUBJECT'] is {rule!r}, the {field.verbose_name}, which can be given to another user later.",
                hint=f"Whoever gets the name gets what APIs keep for it. Use {other} that is never given again, "
                "or silence this warning if names are never given again on this site.",
                id=CheckId.REUSABLE_SUBJECT,
            )
        ]
    return []


def check_sectors(**_kwargs: Any) -> list[CheckMessage]:
    """With pairwise subjects, each client has one sector (OpenID Connect Core §8.1)."""
    if not issues_tokens() or not readable() or app_settings().pairwise_subject_key is None:
        return []
    from oauth2_provider.models import get_application_model  # noqa: PLC0415 - a project that only verifies has no toolkit

    declared = dict(app_settings().sector_identifiers)
    messages: list[CheckMessage] = []
    try:
        applications = get_application_model()._default_manager
        clients = list(applications.values_list("client_id", "redirect_uris", "authorization_grant_type"))
    except (AnyDatabaseError, ConnectionDoesNotExist):
        return []
    for client_id, redirect_uris, grant in clients:
        try:
            sector_of(redirect_uris.split(), client_id=client_id, grant=grant)
        except AmbiguousSector as error:
            if client_id not in declared:
                messages.append(
                    Warning(
                        f"It is not clear to which sector client {client_id} belongs: {error}. It gets no tokens.",
                        hint=f"Name it: AT_JWT['SECTOR_IDENTIFIERS'] = {{{client_id!r}: 'https://...'}}.",
                        id=CheckId.AMBIGUOUS_SECTOR,
                    )
                )
    return messages
