"""Checks of the settings that map subjects of issuers to users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import router

from django_at_jwt.conf import AppSettings, known_issuers, local_issuer
from django_at_jwt.core.subjects import UserMode
from django_at_jwt.resource_server.users.lookup import wrong_user_model
from django_at_jwt.resource_server.users.resolution import user_options

from .ids import UNREADABLE, CheckId, problem_with_callable, settings_valid, system_check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_at_jwt.resource_server.users.lookup import UserOptions


@system_check(settings_valid)
def check_user_modes(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the functions, the field or the table that each issuer's users are looked up with exist."""
    issuers = _issuers_with_users()
    problems = [
        (f"{problem} (for the users of {issuer}).", hint)
        for issuer, options in issuers.items()
        for problem, hint in _problems_in(options)
    ]
    fields = [options.field for options in issuers.values() if options.field is not None]
    problems += [
        (
            f"Several issuers have their subjects in the field {field!r}: each can impersonate the others' users.",
            'Remove "user_field" from all but one of them: the table of subjects is used instead.',
        )
        for field in sorted({field for field in fields if fields.count(field) > 1})
    ]
    return [Error(problem, hint=hint, id=CheckId.UNUSABLE_USER_MODE) for problem, hint in problems]


@system_check(settings_valid)
def check_user_model(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the local issuer's subjects are looked up in the user table that they come from."""
    options = _issuers_with_users().get(local_issuer())
    if options is None or options.lookup != AppSettings().local_subject_lookup:
        return []
    problem = wrong_user_model()
    return [] if problem is None else [Error(problem[0], hint=problem[1], id=CheckId.WRONG_USER_MODEL)]


@system_check(settings_valid)
def check_table_of_subjects(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the table of subjects exists if users are looked up in it."""
    if not _issuers_with_table() or not apps.is_installed("django_at_jwt"):
        return []
    from django_at_jwt.models import IssuerSubject  # noqa: PLC0415 - it can only be imported if the app is installed

    try:
        IssuerSubject.objects.using(router.db_for_read(IssuerSubject)).exists()
    except (*UNREADABLE, ImproperlyConfigured):
        return [
            # Not an error, or "migrate" could not run. Django raises ImproperlyConfigured without a database.
            Warning(
                "The table of subjects cannot be read, so tokens of users are rejected from these issuers: "
                f"{', '.join(_issuers_with_table())}.",
                hint="Set DATABASES if it is empty, and run: manage.py migrate",
                id=CheckId.NO_TABLE_OF_SUBJECTS,
            )
        ]
    return []


def _issuers_with_users() -> Mapping[str, UserOptions]:
    issuers = {issuer: user_options(issuer) for issuer in known_issuers()}
    return {issuer: options for issuer, options in issuers.items() if options.mode is not UserMode.STATELESS}


def _issuers_with_table() -> list[str]:
    return [issuer for issuer, options in _issuers_with_users().items() if options.lookup is options.field is None]


def _problems_in(options: UserOptions) -> list[tuple[str, str]]:
    problems = [
        (f"{path} {problem}", "Set it to the dotted path of a function.")
        for path in (options.lookup, options.fill)
        if path is not None and (problem := problem_with_callable(path)) is not None
    ]
    if options.field is not None and not _is_unique(options.field):
        problems.append(
            (
                f"The user model has no unique field {options.field!r}",
                'Use a field with unique=True, or remove "user_field": the table of subjects is used instead.',
            )
        )
    if options.lookup is options.field is None and not apps.is_installed("django_at_jwt"):
        problems.append(
            (
                "django_at_jwt is not in INSTALLED_APPS, so the table of subjects does not exist",
                'Add "django_at_jwt" to INSTALLED_APPS and run: manage.py migrate',
            )
        )
    return problems


def _is_unique(field: str) -> bool:
    try:
        return bool(getattr(get_user_model()._meta.get_field(field), "unique", False))
    except FieldDoesNotExist:
        return False
