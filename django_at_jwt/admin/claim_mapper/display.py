"""Claim mappers in sentences: their source, transforms and conditions."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from django.utils.text import capfirst, get_text_list
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.toolkit import get_scopes_backend
from django_at_jwt.claims import registered_claim_sources
from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.core.claims import ConditionName, Conditions, Match, TokensFor, UnusableRule
from django_at_jwt.core.claims.rules import (
    ClientField,
    Constant,
    ExistingClaim,
    Groups,
    Permissions,
    RegisteredSource,
    ResourceServerField,
    Source,
    Template,
    Unreadable,
    UserField,
)
from django_at_jwt.core.grant_types import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    DEVICE_CODE,
    IMPLICIT,
    PASSWORD,
    REFRESH_TOKEN,
)
from django_at_jwt.models.claim_mapper import in_words, refuse_rule
from django_at_jwt.models.mappable import groups_field, resolve_path

from .transforms import AS_JSON, STEPS, TransformRow, row_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from django_at_jwt.core.claims import MapperRule
    from django_at_jwt.models import ClaimMapper


GRANTS: Final = {
    AUTHORIZATION_CODE: _("authorization code"),
    REFRESH_TOKEN: _("refresh token"),
    CLIENT_CREDENTIALS: _("client credentials"),
    DEVICE_CODE: _("device code"),
    IMPLICIT: _("implicit"),
    PASSWORD: _("password"),
}
VALUE: Final = _("value")
TRANSFORMS: Final = _("transforms")
_LONGEST_VALUE: Final = 60


@dataclass(frozen=True, kw_only=True)
class Names:
    """Display names of clients by client id and of APIs by identifier, and the names of groups.

    Clients are only those that some conditions name; a site can have thousands of them.
    """

    clients: Mapping[str, str] = field(default_factory=dict)
    resource_servers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, conditions: Iterable[Conditions] = ()) -> Names:
        """Return the names of all APIs and of the clients that the conditions name; these cost one query."""
        named = {client_id for each in conditions for client_id in each.clients}
        rows = get_application_model()._default_manager.filter(client_id__in=named).values_list("client_id", "name")
        return cls(
            clients={client_id: name or client_id for client_id, name in rows},
            # latest() includes APIs just registered in another process.
            resource_servers=_disambiguated({server.identifier: str(server) for server in registry.latest()}),
        )

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The sorted names of the groups, read on first use."""
        field = groups_field()
        if field is None:
            return ()
        return tuple(field.remote_field.model._default_manager.order_by("name").values_list("name", flat=True))


def _disambiguated(names: Mapping[str, str]) -> dict[str, str]:
    """Return the names, with the identifier added to duplicates."""
    counts = Counter(names.values())
    return {identifier: name if counts[name] == 1 else f"{name} ({identifier})" for identifier, name in names.items()}


def _source_sentence(source: Source) -> str:  # noqa: C901, PLR0911 - one for each kind of source
    """Return a description of the source."""
    match source:
        case UserField(path=path):
            return gettext("the user's %(field)s") % {"field": user_path_label(path)}
        case Groups():
            return gettext("the user's groups")
        case Permissions():
            return gettext("the user's permissions")
        case ClientField(name=name):
            return gettext("the client's %(field)s") % {"field": client_field_label(name)}
        case ResourceServerField(name=name):
            return gettext("the API's %(field)s") % {"field": name}
        case Constant(value=value):
            return gettext("fixed value %(value)s") % {"value": _shortened(json.dumps(value, ensure_ascii=False))}
        case Template(text=text):
            return gettext("template “%(text)s”") % {"text": _shortened(text)}
        case RegisteredSource(name=name):
            registered = registered_claim_sources().get(name)
            return str(registered.label) if registered else name
        case ExistingClaim(claim=claim):
            return gettext("claim %(claim)s") % {"claim": claim}
        case Unreadable():
            return gettext("unreadable")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def user_path_label(path: str) -> str:
    """Return the verbose names along a path of user fields."""
    return _label(token_user_model(), path)


def client_field_label(name: str) -> str:
    """Return the verbose name of a client field."""
    return _label(get_application_model(), name)


def _label(model: Any, path: str) -> str:
    try:
        fields = resolve_path(model, path)
    except UnusableRule:
        return path
    # A reverse one-to-one relation has no verbose name; its model has one.
    names = [
        each.verbose_name if hasattr(each, "verbose_name") else each.related_model._meta.verbose_name for each in fields
    ]
    return " / ".join(str(name) for name in names)


def _conditions_sentence(conditions: Conditions, names: Names) -> str:
    """Return all conditions in one sentence."""
    parts = [_condition(name, values, conditions.scopes_match, names) for name, values in conditions.parts()]
    return capfirst(", ".join(parts)) if parts else gettext("For all tokens")


def _condition(name: ConditionName, values: tuple[str, ...], match_of_scopes: Match, names: Names) -> str:  # noqa: PLR0911
    any_of, all_of = get_text_list(list(values), gettext("or")), get_text_list(list(values), gettext("and"))
    match name:
        case ConditionName.TOKENS_FOR:
            is_machine = values == (TokensFor.MACHINES.value,)
            return gettext("for clients acting on their own behalf") if is_machine else gettext("for users")
        case ConditionName.CLIENT:
            text = ngettext("for client %(names)s", "for clients %(names)s", len(values))
            return text % {"names": _named(values, names.clients)}
        case ConditionName.SCOPE if len(values) == 1:
            return gettext("when scope %(scope)s was granted") % {"scope": values[0]}
        case ConditionName.SCOPE if match_of_scopes is Match.ALL:
            return gettext("when the scopes %(scopes)s were all granted") % {"scopes": all_of}
        case ConditionName.SCOPE:
            return gettext("when one of the scopes %(scopes)s was granted") % {"scopes": any_of}
        case ConditionName.RESOURCE_SERVER:
            text = ngettext("for API %(names)s", "for APIs %(names)s", len(values))
            return text % {"names": _named(values, names.resource_servers)}
        case ConditionName.GRANT:
            labels = get_text_list([str(GRANTS.get(each, each)) for each in values], gettext("or"))
            return ngettext("by the grant %(names)s", "by the grants %(names)s", len(values)) % {"names": labels}
        case ConditionName.USER_GROUP:
            text = ngettext("for users in the group %(names)s", "for users in one of the groups %(names)s", len(values))
            return text % {"names": any_of}


def _named(values: tuple[str, ...], names: Mapping[str, str]) -> str:
    return get_text_list([names.get(each, each) for each in values], gettext("and"))


def _value_sentence(rule: MapperRule) -> str:
    """Return the source, the number of transforms, and whether the mapper is required."""
    parts = [_source_sentence(rule.source)]
    if rule.transforms:
        number = ngettext("%(count)d transform", "%(count)d transforms", len(rule.transforms))
        parts.append(number % {"count": len(rule.transforms)})
    if rule.required:
        parts.append(gettext("required"))
    return ", ".join(parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class MapperSummary:
    """A mapper in the list. ``problem`` is empty if the mapper is applied as written."""

    value: str
    conditions: str
    problem: str

    @classmethod
    def of(cls, rule: MapperRule, names: Names, *, problem: str = "") -> MapperSummary:
        """Return the summary of a rule. ``problem`` is one that is already known."""
        return cls(
            value=_value_sentence(rule),
            conditions=_conditions_sentence(rule.conditions, names),
            problem=problem or _why_unusable(rule) or why_never_applied(rule, names),
        )


def summaries(mappers: Iterable[ClaimMapper]) -> dict[str, MapperSummary]:
    """Return the summaries of mappers by name. A valid rule is parsed once; the clients of all rules cost one query."""
    read = [(mapper.name, *_rule_and_problem(mapper)) for mapper in mappers]
    names = Names.of(rule.conditions for _name, rule, _problem in read)
    return {name: MapperSummary.of(rule, names, problem=problem) for name, rule, problem in read}


def _rule_and_problem(mapper: ClaimMapper) -> tuple[MapperRule, str]:
    """Return the rule of a row, or one that fails, and why the row is never applied; empty if nothing is known yet."""
    if any(mapper.name == rule.key for rule in app_settings().claim_mappers):
        problem = gettext("Not applied: the settings declare a mapper with this name.")
        return mapper.rule_or_broken(), problem
    try:
        return mapper.rule, ""
    except UnusableRule as error:
        return mapper.rule_or_broken(), _joined(error)


def describe(mapper: ClaimMapper, names: Names) -> list[tuple[Any, str]]:
    """Return labels and texts for everything in a mapper that affects tokens."""
    rule = mapper.rule_or_broken()
    steps = [_step(row) for row in map(row_of, mapper.transforms)]
    labels: dict[str, Any] = {field.name: field.verbose_name for field in mapper._meta.fields}
    return [
        (labels["enabled"], gettext("yes") if mapper.enabled else gettext("no")),
        (labels["claim"], mapper.claim),
        (VALUE, _source_sentence(rule.source)),
        (TRANSFORMS, "; ".join(steps)),
        (labels["type"], str(mapper.get_type_display())),
        (labels["conditions"], _conditions_sentence(rule.conditions, names)),
        (labels["when_missing"], _missing(mapper)),
        (labels["required"], gettext("yes") if mapper.required else gettext("no")),
        (labels["merge"], str(mapper.get_merge_display())),
        (labels["order"], str(mapper.order)),
        (labels["name"], mapper.name),
    ]


def _step(row: TransformRow) -> str:
    if row.step == AS_JSON:
        return row.text
    # The key of a hash is a secret: don't show it.
    text = "…" if row.step == "hash" else ", ".join(row.text.splitlines())
    return f"{STEPS[row.step].label}: “{text}”" if text else str(STEPS[row.step].label)


def _missing(mapper: ClaimMapper) -> str:
    if mapper.default is None:
        return str(mapper.get_when_missing_display())
    return f"{mapper.get_when_missing_display()}: {json.dumps(mapper.default, ensure_ascii=False)}"


def _why_unusable(rule: MapperRule) -> str:
    """Return why a rule cannot be applied; an empty string if it can."""
    try:
        refuse_rule(rule)
    except UnusableRule as error:
        return _joined(error)
    return ""


def why_never_applied(rule: MapperRule, names: Names) -> str:
    """Return which scopes, clients, APIs or groups are missing, so that no token can meet the conditions."""
    return " ".join(_unmet_conditions(rule.conditions, names))


def _unmet_conditions(conditions: Conditions, names: Names) -> Iterator[str]:
    scopes = get_scopes_backend().get_all_scopes()
    if conditions.scopes_match is Match.ALL:
        missing = [scope for scope in conditions.scopes if scope not in scopes]
    else:
        missing = _missing_if_all(conditions.scopes, scopes)
    if missing:
        text = gettext('Never applied: this site has no scope %(scopes)s. Add it to OAUTH2_PROVIDER["SCOPES"].')
        yield text % {"scopes": get_text_list(missing, gettext("or"))}
    for named, known, text in (
        (conditions.clients, names.clients, gettext("Never applied: this site has no client %(names)s.")),
        (
            conditions.resource_servers,
            names.resource_servers,
            gettext("Never applied: this site has no API %(names)s."),
        ),
        # Read the groups only if a rule names any.
        (
            conditions.groups,
            names.groups if conditions.groups else (),
            gettext("Never applied: this site has no group %(names)s. Was it renamed?"),
        ),
    ):
        missing = _missing_if_all(named, known)
        if missing:
            yield text % {"names": get_text_list(missing, gettext("or"))}


def _missing_if_all(named: Collection[str], known: Collection[str]) -> list[str]:
    """Return the missing names, or nothing if any name exists: one is enough."""
    missing = [name for name in named if name not in known]
    return missing if len(missing) == len(named) else []


def _joined(error: UnusableRule) -> str:
    return " ".join(" ".join(each) for each in in_words(error.problems).values())
