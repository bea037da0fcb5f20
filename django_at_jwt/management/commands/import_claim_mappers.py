"""``manage.py import_claim_mappers``: validate and store the claim mappers of a file, and show the changes."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_at_jwt.authorization_server.claims.change_impact import ChangeImpact, change_impact
from django_at_jwt.authorization_server.claims.configuration import ClaimConfiguration
from django_at_jwt.authorization_server.claims.import_export import (
    Difference,
    UnusableFile,
    import_mappers,
    read_mappers,
)
from django_at_jwt.core.quotation import printable

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
        parser.add_argument(
            "--dry-run", action="store_true", help="show the changes and their impact on tokens, but change nothing"
        )
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
            rows = read_mappers(text)
            differences = import_mappers(rows, delete_others=delete_others, dry_run=dry_run)
        except UnusableFile as error:
            raise CommandError(f"Nothing was imported:\n{printable(str(error))}") from None
        for difference in differences:
            self._show(difference, _WOULD if dry_run else _DONE)
        if not differences:
            self.stdout.write("Nothing to do.")
        elif dry_run:
            changed = {difference.name for difference in differences}
            before = ClaimConfiguration.stored()
            after = before.with_rules((row.rule for row in rows if row.name in changed), in_place_of=changed)
            self._show_impact(change_impact(before, after, now=time.time()))

    def _show(self, difference: Difference, verbs: dict[str, str]) -> None:
        # The file may be another person's, and --dry-run is for its review.
        self.stdout.write(f"{verbs[difference.kind]} {printable(difference.name)}")
        if difference.kind == "delete":
            return
        for member in difference.members:
            before, after = ((data or {}).get(member) for data in (difference.before, difference.after))
            if before is not None:
                self.stdout.write(f"  - {member}: {printable(json.dumps(before, ensure_ascii=False))}")
            if after is not None:
                self.stdout.write(f"  + {member}: {printable(json.dumps(after, ensure_ascii=False))}")

    def _show_impact(self, impact: ChangeImpact) -> None:
        """Write what the review page of the admin site shows, without values of claims."""
        self.stdout.write(f"Affects tokens of up to {impact.clients_concerned} of {impact.clients} clients.")
        if not impact.sampled:
            self.stdout.write("No token was sampled: there are no users and clients yet.")
            return
        self.stdout.write(f"Sampled tokens that change: {len(impact.tokens)} of {impact.sampled}.")
        if impact.refused:
            self.stdout.write(self.style.ERROR(f"Sampled tokens that would be refused: {len(impact.refused)}."))
            for reason in sorted({each.after.refusal.reason for each in impact.refused if each.after.refusal}):
                self.stdout.write(f"  {reason}")
        if impact.claim_names:
            self.stdout.write(f"Claims that change: {', '.join(impact.claim_names)}.")
        if impact.newly_personal:
            self.stdout.write(f"Additional personal data may be sent: {', '.join(impact.newly_personal)}.")
        for reason, number in impact.never_issued:
            self.stdout.write(f"Sampled tokens that are not issued, before or after: {number}. {reason}")
