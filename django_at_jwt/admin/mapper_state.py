"""What is wrong with a claim mapper, in sentences: that it cannot be used, or that no token can meet its conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.text import get_text_list
from django.utils.translation import gettext
from oauth2_provider.scopes import get_scopes_backend

from django_at_jwt.conf import app_settings
from django_at_jwt.core.mappers import Match, UnusableRule
from django_at_jwt.models.claim_mapper import in_words, refuse_rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from django_at_jwt.core.mappers import Conditions, MapperRule
    from django_at_jwt.models import ClaimMapper

    from .mapper_sentences import Names


def why_unusable(rule: MapperRule) -> str:
    """Say why a rule fails whenever its conditions are met; nothing where it can be used."""
    try:
        refuse_rule(rule)
    except UnusableRule as error:
        return _joined(error)
    return ""


def why_never_applied(rule: MapperRule, names: Names) -> str:
    """Say which scopes, clients, APIs or groups there are not, without which no token meets the conditions."""
    return " ".join(_never_met(rule.conditions, names))


def _never_met(conditions: Conditions, names: Names) -> Iterator[str]:
    scopes = get_scopes_backend().get_all_scopes()
    if conditions.scopes_match is Match.ALL:
        missing = [scope for scope in conditions.scopes if scope not in scopes]
    else:
        missing = _if_all_are_missing(conditions.scopes, scopes)
    if missing:
        text = gettext("Never applied: this site has no scope %(scopes)s. Add it to OAUTH2_PROVIDER[“SCOPES”].")
        yield text % {"scopes": get_text_list(missing, gettext("or"))}
    for named, known, text in (
        (conditions.clients, names.clients, gettext("Never applied: there is no client %(names)s here.")),
        (
            conditions.resource_servers,
            names.resource_servers,
            gettext("Never applied: there is no API %(names)s here."),
        ),
        # They are read only where a rule names some.
        (
            conditions.groups,
            names.groups if conditions.groups else (),
            gettext("Never applied: there is no group %(names)s here. Was it renamed?"),
        ),
    ):
        gone = _if_all_are_missing(named, known)
        if gone:
            yield text % {"names": get_text_list(gone, gettext("or"))}


def _if_all_are_missing(named: Collection[str], known: Collection[str]) -> list[str]:
    """One that there is can be enough, so that the others are no problem."""
    missing = [name for name in named if name not in known]
    return missing if len(missing) == len(named) else []


def state_of(mapper: ClaimMapper, names: Names) -> str:
    """Say what is wrong with a row; nothing where it is applied as it is written."""
    if any(mapper.name == rule.key for rule in app_settings().claim_mappers):
        return gettext("Not applied: the settings declare a mapper of this name.")
    try:
        return why_unusable(mapper.rule) or why_never_applied(mapper.rule, names)
    except UnusableRule as error:
        return _joined(error)


def _joined(error: UnusableRule) -> str:
    return " ".join(" ".join(each) for each in in_words(error.problems).values())
