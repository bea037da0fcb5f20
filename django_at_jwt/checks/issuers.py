"""The other issuers whose tokens a project accepts."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import app_settings, known_issuers, local_issuer
from django_at_jwt.core.metadata import is_remote_issuer
from django_at_jwt.resource_server.protected_resources import issuers_for, named_by_views
from django_at_jwt.resource_server.verification import NO_AUDIENCE, NOT_A_REMOTE_ISSUER

from .ids import CheckId, issues_tokens, readable, views_take_access_tokens

_NOT_SHARED: Final = frozenset(
    f"django.core.cache.backends.{name}" for name in ("locmem.LocMemCache", "dummy.DummyCache")
)


def check_some_issuer(**_kwargs: Any) -> list[CheckMessage]:
    """A project that issues no tokens and has views that take them knows whose tokens these are."""
    if issues_tokens() or not readable() or app_settings().issuers or local_issuer() or not views_take_access_tokens():
        return []
    return [
        Warning(
            "No issuer is set, so the views that take access tokens answer each token with an error.",
            hint="Name the issuer and this API, for instance "
            'AT_JWT = {"ISSUERS": {"https://as.example.com/o": {"audience": "https://api.example.com/"}}}.',
            id=CheckId.NO_ISSUERS,
        )
    ]


def check_issuer_audiences(**_kwargs: Any) -> list[CheckMessage]:
    """Each issuer has an audience, so that a token for another API is worth nothing here (RFC 9068 §4)."""
    if not readable():
        return []
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


def check_audiences_that_views_name(**_kwargs: Any) -> list[CheckMessage]:
    """Each audience that a view names is one for which some issuer's tokens are accepted."""
    if not readable() or not known_issuers() or not views_take_access_tokens():
        return []
    return [
        Error(
            f"A view names the audience {audience!r}, which no issuer in AT_JWT['ISSUERS'] has: it accepts no token.",
            hint="Add it to the 'audience' of each issuer that may give tokens for it, for instance "
            f'"ISSUERS": {{"{known_issuers()[0]}": {{"audience": ["{audience}", ...]}}}}.',
            id=CheckId.NO_ISSUER_FOR_AUDIENCE,
        )
        for audience in named_by_views()
        if not issuers_for(audience)
    ]


def check_remote_issuers(**_kwargs: Any) -> list[CheckMessage]:
    """Each issuer is an https URL that metadata can be fetched from (RFC 8414 §2), and none is this very project."""
    if not readable():
        return []
    messages: list[CheckMessage] = []
    for each in app_settings().issuers:
        if each.issuer == local_issuer():
            messages.append(
                Error(
                    f"AT_JWT['ISSUERS'] has {each.issuer!r}, which is this project's own issuer.",
                    hint="Take it out: the tokens of this project's own issuer are accepted without it.",
                    id=CheckId.BAD_REMOTE_ISSUER,
                )
            )
        elif not is_remote_issuer(each.issuer, loopback_http=django_settings.DEBUG):
            messages.append(
                Error(
                    NOT_A_REMOTE_ISSUER.format(each.issuer),
                    hint="Write the issuer as its tokens have it in iss. Plain http is for 127.0.0.1 and localhost, "
                    "while DEBUG is on: anybody on the way could put keys of their own in place of the issuer's. "
                    "manage.py test switches DEBUG off unless it is given --debug-mode.",
                    id=CheckId.BAD_REMOTE_ISSUER,
                )
            )
    return messages


def check_issuer_cache(**_kwargs: Any) -> list[CheckMessage]:
    """In production the processes share what they know of issuers, so that it is fetched once and not by each."""
    if not readable() or not app_settings().issuers:
        return []
    alias = app_settings().issuer_cache
    backend = django_settings.CACHES.get(alias, {}).get("BACKEND")
    if backend is not None and backend not in _NOT_SHARED:
        return []
    what = "which is not in CACHES" if backend is None else f"a {backend.rpartition('.')[2]}, which no processes share"
    return [
        Warning(
            f"AT_JWT['ISSUER_CACHE'] is {alias!r}, {what}, so each process asks the issuers for itself.",
            hint="Let it name a cache that they share, for instance one in Redis. Silence this where there is but one "
            "process, or a few that may each ask.",
            id=CheckId.ISSUERS_NOT_SHARED,
        )
    ]
