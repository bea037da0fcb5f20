"""The form of a claim mapper: its rule in choices and texts, where the table has JSON."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.mappers import Match, TokensFor, UnusableRule, ValueType, WhenMissing
from django_at_jwt.core.mappers.written_json import read_json
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.claim_mapper import in_words

from .mapper_choices import SOURCE_KINDS, offer_conditions, offer_sources
from .mapper_transforms import TransformsField
from .resource_server import ClientsWidget
from .row_versions import VersionedForm

# For each kind that has one, the member of the rule's data that the form's field of that name fills.
_MEMBER: Final = {
    "user": "path",
    "template": "text",
    "text": "value",
    "constant": "value",
    "client": "name",
    "resource_server": "name",
    "claim": "claim",
    "registered": "name",
}
CONDITION_FIELDS: Final = ("tokens_for", "clients", "scopes", "scopes_match", "resource_servers", "grants", "groups")


class _Choice(forms.CharField):
    """A choice that is checked by the rules of mappers, which say why something may not be read."""

    widget = forms.Select


class ClaimMapperForm(VersionedForm):
    """Reads and writes the JSON of a claim mapper. Of the fields for sources, the one of the chosen kind counts."""

    source_kind = forms.ChoiceField(
        label=_("Source"),
        choices=[("", _("choose one")), *SOURCE_KINDS.items()],
        help_text=_("Where the value comes from."),
    )
    source_user = _Choice(label=_("Field of the user"), required=False)
    source_template = forms.CharField(
        label=_("Text with places"), required=False, strip=False, widget=AdminTextInputWidget
    )
    source_text = forms.CharField(label=_("Text"), required=False, strip=False, widget=AdminTextInputWidget)
    source_constant = forms.CharField(
        label=_("Value, as JSON"),
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 3}),
        help_text=_('Such as 5, true, ["a", "b"] or {"tier": "gold"}.'),
    )
    source_client = _Choice(label=_("Field of the client"), required=False)
    source_resource_server = _Choice(
        label=_("Field of the API"), required=False, help_text=_("A token for several APIs at once has no such value.")
    )
    source_claim = forms.CharField(
        label=_("Claim"),
        required=False,
        widget=AdminTextInputWidget,
        help_text=_("Such as sub or, from a mapper with a lower order, address.country."),
    )
    source_registered = _Choice(label=_("Function"), required=False)
    transforms = TransformsField(
        label=_("Steps"),
        required=False,
        help_text=_(
            "What is done to the value on its way, from the top. A step for texts is done to each text of a list."
        ),
    )
    default = forms.CharField(
        label=_("Default"),
        required=False,
        strip=False,
        widget=AdminTextInputWidget,
        help_text=_("A text; for numbers and objects JSON; for a list of strings JSON too, or one on each line."),
    )
    tokens_for = forms.ChoiceField(
        label=_("Tokens"),
        required=False,
        choices=[
            ("", _("all")),
            (TokensFor.USERS.value, _("those of users")),
            (TokensFor.MACHINES.value, _("those of clients that act for themselves")),
        ],
    )
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Only where a scope was granted that means something to the API; always if none is ticked."),
    )
    scopes_match = forms.ChoiceField(
        label=_("Of several scopes"),
        required=False,
        choices=[(Match.ANY.value, _("one is enough")), (Match.ALL.value, _("all are needed"))],
        initial=Match.ANY.value,
    )
    resource_servers = forms.MultipleChoiceField(
        label=_("APIs"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Only in tokens that are for these and no other API; in all if none is ticked."),
    )
    clients = forms.MultipleChoiceField(
        label=_("Clients"),
        required=False,
        widget=ClientsWidget(_("clients"), is_stacked=False),
        help_text=_("Only in tokens for these; for all if none is chosen."),
    )
    groups = forms.MultipleChoiceField(
        label=_("Groups"),
        required=False,
        widget=ClientsWidget(_("groups"), is_stacked=False),
        help_text=_("Only for users who are in one of these; for all if none is chosen."),
    )
    grants = forms.MultipleChoiceField(
        label=_("Grants"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("How the client asked. A token that was refreshed has “refresh token”, whatever came before it."),
    )

    class Meta:  # noqa: D106 - Django's own
        model = ClaimMapper
        fields: ClassVar = [
            *("name", "claim", "note", "enabled", "required", "when_missing", "default"),
            *("transforms", "type", "merge", "order"),
        ]
        widgets: ClassVar = {"note": AdminTextareaWidget(attrs={"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = {**self.initial, **self._initial_source(), **self._initial_conditions()}
        self.initial["default"] = _default_as_text(self.instance)
        offer_sources(self)
        offer_conditions(self)

    def _initial_source(self) -> dict[str, Any]:
        source = self.instance.source
        kind = source.get("kind") if isinstance(source, dict) else None
        if kind == "constant" and isinstance(source.get("value"), str):
            kind = "text"
        if kind not in SOURCE_KINDS:
            return {}
        member = _MEMBER.get(kind)
        value = source.get(member) if member else None
        if kind == "constant":
            value = json.dumps(value, ensure_ascii=False)
        return {"source_kind": kind, f"source_{kind}": value}

    def _initial_conditions(self) -> dict[str, Any]:
        conditions = self.instance.conditions
        if not isinstance(conditions, dict):
            return {}
        return {name: conditions[name] for name in CONDITION_FIELDS if name in conditions}

    def clean(self) -> dict[str, Any]:
        """Put the rule together. Whether it is one is then checked by the model's own rules."""
        cleaned = super().clean()
        self.instance.source = self._source(cleaned)
        self.instance.conditions = {
            name: cleaned[name]
            for name in CONDITION_FIELDS
            if cleaned.get(name) and (name != "scopes_match" or len(cleaned.get("scopes") or ()) > 1)
        }
        if self.instance.conditions.get("scopes_match") == Match.ANY:
            del self.instance.conditions["scopes_match"]
        cleaned["default"] = self._default(cleaned)
        return cleaned

    def _source(self, cleaned: dict[str, Any]) -> Any:
        kind = cleaned.get("source_kind")
        if not kind or kind not in _MEMBER:
            return {"kind": kind}
        value: Any = cleaned.get(f"source_{kind}") or ""
        if not value:
            self.add_error(
                f"source_{kind}", ValidationError(_("Fill this in, or choose another source."), code="required")
            )
        elif kind == "constant":
            text = _("This is no JSON. For a text, choose the source “%(kind)s”.")
            no_json = ValidationError(text, params={"kind": SOURCE_KINDS["text"]})
            value = self._read_json(value, "source_constant", no_json)
        return {"kind": "constant" if kind == "text" else kind, _MEMBER[kind]: value}

    def _default(self, cleaned: dict[str, Any]) -> Any:
        text = cleaned.get("default") or ""
        if cleaned.get("when_missing") != WhenMissing.DEFAULT:
            return None
        value_type = cleaned.get("type")
        if value_type == ValueType.STRING:
            return text
        if value_type == ValueType.STRINGS and not text.lstrip().startswith("["):
            return [line.strip() for line in text.splitlines() if line.strip()]
        return self._read_json(text, "default", ValidationError(_("For this type, the default is written as JSON.")))

    def _read_json(self, text: str, field: str, no_json: ValidationError) -> Any:
        """Read what is written in a field as JSON; where it is none, add an error to the field and give ``None``."""
        try:
            return read_json(text, where=field)
        except UnusableRule as error:
            self.add_error(None, ValidationError(in_words(error.problems)))
        except ValueError:
            self.add_error(field, no_json)
        return None

    def add_error(self, field: str | None, error: Any) -> None:
        """Add an error where the reader can mend it: the model names columns that the form has in other fields."""
        problems = getattr(error, "error_dict", None)
        if field is not None or problems is None:
            super().add_error(field, error)
            return
        for name, each in problems.items():
            where = self._field_of(name)
            # A part that could not be read has its own error already.
            if where is None or where not in self.errors:
                super().add_error(where, each)

    def _field_of(self, column: str) -> str | None:
        if column == "source":
            kind = self.cleaned_data.get("source_kind")
            return f"source_{kind}" if kind in _MEMBER else "source_kind"
        if column == "conditions":
            return "tokens_for"
        return None if column == NON_FIELD_ERRORS else column


def _default_as_text(mapper: ClaimMapper) -> str:
    if mapper.default is None:
        return ""
    if isinstance(mapper.default, str) and mapper.type == ValueType.STRING:
        return mapper.default
    return json.dumps(mapper.default, ensure_ascii=False)
