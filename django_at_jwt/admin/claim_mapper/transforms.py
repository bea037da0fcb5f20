"""Transforms in the form of a claim mapper: rows with a choice and a text, without JSON in the common cases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import get_text_list
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.claims import UnusableRule
from django_at_jwt.core.claims.rules import Hash
from django_at_jwt.core.claims.schema import MOST_TRANSFORMS, parse_transform, read_json, write_part
from django_at_jwt.models.claim_mapper import in_words
from django_at_jwt.models.mappable import find_hash_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AS_JSON: Final = "json"
_EMPTY_ROWS: Final = 3


class TransformRow(NamedTuple):
    """One row of the form: the step and its text."""

    step: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformStep:
    """A choice of the form.

    Attributes:
        label: shown in the list of choices.
        hint: describes the text; empty if the step takes no text.
        write: returns the text for a transform's data; raises ``KeyError`` or ``TypeError`` for other kinds of data.
        read: returns the transform's data for a text.
    """

    label: Any
    hint: Any
    write: Callable[[Mapping[str, Any]], str]
    read: Callable[[str], dict[str, Any]]


def _with(kind: str, member: str, **more: Any) -> dict[str, Any]:
    """Return the functions of a step whose text is one member of the data."""
    return {"write": lambda data: str(data[member]), "read": lambda text: {"kind": kind, member: text, **more}}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in _lines(text):
        before, equals, after = line.partition("=")
        if not equals:
            raise ValidationError(_("Write “old = new” on each line; “%(line)s” has no =."), params={"line": line})
        if before.strip() in pairs:
            raise ValidationError(_("“%(name)s” occurs twice."), params={"name": before.strip()})
        pairs[before.strip()] = after.strip()
    return pairs


def _filter(**more: Any) -> dict[str, Any]:
    return {
        "write": lambda data: "\n".join(data["patterns"]),
        "read": lambda text: {"kind": "filter", "patterns": _lines(text), **more},
    }


def _rename(**more: Any) -> dict[str, Any]:
    return {
        "write": lambda data: "\n".join(f"{old} = {new}" for old, new in data["table"].items()),
        "read": lambda text: {"kind": "rename", "table": _pairs(text), **more},
    }


def _read_json(text: str) -> Any:
    try:
        return read_json(text, where="transforms")
    except UnusableRule as error:
        raise ValidationError(in_words(error.problems)["transforms"]) from None
    except ValueError:
        raise ValidationError(_("Not a JSON object.")) from None


STEPS: Final[dict[str, TransformStep]] = {
    "cast": TransformStep(label=_("convert type"), hint=_("string, integer, number or boolean"), **_with("cast", "to")),
    "join": TransformStep(label=_("join list into text"), hint=_("separator"), **_with("join", "separator")),
    "split": TransformStep(label=_("split text into list"), hint=_("separator"), **_with("split", "separator")),
    "pick": TransformStep(label=_("pick one list entry"), hint=_("first or last"), **_with("pick", "which")),
    "keep": TransformStep(label=_("keep matching values"), hint=_("patterns such as app-*, one per line"), **_filter()),
    "drop": TransformStep(
        label=_("drop matching values"), hint=_("patterns such as app-*, one per line"), **_filter(drop=True)
    ),
    "prefix": TransformStep(label=_("add prefix"), hint=_("prefix"), **_with("prefix", "text")),
    "strip_prefix": TransformStep(label=_("remove prefix"), hint=_("prefix"), **_with("strip", "prefix")),
    "strip_suffix": TransformStep(label=_("remove suffix"), hint=_("suffix"), **_with("strip", "suffix")),
    "rename": TransformStep(label=_("rename values, keep others"), hint=_("old = new, one pair per line"), **_rename()),
    "rename_only": TransformStep(
        label=_("rename values, drop others"), hint=_("old = new, one pair per line"), **_rename(others="drop")
    ),
    "lower": TransformStep(
        label=_("convert to lower case"), hint="", write=lambda _data: "", read=lambda _text: {"kind": "lower"}
    ),
    "default": TransformStep(label=_("default if missing"), hint=_("text"), **_with("default", "value")),
    "hash_by_name": TransformStep(
        label=_("hash (HMAC-SHA-256)"), hint=_("name of a key in CLAIM_HASH_KEYS"), **_with("hash", "key_name")
    ),
    "hash": TransformStep(
        label=_("hash with a key stored here"),
        hint=_("secret key, at least 16 characters"),
        **_with("hash", "key"),
    ),
    "wrap": TransformStep(
        label=_("wrap in an object (SCIM)"), hint=_("member name, such as value"), **_with("wrap", "member")
    ),
    AS_JSON: TransformStep(
        label=_("other, as JSON"), hint='{"kind": "default", "value": 0}', write=json.dumps, read=_read_json
    ),
}


def row_of(data: Any) -> TransformRow:
    """Return the row for a transform; as JSON if no other step represents it without loss."""
    try:
        data = write_part(parse_transform(data))
    except UnusableRule:
        return TransformRow(AS_JSON, json.dumps(data, ensure_ascii=False))
    for name, step in STEPS.items():
        if name == AS_JSON:
            continue
        try:
            text = step.write(data)
            if step.read(text) == data and _survives_form(name, text):
                return TransformRow(name, text)
        except (AttributeError, KeyError, TypeError, ValidationError):
            continue
    return TransformRow(AS_JSON, json.dumps(data, ensure_ascii=False))


def _survives_form(name: str, text: str) -> bool:
    # Browsers change line breaks, so only steps with one entry per line keep a text with several lines.
    return "\0" not in text and (name in {"keep", "drop", "rename", "rename_only"} or len(text.splitlines()) <= 1)


class TransformsWidget(forms.Widget):
    """The rows; empty ones are ignored.

    Attributes:
        errors: texts by the number of the row, from 1; shown in the row and tied to its inputs.
    """

    errors: Mapping[int, list[str]] = MappingProxyType({})
    template_name = "admin/django_at_jwt/claimmapper/transforms.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Return the context: the rows, and some empty ones."""
        rows = [*(value or [])]
        rows += [TransformRow("", "")] * min(_EMPTY_ROWS, max(0, MOST_TRANSFORMS - len(rows)))
        context = super().get_context(name, None, attrs)
        whole = context["widget"]["attrs"]
        shown = []
        for number, row in enumerate(rows, start=1):
            error_id = f"{whole.get('id', name)}-{number - 1}-error"
            described_by = [error_id] if number in self.errors else []
            if number == 1 and whole.get("aria-describedby"):
                # The help and the errors of the field.
                described_by.append(whole["aria-describedby"])
            shown.append(
                {
                    # The first has the id of the field, so that its label and its help belong to it.
                    "id": whole.get("id", name) if number == 1 else f"{whole.get('id', name)}-{number - 1}-step",
                    "step": row.step,
                    "text": row.text,
                    "errors": self.errors.get(number, ()),
                    "error_id": error_id,
                    "described_by": " ".join(described_by),
                }
            )
        return {**context, "rows": shown, "steps": STEPS}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[TransformRow]:
        """Return the submitted rows in order, without empty ones."""
        rows = [
            TransformRow(data.get(f"{name}-{place}-step", ""), data.get(f"{name}-{place}-text", ""))
            for place in range(MOST_TRANSFORMS + _EMPTY_ROWS)
        ]
        return [row for row in rows if row.step or row.text.strip()]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Return ``False``: no rows means no transforms."""
        return False


class TransformsField(forms.Field):
    """Rows as transforms, each checked on its own so that an error names its number."""

    widget = TransformsWidget

    def prepare_value(self, value: Any) -> Any:
        """Return the rows for the stored transforms."""
        if not isinstance(value, list):
            return []
        return [each if isinstance(each, TransformRow) else row_of(each) for each in value]

    def to_python(self, value: Any) -> list[Any]:
        """Return the transforms of the rows.

        Raises:
            ValidationError: with the numbers of invalid rows. The widget shows why each is invalid.
        """
        transforms, problems = [], {}
        for number, row in enumerate(value or [], start=1):
            try:
                transforms.append(_read(row))
            except ValidationError as error:
                problems[number] = error.messages
        self.widget.errors = problems
        if problems:
            text = ngettext("Correct transform %(numbers)s.", "Correct the transforms %(numbers)s.", len(problems))
            raise ValidationError(text % {"numbers": get_text_list([str(each) for each in problems], gettext("and"))})
        return transforms

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the rows differ, apart from line endings."""
        sent = [TransformRow(row.step, "\n".join(row.text.splitlines())) for row in data or []]
        return bool(self.prepare_value(initial) != sent)


def _read(row: TransformRow) -> Any:
    if not row.step:
        raise ValidationError(_("Choose a transform for “%(text)s”."), params={"text": row.text.strip()})
    if row.step not in STEPS:
        raise ValidationError(_("Unknown transform “%(step)s”."), params={"step": row.step})
    data = STEPS[row.step].read(row.text)
    try:
        transform = parse_transform(data)
        if isinstance(transform, Hash) and transform.key_name:
            find_hash_key(transform.key_name)
        # Store the form that exports have.
        return write_part(transform)
    except UnusableRule as error:
        raise ValidationError([gettext(problem.text) % problem.parameters for problem in error.problems]) from None
