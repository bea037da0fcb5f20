"""Claim mappers that administrators keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.claims import registered_claim_sources
from django_at_jwt.conf import app_settings
from django_at_jwt.core.claims import (
    Conditions,
    MapperRule,
    Merge,
    RuleProblem,
    UnusableRule,
    ValueType,
    WhenMissing,
    compile_rule,
    parse_conditions,
    parse_rule,
)
from django_at_jwt.core.claims.errors import gettext_noop, refuse
from django_at_jwt.core.claims.rules import RegisteredSource, Unreadable

from .mappable import groups_field, refuse_source

if TYPE_CHECKING:
    from collections.abc import Iterable

_TYPES: Final = {
    ValueType.STRING: _("string"),
    ValueType.INTEGER: _("integer"),
    ValueType.NUMBER: _("number"),
    ValueType.BOOLEAN: _("boolean"),
    ValueType.STRINGS: _("list of strings"),
    ValueType.INTEGERS: _("list of integers"),
    ValueType.NUMBERS: _("list of numbers"),
    ValueType.BOOLEANS: _("list of booleans"),
    ValueType.OBJECT: _("JSON object"),
    ValueType.OBJECTS: _("list of JSON objects"),
}
_WHEN_MISSING: Final = {
    WhenMissing.LEAVE_OUT: _("leave the claim out"),
    WhenMissing.DEFAULT: _("take the default"),
    WhenMissing.FAIL: _("fail"),
}
_MERGE: Final = {
    Merge.OVERWRITE: _("overwrite it"),
    Merge.APPEND: _("append to the list"),
    Merge.IF_ABSENT: _("leave it as it is"),
}
# The columns that together are a rule's data, in the form that exports and settings have.
RULE_MEMBERS: Final = (
    *("name", "claim", "source", "transforms", "type", "conditions"),
    *("when_missing", "default", "merge", "required", "order", "enabled"),
)


class ClaimMapperManager(models.Manager["ClaimMapper"]):
    """Finds mappers by their names, which is what exports refer to."""

    def get_by_natural_key(self, name: str) -> ClaimMapper:
        """Give the mapper of this name."""
        return self.get(name=name)


class ClaimMapper(models.Model):
    """A rule for one claim. Its columns hold the rule as data; ``full_clean`` refuses what is no rule."""

    name = models.CharField(_("name"), max_length=100, unique=True, help_text=_("What logs and previews call it."))
    enabled = models.BooleanField(_("enabled"), default=True)
    claim = models.CharField(
        _("claim"), max_length=255, help_text=_(r"The claim's name. A dot nests it in an object; write \. for a dot.")
    )
    source = models.JSONField(_("source"), help_text=_("Where the value comes from."))
    transforms = models.JSONField(
        _("transforms"), default=list, blank=True, help_text=_("What is done to the value, step by step.")
    )
    type = models.CharField(
        _("type"),
        max_length=16,
        choices=[(each.value, label) for each, label in _TYPES.items()],
        default=ValueType.STRING.value,
        help_text=_("What the value must be in the end. A value of another type makes the mapper fail."),
    )
    conditions = models.JSONField(
        _("conditions"), default=dict, blank=True, help_text=_("For which tokens it is meant; for all if left empty.")
    )
    when_missing = models.CharField(
        _("without a value"),
        max_length=16,
        choices=[(each.value, label) for each, label in _WHEN_MISSING.items()],
        default=WhenMissing.LEAVE_OUT.value,
    )
    default = models.JSONField(_("default"), null=True, blank=True, default=None)
    merge = models.CharField(
        _("if the claim is there already"),
        max_length=16,
        choices=[(each.value, label) for each, label in _MERGE.items()],
        default=Merge.OVERWRITE.value,
    )
    required = models.BooleanField(
        _("required"), default=False, help_text=_("If the mapper fails, no token is issued. Otherwise it is left out.")
    )
    order = models.IntegerField(
        _("order"), default=0, help_text=_("Mappers are applied in this order, and by their names within it.")
    )
    note = models.TextField(_("note"), blank=True)

    objects: ClassVar[ClaimMapperManager] = ClaimMapperManager()

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("claim mapper")
        verbose_name_plural = _("claim mappers")
        ordering: ClassVar = ["order", "name"]
        permissions: ClassVar = [("preview_claimmapper", _("Can preview access tokens"))]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        """Give what exports refer to."""
        return (self.name,)

    @property
    def data(self) -> dict[str, Any]:
        """The rule as data."""
        return {member: getattr(self, member) for member in RULE_MEMBERS}

    @property
    def rule(self) -> MapperRule:
        """The rule.

        Raises:
            UnusableRule: the columns hold none, which ``full_clean`` would have refused.
        """
        return parse_rule(self.data)

    def rule_or_broken(self) -> MapperRule:
        """Give the rule or, in place of one that cannot be used, a rule that fails when it is applied.

        The latter keeps the conditions, so that a required mapper that was broken stops no other clients' tokens.
        """
        try:
            return self.rule
        except UnusableRule as error:
            return MapperRule(
                key=self.name,
                claim=self.claim,
                source=Unreadable(problem=str(error)),
                conditions=self._conditions(),
                required=self.required,
                order=self.order,
                enabled=self.enabled,
            )

    def _conditions(self) -> Conditions:
        try:
            return parse_conditions(self.conditions)
        except UnusableRule:
            return Conditions()

    def clean(self) -> None:
        """Refuse what is no rule, and sources that this site does not let mappers read."""
        super().clean()
        problems: list[RuleProblem] = []
        if self.name in {declared.key for declared in app_settings().claim_mappers}:
            text = gettext_noop("A mapper of this name is declared in AT_JWT[“CLAIM_MAPPERS”].")
            problems.append(RuleProblem(where="name", text=text))
        try:
            rule = self.rule
            refuse_rule(rule)
        except UnusableRule as error:
            problems += error.problems
        if problems:
            raise ValidationError(in_words(problems))


def refuse_rule(rule: MapperRule) -> None:
    """Refuse a rule that this site cannot apply.

    Raises:
        UnusableRule: its source may not be read or gives another type, it asks for groups that users cannot have, or a
            hash names a key that the site has not.
    """
    compile_rule(rule, refuse_source=refuse_source, hash_keys=dict(app_settings().claim_hash_keys))
    if rule.conditions.groups and groups_field() is None:
        raise refuse("conditions", gettext_noop("The users of this site have no groups."))
    if isinstance(rule.source, RegisteredSource) and not rule.transforms:
        declared = registered_claim_sources()[rule.source.name].type
        # An integer is a number; nothing else is two things at once.
        if declared is not rule.value_type and (declared, rule.value_type) not in _ALSO:
            raise refuse(
                "type",
                gettext_noop("The source gives “%(type)s”: choose that, or add a transform."),
                type=declared.value,
            )


_ALSO: Final = {(ValueType.INTEGER, ValueType.NUMBER), (ValueType.INTEGERS, ValueType.NUMBERS)}


def in_words(problems: Iterable[RuleProblem]) -> dict[str, list[str]]:
    """Give problems by the field to mend, in the reader's language."""
    words: dict[str, list[str]] = {}
    for problem in problems:
        words.setdefault(problem.where, []).append(gettext(problem.text) % problem.parameters)
    return words
