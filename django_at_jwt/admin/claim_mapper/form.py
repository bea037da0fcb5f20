"""The form of a claim mapper: its rule in choices and texts, where the table has JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from oauth2_provider.scopes import get_scopes_backend

from django_at_jwt.admin.optimistic_lock import VersionedForm
from django_at_jwt.admin.resource_server import ClientsWidget
from django_at_jwt.claims import registered_claim_sources
from django_at_jwt.conf import app_settings
from django_at_jwt.core.claims import Match, TokensFor, UnusableRule, ValueType, WhenMissing
from django_at_jwt.core.claims.schema import read_json
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.claim_mapper import in_words
from django_at_jwt.models.mappable import RESOURCE_SERVER_FIELDS, groups_field, permissions_field, usable_user_fields

from .display import GRANTS, Names, client_field_label, user_path_label
from .transforms import TransformsField

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


SOURCE_KINDS: Final = {
    "user": _("a field of the user"),
    "groups": _("the user's groups"),
    "permissions": _("the user's permissions"),
    "template": _("a text with places for other sources"),
    "text": _("always the same text"),
    "constant": _("always the same value, as JSON"),
    "client": _("a field of the client"),
    "resource_server": _("a field of the API"),
    "claim": _("another claim of the token"),
    "registered": _("a function of this site"),
}


def offer_sources(form: ClaimMapperForm) -> None:
    """Fill in the kinds of sources, and for each kind what can be read by it. What was chosen before stays in it."""
    user_fields, client_fields = usable_user_fields(), app_settings().mappable_client_fields
    registered = registered_claim_sources()
    for kind, choices in (
        ("user", {path: user_path_label(path) for path in user_fields}),
        ("client", {name: client_field_label(name) for name in client_fields}),
        ("resource_server", {name: name for name in RESOURCE_SERVER_FIELDS}),
        ("registered", {name: str(each.label) for name, each in registered.items()}),
    ):
        _offer_one(form, f"source_{kind}", choices)
    _field(form, "source_kind").choices = [("", _("choose one")), *_kinds(form.initial.get("source_kind")).items()]
    places = [
        *(f"{{user:{path}}}" for path in user_fields),
        *(f"{{client:{name}}}" for name in client_fields),
        *(f"{{resource_server:{name}}}" for name in RESOURCE_SERVER_FIELDS),
        *(f"{{registered:{name}}}" for name in registered),
        "{claim:sub}",
    ]
    _field(form, "source_template").help_text = _about(places)
    # The script sets the type that a source gives; whoever has none is told.
    types = {name: each.type.value for name, each in registered.items()}
    _field(form, "source_registered").widget.attrs["data-types"] = json.dumps(types)


def _kinds(chosen: object) -> dict[str, Any]:
    is_there = {
        "groups": groups_field() is not None,
        "permissions": permissions_field() is not None,
        "registered": bool(registered_claim_sources()),
    }
    return {kind: label for kind, label in SOURCE_KINDS.items() if is_there.get(kind, True) or kind == chosen}


def _about(places: Iterable[str]) -> str:
    listed = format_html_join(" ", "<code>{}</code>", ((each,) for each in places))
    return listed + _(" If one of them has no value, neither has the text. Write {{ and }} for braces.")


def offer_conditions(form: ClaimMapperForm) -> None:
    """Fill in the clients, APIs, scopes, grants and groups that there are."""
    names = Names.current()
    scopes = get_scopes_backend().get_all_scopes()
    for name, choices in (
        ("clients", {each: _labelled(label, each) for each, label in names.clients.items()}),
        ("resource_servers", {each: _labelled(label, each) for each, label in names.resource_servers.items()}),
        ("scopes", {scope: f"{scope}: {text}" for scope, text in scopes.items()}),
        ("grants", {grant: str(label) for grant, label in GRANTS.items()}),
        ("groups", {group: group for group in names.groups}),
    ):
        _offer_several(form, name, choices)


def _offer_one(form: ClaimMapperForm, name: str, choices: Mapping[str, str]) -> None:
    chosen = form.initial.get(name)
    if isinstance(chosen, str):
        choices = {**choices, chosen: choices.get(chosen, str(_("may not be mapped")))}
    labels = ((value, f"{label} ({value})") for value, label in choices.items())
    _field(form, name).widget.choices = [("", _("choose one")), *labels]


def _offer_several(form: ClaimMapperForm, name: str, choices: Mapping[str, str]) -> None:
    chosen = form.initial.get(name)
    # It was there when it was chosen; it stays until it is taken out here.
    gone = (str(each) for each in (chosen if isinstance(chosen, list) else ()) if str(each) not in choices)
    labels = {**choices, **{each: gettext("%(name)s (not on this site)") % {"name": each} for each in gone}}
    _field(form, name).choices = labels.items()


def _labelled(label: str, name: str) -> str:
    return name if label == name else f"{label} ({name})"


def _field(form: ClaimMapperForm, name: str) -> Any:
    return form.fields[name]


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
