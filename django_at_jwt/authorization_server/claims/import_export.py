"""Import and export of claim mappers as a JSON file: sorted by name and deterministic, for review."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.utils.translation import gettext as _

from django_at_jwt.core.claims import UnusableRule, parse_rule, write_rule
from django_at_jwt.core.claims.schema import read_json
from django_at_jwt.core.quotation import is_storable
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.claim_mapper import RULE_MEMBERS, in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NOTE: Final = "note"


class UnusableFile(ValueError):
    """A file that cannot be imported; each sentence in ``problems`` names its mapper."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The change of one mapper by an import: stored data and data of the file; ``None`` if absent."""

    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def kind(self) -> str:
        """The kind of change: ``add``, ``change`` or ``delete``."""
        if self.before is None:
            return "add"
        return "delete" if self.after is None else "change"

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the members that change."""
        before, after = self.before or {}, self.after or {}
        return tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))


def export_mappers(rows: Iterable[ClaimMapper]) -> str:
    """Return mappers as JSON, sorted by name and without members that have their default value.

    Raises:
        UnusableFile: a row does not hold a valid rule, so it could not be imported again.
    """
    blocks, problems = [], []
    for row in sorted(rows, key=lambda row: row.name):
        try:
            blocks.append(_data_of(row))
        except ValueError as error:
            problems.append(f"{row.name}: {error}")
    if problems:
        raise UnusableFile(*problems)
    return json.dumps(blocks, indent=2, ensure_ascii=False) + "\n"


def _data_of(row: ClaimMapper) -> dict[str, Any]:
    data = write_rule(row.rule)
    return {**data, _NOTE: row.note} if row.note else data


def read_mappers(text: str) -> list[ClaimMapper]:
    """Return the mappers of a file as unsaved rows, validated as by the form.

    Raises:
        UnusableFile: the file or a mapper is invalid; lists every problem.
    """
    try:
        blocks = read_json(text, where=_("The file"))
    except UnusableRule as error:
        raise UnusableFile(*_sentences(error)) from None
    except ValueError:
        raise UnusableFile(_("The file is not valid JSON.")) from None
    if not isinstance(blocks, list):
        raise UnusableFile(_("The file must be a list of claim mappers."))
    rows, problems = [], []
    for number, data in enumerate(blocks, start=1):
        try:
            rows.append(_row_of(data))
        except (ValidationError, ValueError) as error:
            name = data.get("name") if isinstance(data, dict) else None
            label = name or _("mapper %(number)d") % {"number": number}
            problems += [f"{label}: {text}" for text in _sentences(error)]
    names = [row.name for row in rows]
    problems += sorted({_("%(name)s: defined twice.") % {"name": name} for name in names if names.count(name) > 1})
    if problems:
        raise UnusableFile(*problems)
    return rows


def _row_of(data: Any) -> ClaimMapper:
    note = data.get(_NOTE, "") if isinstance(data, dict) else ""
    if not isinstance(note, str) or not is_storable(note):
        raise ValueError(_("note: This must be a string without NUL characters."))
    rule = parse_rule(
        {name: value for name, value in data.items() if name != _NOTE} if isinstance(data, dict) else data
    )
    written = write_rule(rule)
    row = ClaimMapper(note=note, **{name: written[name] for name in RULE_MEMBERS if name in written})
    # Not checked: whether the name exists. An import replaces rows of the same name.
    row.full_clean(validate_unique=False, validate_constraints=False)
    return row


def _sentences(error: ValidationError | ValueError) -> list[str]:
    if isinstance(error, UnusableRule):
        by_field = in_words(error.problems)
    elif isinstance(error, ValidationError):
        by_field = error.message_dict
    else:
        return [str(error)]
    return [f"{field}: {text}" for field, texts in by_field.items() for text in texts]


def import_mappers(rows: Sequence[ClaimMapper], *, delete_others: bool, dry_run: bool = False) -> list[Difference]:
    """Store the rows of a file, matched by name, in one transaction; return the changes.

    Args:
        rows: unsaved rows, as :func:`read_mappers` returns them.
        delete_others: delete mappers that are not in the file.
        dry_run: return the changes without making them.
    """
    using = router.db_for_write(ClaimMapper)
    with transaction.atomic(using=using):
        stored = {row.name: row for row in ClaimMapper.objects.using(using).select_for_update().order_by("name")}
        differences = list(_differences(stored, rows, delete_others=delete_others))
        if dry_run:
            return differences
        wanted = {row.name: row for row in rows}
        for difference in differences:
            if difference.after is None:
                stored[difference.name].delete(using=using)
                continue
            row = wanted[difference.name]
            if difference.before is not None:
                row.pk = stored[difference.name].pk
            row.save(using=using, force_update=difference.before is not None)
    return differences


def _differences(
    stored: dict[str, ClaimMapper], rows: Sequence[ClaimMapper], *, delete_others: bool
) -> Iterable[Difference]:
    wanted = {row.name: row for row in rows}
    for name in sorted(stored.keys() | wanted.keys()):
        if name not in wanted and not delete_others:
            continue
        before = _stored_data(stored[name]) if name in stored else None
        after = _data_of(wanted[name]) if name in wanted else None
        if before != after:
            yield Difference(name=name, before=before, after=after)


def _stored_data(row: ClaimMapper) -> dict[str, Any]:
    try:
        return _data_of(row)
    except ValueError:
        # A row with an invalid rule can be replaced too.
        return {**row.data, _NOTE: row.note}
