"""Claim mappers as a file that people review: sorted, one block for each, the same for the same mappers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.utils.translation import gettext as _

from django_at_jwt.core.claims import UnusableRule, parse_rule, write_rule
from django_at_jwt.core.claims.schema import is_storable, read_json
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.claim_mapper import RULE_MEMBERS, in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NOTE: Final = "note"


class UnusableFile(ValueError):
    """A file that cannot be imported: sentences in ``problems``, each naming the mapper that it is about."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What an import does about one mapper: the data that is stored, and the data of the file; ``None`` for nothing."""

    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def kind(self) -> str:
        """What happens to it: ``add``, ``change`` or ``delete``."""
        if self.before is None:
            return "add"
        return "delete" if self.after is None else "change"

    @property
    def members(self) -> tuple[str, ...]:
        """The members that are other ones afterwards."""
        before, after = self.before or {}, self.after or {}
        return tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))


def export_mappers(rows: Iterable[ClaimMapper]) -> str:
    """Write mappers as JSON: in the order of their names, without what is as it is by default.

    Raises:
        UnusableFile: a row holds no rule, so that nobody could import it.
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
    """Read a file as rows that are not stored, after each of them was checked as a form would.

    Raises:
        UnusableFile: with everything that is wrong with it.
    """
    try:
        blocks = read_json(text, where=_("The file"))
    except UnusableRule as error:
        raise UnusableFile(*_sentences(error)) from None
    except ValueError:
        raise UnusableFile(_("The file holds no JSON.")) from None
    if not isinstance(blocks, list):
        raise UnusableFile(_("The file must hold a list of claim mappers."))
    rows, problems = [], []
    for number, data in enumerate(blocks, start=1):
        try:
            rows.append(_row_of(data))
        except (ValidationError, ValueError) as error:
            name = data.get("name") if isinstance(data, dict) else None
            who = name or _("mapper %(number)d") % {"number": number}
            problems += [f"{who}: {text}" for text in _sentences(error)]
    names = [row.name for row in rows]
    problems += sorted({_("%(name)s: it is there twice.") % {"name": name} for name in names if names.count(name) > 1})
    if problems:
        raise UnusableFile(*problems)
    return rows


def _row_of(data: Any) -> ClaimMapper:
    note = data.get(_NOTE, "") if isinstance(data, dict) else ""
    if not isinstance(note, str) or not is_storable(note):
        raise ValueError(_("note: This must be a text, and without the character NUL."))
    rule = parse_rule(
        {name: value for name, value in data.items() if name != _NOTE} if isinstance(data, dict) else data
    )
    written = write_rule(rule)
    row = ClaimMapper(note=note, **{name: written[name] for name in RULE_MEMBERS if name in written})
    # A row of the same name is replaced, so that names may be taken.
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
    """Store the rows of a file, by their names; all of them or none.

    Args:
        delete_others: whether mappers that are not in the file go.
        dry_run: only tell what would be done.
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
        # A broken row is replaced like any other.
        return {**row.data, _NOTE: row.note}
