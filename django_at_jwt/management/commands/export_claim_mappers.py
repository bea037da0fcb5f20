"""``manage.py export_claim_mappers``: write the claim mappers in the database as JSON for review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_at_jwt.authorization_server.claims.import_export import UnusableFile, export_mappers
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.models import ClaimMapper
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Export the claim mappers."""

    help = "Writes the claim mappers in the database as sorted JSON, for version control and import_claim_mappers."

    def add_arguments(self, parser: CommandParser | ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--output", type=Path, help="the file to write; default: standard output")

    def handle(self, *, output: Path | None = None, **options: Any) -> None:
        """Export.

        Raises:
            CommandError: exit status 1; nothing was exported.
        """
        try:
            with as_command_error("Nothing was exported"):
                text = export_mappers(primary_rows(ClaimMapper))
        except UnusableFile as error:
            raise CommandError(f"Nothing was exported. Correct or delete these mappers first:\n{error}") from None
        if output is None:
            self.stdout.write(text, ending="")
        else:
            try:
                output.write_text(text, encoding="utf-8")
            except (OSError, ValueError) as error:
                raise CommandError(f"Cannot write the file: {error}") from None
