"""Claim mappers in the database."""

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
from django_at_jwt.core.claims.errors import refuse
from django_at_jwt.core.claims.rules import RegisteredSource, Unreadable
from django_at_jwt.core.quotation import gettext_noop

from .mappable import find_hash_key, groups_field, refuse_source

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
    WhenMissing.LEAVE_OUT: _("omit the claim"),
    WhenMissing.DEFAULT: _("use the default"),
    WhenMissing.FAIL: _("fail"),
}
_MERGE: Final = {
    Merge.OVERWRITE: _("overwrite it"),
    Merge.APPEND: _("append to the list"),
    Merge.IF_ABSENT: _("keep the existing value"),
}
# The columns that make up a rule, with the names that exports and settings use.
RULE_MEMBERS: Final = (
    *("name", "claim", "source", "transforms", "type", "conditions"),
    *("when_missing", "default", "merge", "required", "order", "enabled"),
)


class ClaimMapperManager(models.Manager["ClaimMapper"]):
    """Finds mappers by name, as fixtures do."""

    def get_by_natural_key(self, name: str) -> ClaimMapper:
        """Return the mapper with this name."""
        return self.get(name=name)


class ClaimMapper(models.Model):
    """A rule for one claim. The columns store the rule as data; ``full_clean`` rejects an invalid rule."""

    name = models.CharField(_("name"), max_length=100, unique=True, help_text=_("Shown in logs and previews."))
    enabled = models.BooleanField(_("enabled"), default=True)
    claim = models.CharField(
        _("claim"),
        max_length=255,
        help_text=_(r"Name of the claim. Dots nest it in objects; write \. for a dot."),
    )
    source = models.JSONField(_("source"), help_text=_("Where the value comes from."))
    transforms = models.JSONField(
        _("transforms"), default=list, blank=True, help_text=_("Changes to the value, in this order.")
    )
    type = models.CharField(
        _("type"),
        max_length=16,
        choices=[(each.value, label) for each, label in _TYPES.items()],
        default=ValueType.STRING.value,
        help_text=_("Type of the final value. A value of another type makes the mapper fail."),
    )
    conditions = models.JSONField(
        _("conditions"), default=dict, blank=True, help_text=_("Which tokens the mapper applies to; all if empty.")
    )
    when_missing = models.CharField(
        _("if the value is missing"),
        max_length=16,
        choices=[(each.value, label) for each, label in _WHEN_MISSING.items()],
        default=WhenMissing.LEAVE_OUT.value,
    )
    default = models.JSONField(_("default"), null=True, blank=True, default=None)
    merge = models.CharField(
        _("if the claim already exists"),
        max_length=16,
        choices=[(each.value, label) for each, label in _MERGE.items()],
        default=Merge.OVERWRITE.value,
    )
    required = models.BooleanField(
        _("required"),
        default=False,
        help_text=_("If the mapper fails, no token is issued. If off, the claim is omitted."),
    )
    order = models.IntegerField(
        _("order"), default=0, help_text=_("Mappers are applied in this order; those with the same number by name.")
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
        """Return the name, by which fixtures refer to the mapper."""
        return (self.name,)

    @property
    def data(self) -> dict[str, Any]:
        """The rule as data."""
        return {member: getattr(self, member) for member in RULE_MEMBERS}

    @property
    def rule(self) -> MapperRule:
        """The rule.

        Raises:
            UnusableRule: the columns are no valid rule, which ``full_clean`` would have rejected.
        """
        return parse_rule(self.data)

    def rule_or_broken(self) -> MapperRule:
        """Return the rule, or, if it is invalid, a rule that fails when it is applied.

        The failing rule has the same conditions, so that an invalid required mapper stops only tokens it applies to.
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
        """Check that the rule is valid and that this site lets mappers read its source.

        Raises:
            ValidationError: with the problems by field.
        """
        super().clean()
        problems: list[RuleProblem] = []
        if self.name in {declared.key for declared in app_settings().claim_mappers}:
            text = gettext_noop('A mapper with this name is declared in AT_JWT["CLAIM_MAPPERS"]. Choose another name.')
            problems.append(RuleProblem(where="name", text=text))
        try:
            rule = self.rule
            refuse_rule(rule)
        except UnusableRule as error:
            problems += error.problems
        if problems:
            raise ValidationError(in_words(problems))


def refuse_rule(rule: MapperRule) -> None:
    """Check that this site can apply a rule.

    Raises:
        UnusableRule: its source may not be read or has another type, its conditions require groups that users do not
            have, or a hash refers to a key that is not in the settings.
    """
    compile_rule(rule, refuse_source=refuse_source, find_hash_key=find_hash_key)
    if rule.conditions.groups and groups_field() is None:
        raise refuse("conditions", gettext_noop("The users of this site have no groups."))
    if isinstance(rule.source, RegisteredSource) and not rule.transforms:
        declared = registered_claim_sources()[rule.source.name].type
        if declared is not rule.value_type and (declared, rule.value_type) not in _SUBTYPES:
            raise refuse(
                "type",
                gettext_noop("The source returns “%(type)s”. Choose this type, or add a transform."),
                type=declared.value,
            )


_SUBTYPES: Final = {(ValueType.INTEGER, ValueType.NUMBER), (ValueType.INTEGERS, ValueType.NUMBERS)}


def in_words(problems: Iterable[RuleProblem]) -> dict[str, list[str]]:
    """Return the problems by field, in the active language."""
    messages: dict[str, list[str]] = {}
    for problem in problems:
        messages.setdefault(problem.where, []).append(gettext(problem.text) % problem.parameters)
    return messages
