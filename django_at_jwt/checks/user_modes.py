"""Whether the subjects of the issuers can become users in the way that the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import Error as AnyDatabaseError
from django.db import router
from django.utils.connection import ConnectionDoesNotExist

from django_at_jwt.conf import AppSettings, known_issuers, local_issuer
from django_at_jwt.core.subjects import UserMode
from django_at_jwt.resource_server.users.lookup import wrong_user_model
from django_at_jwt.resource_server.users.principal import user_options

from .ids import CheckId, problem_with_callable, readable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_at_jwt.resource_server.users.lookup import UserOptions


def check_user_modes(**_kwargs: Any) -> list[CheckMessage]:
    """Each issuer's way to its users exists: the functions, the field, or the app with the table of subjects."""
    problems = [
        (f"{problem} (the users of {issuer}).", hint)
        for issuer, options in _with_users().items()
        for problem, hint in _problems_in(options)
    ]
    fields = [options.field for options in _with_users().values() if options.field is not None]
    problems += [
        (
            f"Several issuers have their subjects in the field {field!r}.",
            "Let one of them use the table of subjects: each could otherwise speak for the users of the others.",
        )
        for field in sorted({field for field in fields if fields.count(field) > 1})
    ]
    return [Error(problem, hint=hint, id=CheckId.UNUSABLE_USER_MODE) for problem, hint in problems]


def check_user_model(**_kwargs: Any) -> list[CheckMessage]:
    """The local issuer's subjects are not looked up in another table than they come from."""
    options = _with_users().get(local_issuer())
    if options is None or options.lookup != AppSettings().local_subject_lookup:
        return []
    problem = wrong_user_model()
    return [] if problem is None else [Error(problem[0], hint=problem[1], id=CheckId.WRONG_USER_MODEL)]


def check_table_of_subjects(**_kwargs: Any) -> list[CheckMessage]:
    """The table of subjects is there where users are looked for in it."""
    if not _need_the_table() or not apps.is_installed("django_at_jwt"):
        return []
    from django_at_jwt.models import IssuerSubject  # noqa: PLC0415 - it can only be imported where the app is installed

    try:
        IssuerSubject.objects.using(router.db_for_read(IssuerSubject)).exists()
    except (AnyDatabaseError, ConnectionDoesNotExist, ImproperlyConfigured):
        return [
            # No error, or "migrate" itself would refuse to run. ImproperlyConfigured says that there is no database.
            Warning(
                "The table of subjects cannot be read, so no token with a user can be accepted from these issuers: "
                f"{', '.join(_need_the_table())}.",
                hint="Set DATABASES, if there is none, and run: manage.py migrate",
                id=CheckId.NO_TABLE_OF_SUBJECTS,
            )
        ]
    return []


def _with_users() -> Mapping[str, UserOptions]:
    issuers = {issuer: user_options(issuer) for issuer in known_issuers()} if readable() else {}
    return {issuer: options for issuer, options in issuers.items() if options.mode is not UserMode.STATELESS}


def _need_the_table() -> list[str]:
    return [issuer for issuer, options in _with_users().items() if options.lookup is options.field is None]


def _problems_in(options: UserOptions) -> list[tuple[str, str]]:
    problems = [
        (f"{path} {problem}", "Write the dotted path of a function.")
        for path in (options.lookup, options.fill)
        if path is not None and (problem := problem_with_callable(path)) is not None
    ]
    if options.field is not None and not _is_unique(options.field):
        problems.append(
            (
                f"The user model has no unique field {options.field!r}",
                "Name a field with unique=True, or leave it out: the table of subjects is used then.",
            )
        )
    if options.lookup is options.field is None and not apps.is_installed("django_at_jwt"):
        problems.append(
            (
                "There is no table of subjects, since django_at_jwt is not in INSTALLED_APPS",
                'Add "django_at_jwt" to INSTALLED_APPS and run: manage.py migrate',
            )
        )
    return problems


def _is_unique(field: str) -> bool:
    try:
        return bool(getattr(get_user_model()._meta.get_field(field), "unique", False))
    except FieldDoesNotExist:
        return False
