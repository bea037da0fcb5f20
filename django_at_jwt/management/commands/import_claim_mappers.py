"""``manage.py import_claim_mappers``: validate and store the claim mappers of a file, and show the changes."""

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
    """Import claim mappers."""

    help = "Stores the claim mappers of a file written by export_claim_mappers: all of them, or none if one is invalid."

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", help="the file to read; - for standard input")
        parser.add_argument("--dry-run", action="store_true", help="show what would change, but change nothing")
        parser.add_argument("--delete-others", action="store_true", help="delete the mappers that are not in the file")

    def handle(self, *, file: str, dry_run: bool, delete_others: bool, **options: Any) -> None:
        """Validate the file and store its mappers.

        Raises:
            CommandError: exit status 1; nothing was imported.
        """
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"Cannot read the file: {error}") from None
        try:
            differences = import_mappers(read_mappers(text), delete_others=delete_others, dry_run=dry_run)
        except UnusableFile as error:
            raise CommandError(f"Nothing was imported:\n{error}") from None
        for difference in differences:
            self._show(difference, _WOULD if dry_run else _DONE)
        if not differences:
            self.stdout.write("Nothing to do.")

    def _show(self, difference: Difference, verbs: dict[str, str]) -> None:
        self.stdout.write(f"{verbs[difference.kind]} {difference.name}")
        if difference.kind == "delete":
            return
        for member in difference.members:
            before, after = ((data or {}).get(member) for data in (difference.before, difference.after))
            if before is not None:
                self.stdout.write(f"  - {member}: {json.dumps(before, ensure_ascii=False)}")
            if after is not None:
                self.stdout.write(f"  + {member}: {json.dumps(after, ensure_ascii=False)}")
