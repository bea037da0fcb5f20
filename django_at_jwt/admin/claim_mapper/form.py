"""The form of a claim mapper: choices and texts for the JSON of its rule."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.admin.optimistic_lock import VersionedForm
from django_at_jwt.admin.search_fields import MultipleSearchField
from django_at_jwt.admin.searchable import Clients, Groups, ResourceServers, Searchable
from django_at_jwt.authorization_server.toolkit import get_scopes_backend
from django_at_jwt.claims import registered_claim_sources
from django_at_jwt.conf import app_settings
from django_at_jwt.core.claims import Match, TokensFor, UnusableRule, ValueType, WhenMissing
from django_at_jwt.core.claims.schema import read_json
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.claim_mapper import in_words
from django_at_jwt.models.mappable import RESOURCE_SERVER_FIELDS, groups_field, permissions_field, usable_user_fields

from .display import GRANTS, client_field_label, user_path_label
from .transforms import TransformsField

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


SOURCE_KINDS: Final = {
    "user": _("user field"),
    "groups": _("the user's groups"),
    "permissions": _("the user's permissions"),
    "template": _("template"),
    "text": _("fixed text"),
    "constant": _("fixed value, as JSON"),
    "client": _("client field"),
    "resource_server": _("API field"),
    "claim": _("another claim of the token"),
    "registered": _("registered function"),
}


def _set_sources(form: ClaimMapperForm) -> None:
    """Set the choices of the source fields; values chosen before remain available."""
    user_fields, client_fields = usable_user_fields(), app_settings().mappable_client_fields
    registered = registered_claim_sources()
    _set_choices(form, "source_user", {path: user_path_label(path) for path in user_fields})
    _set_choices(form, "source_client", {name: client_field_label(name) for name in client_fields})
    _set_choices(form, "source_resource_server", {name: name for name in RESOURCE_SERVER_FIELDS})
    _set_choices(form, "source_registered", {name: str(each.label) for name, each in registered.items()})
    _field(form, "source_kind").choices = [("", _("choose one")), *_kinds(form.initial.get("source_kind")).items()]
    placeholders = [
        *(f"{{user:{path}}}" for path in user_fields),
        *(f"{{client:{name}}}" for name in client_fields),
        *(f"{{resource_server:{name}}}" for name in RESOURCE_SERVER_FIELDS),
        *(f"{{registered:{name}}}" for name in registered),
        "{claim:sub}",
    ]
    _field(form, "source_template").help_text = _placeholder_help(placeholders)
    # The script suggests the type of the chosen source; without it, the form rejects a wrong type.
    types = {name: each.type.value for name, each in registered.items()}
    _field(form, "source_registered").widget.attrs["data-types"] = json.dumps(types)
    _field(form, "source_kind").widget.attrs |= {
        "data-types": json.dumps(_TYPES),
        # The script replaces {type}.
        "data-changed": _("The type was set to “{type}”, which the source returns."),
        "data-reset": _("The type was set back to “{type}”."),
        "data-differs": _("The source returns “{type}”. Choose this type, or add a transform."),
        **({"data-type-is-chosen": "true"} if form.is_bound or form.instance.pk else {}),
    }


def _kinds(chosen: object) -> dict[str, Any]:
    available = {
        "groups": groups_field() is not None,
        "permissions": permissions_field() is not None,
        "registered": bool(registered_claim_sources()),
    }
    return {kind: label for kind, label in SOURCE_KINDS.items() if available.get(kind, True) or kind == chosen}


def _placeholder_help(placeholders: Iterable[str]) -> str:
    listed = format_html_join(" ", "<code>{}</code>", ((each,) for each in placeholders))
    return listed + _(" If a placeholder has no value, the template has none. Write {{ and }} for braces.")


def _set_conditions(form: ClaimMapperForm) -> None:
    """Set the choices of scopes and grants, and the searches for clients, APIs and groups."""
    scopes = get_scopes_backend().get_all_scopes()
    _set_multiple_choices(form, "scopes", {scope: f"{scope} ({text})" for scope, text in scopes.items()})
    _set_multiple_choices(form, "grants", {grant: str(label) for grant, label in GRANTS.items()})
    for name, url in form.search_urls.items():
        _field(form, name).search_at(url, stored=_chosen(form, name))


def _set_choices(form: ClaimMapperForm, name: str, choices: Mapping[str, str]) -> None:
    chosen = form.initial.get(name)
    if isinstance(chosen, str):
        choices = {**choices, chosen: choices.get(chosen, str(_("may not be mapped")))}
    labels = ((value, f"{label} ({value})") for value, label in choices.items())
    _field(form, name).widget.choices = [("", _("choose one")), *labels]


def _set_multiple_choices(form: ClaimMapperForm, name: str, choices: Mapping[str, str]) -> None:
    # A deleted choice stays listed until an administrator removes it here.
    gone = (each for each in _chosen(form, name) if each not in choices)
    labels = {**choices, **{each: gettext("%(name)s (not on this site)") % {"name": each} for each in gone}}
    _field(form, name).choices = labels.items()


def _chosen(form: ClaimMapperForm, name: str) -> list[str]:
    chosen = form.initial.get(name)
    return [str(each) for each in chosen] if isinstance(chosen, list) else []


def _field(form: ClaimMapperForm, name: str) -> Any:
    return form.fields[name]


# The types that sources return, if it is always the same one.
_TYPES: Final = {
    "groups": ValueType.STRINGS.value,
    "permissions": ValueType.STRINGS.value,
    "template": ValueType.STRING.value,
    "text": ValueType.STRING.value,
    "resource_server": ValueType.STRING.value,
}
# The member of the rule's data that the field of each kind of source fills.
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
# By field.
SEARCHES: Final[dict[str, Searchable]] = {
    "clients": Clients(),
    "resource_servers": ResourceServers(),
    "groups": Groups(),
}
CONDITION_FIELDS: Final = ("tokens_for", "clients", "scopes", "scopes_match", "resource_servers", "grants", "groups")


class _Choice(forms.CharField):
    """A choice checked by the rules of claim mappers, which explain why a field may not be read."""

    widget = forms.Select


def _wide_input() -> AdminTextInputWidget:
    return AdminTextInputWidget(attrs={"class": "vLargeTextField", "dir": "auto"})


class ClaimMapperForm(VersionedForm):
    """Reads and writes the JSON of a claim mapper. Only the field of the chosen kind of source is used."""

    search_urls: ClassVar[Mapping[str, str]]
    source_kind = forms.ChoiceField(
        label=_("Source"),
        choices=[("", _("choose one")), *SOURCE_KINDS.items()],
        help_text=_("Where the value comes from."),
    )
    source_user = _Choice(label=_("User field"), required=False)
    source_template = forms.CharField(label=_("Template"), required=False, strip=False, widget=_wide_input())
    source_text = forms.CharField(label=_("Text"), required=False, strip=False, widget=_wide_input())
    source_constant = forms.CharField(
        label=_("Value, as JSON"),
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 3}),
        help_text=_('For example 5, true, ["a", "b"] or {"tier": "gold"}.'),
    )
    source_client = _Choice(label=_("Client field"), required=False)
    source_resource_server = _Choice(
        label=_("API field"), required=False, help_text=_("A token for several APIs has no value.")
    )
    source_claim = forms.CharField(
        label=_("Claim"),
        required=False,
        widget=AdminTextInputWidget,
        help_text=_("For example sub, or address.country set by a mapper with a lower order."),
    )
    source_registered = _Choice(label=_("Function"), required=False)
    transforms = TransformsField(
        label=_("Transforms"),
        required=False,
        help_text=_("Applied from top to bottom. A text transform is applied to each text in a list."),
    )
    default = forms.CharField(
        label=_("Default"),
        required=False,
        strip=False,
        widget=AdminTextInputWidget,
        help_text=_("A text, or JSON for other types. A list of strings may be JSON or one string per line."),
    )
    tokens_for = forms.ChoiceField(
        label=_("Tokens"),
        required=False,
        choices=[
            ("", _("all")),
            (TokensFor.USERS.value, _("tokens of users")),
            (TokensFor.MACHINES.value, _("tokens of clients acting on their own behalf")),
        ],
    )
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Only if one of these scopes was granted for the API. If none is selected: always."),
    )
    scopes_match = forms.ChoiceField(
        label=_("If several scopes are selected"),
        required=False,
        choices=[(Match.ANY.value, _("any of them")), (Match.ALL.value, _("all of them"))],
        initial=Match.ANY.value,
    )
    resource_servers = MultipleSearchField(
        SEARCHES["resource_servers"],
        label=_("APIs"),
        required=False,
        help_text=_("Only for tokens whose APIs are all selected here. If none is selected: all APIs."),
    )
    clients = MultipleSearchField(
        SEARCHES["clients"],
        label=_("Clients"),
        required=False,
        help_text=_("Only for tokens of these clients. If none is selected: all clients."),
    )
    groups = MultipleSearchField(
        SEARCHES["groups"],
        label=_("Groups"),
        required=False,
        help_text=_("Only for users in one of these groups. If none is selected: all users."),
    )
    grants = forms.MultipleChoiceField(
        label=_("Grants"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "How the client requested the token. Refreshed tokens have “refresh token”, whatever the first grant was."
        ),
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
        _set_sources(self)
        _set_conditions(self)

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
        """Assemble the rule, which the model validates."""
        cleaned = super().clean()
        self.instance.source = self._source(cleaned)
        self.instance.conditions = {name: cleaned[name] for name in CONDITION_FIELDS if cleaned.get(name)}
        if len(cleaned.get("scopes") or ()) < 2 or cleaned.get("scopes_match") == Match.ANY:  # noqa: PLR2004 - several
            self.instance.conditions.pop("scopes_match", None)
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
            text = _("Not valid JSON. For a text, choose the source “%(kind)s”.")
            invalid = ValidationError(text, params={"kind": SOURCE_KINDS["text"]})
            value = self._read_json(value, "source_constant", invalid)
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
        return self._read_json(text, "default", ValidationError(_("For this type, write the default as JSON.")))

    def _read_json(self, text: str, field: str, invalid: ValidationError) -> Any:
        """Return the JSON value of a field; add an error to the field and return ``None`` if it is invalid."""
        try:
            return read_json(text, where=field)
        except UnusableRule as error:
            self.add_error(None, ValidationError(in_words(error.problems)))
        except ValueError:
            self.add_error(field, invalid)
        return None

    def add_error(self, field: str | None, error: Any) -> None:
        """Add an error to the form field for the model's column, where the user can correct it."""
        problems = getattr(error, "error_dict", None)
        if field is not None or problems is None:
            super().add_error(field, error)
            return
        for name, each in problems.items():
            where = self._field_of(name)
            # A field that could not be read already has an error.
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
