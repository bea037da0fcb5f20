"""Checks of the remote issuers whose tokens this project accepts."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import app_settings, known_issuers, local_issuer
from django_at_jwt.core.metadata import is_remote_issuer
from django_at_jwt.resource_server.protected_resources import issuers_for, named_by_views
from django_at_jwt.resource_server.verification import NO_AUDIENCE, NOT_A_REMOTE_ISSUER

from .ids import CheckId, issues_tokens, settings_valid, system_check, views_take_access_tokens

_NOT_SHARED: Final = frozenset(
    f"django.core.cache.backends.{name}" for name in ("locmem.LocMemCache", "dummy.DummyCache")
)


@system_check(settings_valid)
def check_some_issuer(**_kwargs: Any) -> list[CheckMessage]:
    """Check that a project that only accepts tokens has an issuer."""
    if issues_tokens() or app_settings().issuers or local_issuer() or not views_take_access_tokens():
        return []
    return [
        Warning(
            'AT_JWT["ISSUERS"] is empty, so views that take access tokens answer every token with status 500.',
            hint="Add the issuer and the identifier of this API, for instance "
            'AT_JWT = {"ISSUERS": {"https://as.example.com/o": {"audience": "https://api.example.com/"}}}.',
            id=CheckId.NO_ISSUERS,
        )
    ]


@system_check(settings_valid)
def check_issuer_audiences(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each issuer has an audience, so that tokens for other APIs are rejected (RFC 9068 section 4)."""
    return [
        Error(
            NO_AUDIENCE.format(each.issuer),
            hint="Set it to the identifier of this API, for instance "
            f'"ISSUERS": {{"{each.issuer}": {{"audience": "https://api.example.com/"}}}}.',
            id=CheckId.NO_AUDIENCE_FOR_ISSUER,
        )
        for each in app_settings().issuers
        if not each.audience
    ]


@system_check(settings_valid)
def check_audiences_that_views_name(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each audience that a view names is accepted from at least one issuer."""
    if not known_issuers() or not views_take_access_tokens():
        return []
    return [
        Error(
            f'A view names the audience {audience!r}, which no issuer in AT_JWT["ISSUERS"] has, so it accepts no '
            "token.",
            hint='Add it to the "audience" of each issuer that issues tokens for it, for instance '
            f'"ISSUERS": {{"{known_issuers()[0]}": {{"audience": ["{audience}", ...]}}}}.',
            id=CheckId.NO_ISSUER_FOR_AUDIENCE,
        )
        for audience in named_by_views()
        if not issuers_for(audience)
    ]


@system_check(settings_valid)
def check_remote_issuers(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each issuer is an https URL (RFC 8414 section 2) and not this project's own issuer."""
    messages: list[CheckMessage] = []
    for each in app_settings().issuers:
        if each.issuer == local_issuer():
            messages.append(
                Error(
                    f'AT_JWT["ISSUERS"] contains {each.issuer!r}, which is this project\'s own issuer.',
                    hint="Remove it: tokens of this project's own issuer are always accepted.",
                    id=CheckId.BAD_REMOTE_ISSUER,
                )
            )
        elif not is_remote_issuer(each.issuer, loopback_http=django_settings.DEBUG):
            messages.append(
                Error(
                    NOT_A_REMOTE_ISSUER.format(each.issuer),
                    hint="Use the value of iss in the issuer's tokens. Plain http is only accepted for localhost and "
                    "loopback addresses, and only if DEBUG is on, because an attacker on the network could replace the "
                    "issuer's keys. manage.py test turns DEBUG off unless you pass --debug-mode.",
                    id=CheckId.BAD_REMOTE_ISSUER,
                )
            )
    return messages


@system_check(settings_valid, deploy=True)
def check_issuer_cache(**_kwargs: Any) -> list[CheckMessage]:
    """Check that all processes share one cache of metadata and keys, so that not each of them fetches these."""
    if not app_settings().issuers:
        return []
    alias = app_settings().issuer_cache
    problem = problem_with_cache(alias)
    if problem is None:
        return []
    return [
        Warning(
            f'AT_JWT["ISSUER_CACHE"] is {alias!r}, {problem}, so each process fetches metadata and keys separately.',
            hint="Set it to a shared cache, for instance Redis. Silence this warning for a single process or a few.",
            id=CheckId.ISSUERS_NOT_SHARED,
        )
    ]


def problem_with_cache(alias: str) -> str | None:
    """Return why processes do not share a cache, as a clause, or ``None`` if they do."""
    backend = django_settings.CACHES.get(alias, {}).get("BACKEND")
    if backend is None:
        return "which is not in CACHES"
    return f"a {backend.rpartition('.')[2]}, which processes do not share" if backend in _NOT_SHARED else None
