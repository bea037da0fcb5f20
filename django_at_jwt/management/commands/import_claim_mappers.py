"""Stores the claim mappers of a file, after all of them were checked, and says what that changes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_at_jwt.authorization_server.claims.import_export import (
    Difference,
    UnusableFile,
    import_mappers,
    read_mappers,
)

if TYPE_CHECKING:
    from argparse import ArgumentParser

_DONE: Final = {"add": "Added", "change": "Changed", "delete": "Deleted"}
_WOULD: Final = {"add": "Would add", "change": "Would change", "delete": "Would delete"}


class Command(BaseCommand):
    """``manage.py import_claim_mappers``."""

    help = "Store the claim mappers of a file that export_claim_mappers wrote: all of them or, if one is refused, none."

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        """Take the file, and what to do with mappers that are not in it."""
        parser.add_argument("file", help="the file to read; - for standard input")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be changed")
        parser.add_argument("--delete-others", action="store_true", help="delete the mappers that are not in the file")

    def handle(self, *, file: str, dry_run: bool, delete_others: bool, **options: Any) -> None:
        """Check the file, and store it."""
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"The file cannot be read: {error}") from None
        try:
            differences = import_mappers(read_mappers(text), delete_others=delete_others, dry_run=dry_run)
        except UnusableFile as error:
            raise CommandError(f"Nothing was imported:\n{error}") from None
        for difference in differences:
            self._tell(difference, _WOULD if dry_run else _DONE)
        if not differences:
            self.stdout.write("Nothing to do.")

    def _tell(self, difference: Difference, words: dict[str, str]) -> None:
        self.stdout.write(f"{words[difference.kind]} {difference.name}")
        if difference.kind == "delete":
            return
        for member in difference.members:
            before, after = ((data or {}).get(member) for data in (difference.before, difference.after))
            if before is not None:
                self.stdout.write(f"  - {member}: {json.dumps(before, ensure_ascii=False)}")
            if after is not None:
                self.stdout.write(f"  + {member}: {json.dumps(after, ensure_ascii=False)}")
