"""What keeps a project from starting: errors under which it could not say whose tokens it accepts, and for which API.

A WSGI server and a worker run no checks. Without this, the first to learn of a forgotten audience would be a client.
"""

from __future__ import annotations

from itertools import chain
from traceback import walk_stack
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.core import checks
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility
from django.core.management.base import SystemCheckError

from .issuers import (
    check_audiences_that_views_name,
    check_issuer_audiences,
    check_issuer_cache,
    check_remote_issuers,
    check_some_issuer,
)
from .settings import check_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.core.checks import CheckMessage

# What concerns an API that has nothing but settings.
_CHECKS: Final = (
    check_settings,
    check_some_issuer,
    check_issuer_audiences,
    check_remote_issuers,
    check_audiences_that_views_name,
)
_DEPLOYMENT_CHECKS: Final = (check_issuer_cache,)


def register_checks(
    ordinary: Sequence[Callable[..., list[CheckMessage]]], deployment: Sequence[Callable[..., list[CheckMessage]]]
) -> None:
    """Register system checks; again is as good as once."""
    for check in ordinary:
        checks.register(check, checks.Tags.security)
    for check in deployment:
        checks.register(check, checks.Tags.security, deploy=True)


def refuse_to_start() -> None:
    """Stop a process that starts with unusable settings, if it is no management command: those run the checks.

    Raises:
        ImproperlyConfigured: with the sentences of the checks.
    """
    if _is_running(ManagementUtility.execute):
        return
    problems = _problems()
    if problems:
        raise ImproperlyConfigured(" ".join(f"{each.msg} {each.hint}" for each in problems))


def look_after_a_project_without_the_app() -> None:
    """Do for a project that only imports the authentication class what the app does where it is installed.

    Raises:
        ImproperlyConfigured: as :func:`refuse_to_start`.
        SystemCheckError: the same problems, while checks are run.
    """
    if apps.is_installed("django_at_jwt"):
        return
    register_checks(_CHECKS, _DEPLOYMENT_CHECKS)
    if not _is_running(type(registry).run_checks):
        refuse_to_start()
        return
    # It was a check that imported the views, and to the checks that are being run none can be added.
    problems = _problems()
    if problems:
        listed = "\n".join(map(str, problems))
        raise SystemCheckError(f"System check identified some issues:\n\nERRORS:\n{listed}\n")


def _problems() -> list[CheckMessage]:
    found = chain(check_settings(), check_issuer_audiences(), check_remote_issuers())
    return [each for each in found if not each.is_silenced()]


def _is_running(function: Callable[..., Any]) -> bool:
    """Tell whether a function is being run at this moment, in this thread.

    Django keeps no note of that. ``sys.argv`` would only say how a script is called, and a site calls its own as it
    likes; and a process in which the code for commands was merely imported runs none.
    """
    return any(frame.f_code is function.__code__ for frame, _ in walk_stack(None))
