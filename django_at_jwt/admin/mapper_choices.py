"""What there is to choose from in the form of a claim mapper: the sources and conditions that this site has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from oauth2_provider.scopes import get_scopes_backend

from django_at_jwt.claims import registered_claim_sources
from django_at_jwt.conf import app_settings
from django_at_jwt.models.mappable import RESOURCE_SERVER_FIELDS, groups_field, permissions_field, usable_user_fields

from .mapper_sentences import GRANTS, Names, client_field_label, user_path_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .mapper_form import ClaimMapperForm

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
