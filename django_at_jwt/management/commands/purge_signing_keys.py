"""``manage.py purge_signing_keys``: delete the rows of retired keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from django_at_jwt.authorization_server.keys.rotation import purge_signing_keys
from django_at_jwt.management.errors import as_command_error

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Delete retired signing keys."""

    # What the checks complain of may be the very thing that this command mends.
    requires_system_checks = ()
    help = "Deletes retired signing keys of which no token can be alive any more. Revoked keys stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--force", action="store_true", help="also those of which a token may still be alive")
        parser.add_argument("--dry-run", action="store_true", help="say what would be deleted, and change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Delete, and say what was deleted.

        Raises:
            CommandError: exit status 1 and one line; nothing was deleted.
        """
        with as_command_error("Nothing was deleted"):
            kids = purge_signing_keys(force=options["force"], dry_run=options["dry_run"])
        did = "Would delete" if options["dry_run"] else "Deleted"
        self.stdout.write("\n".join(f"{did} signing key {kid}." for kid in kids) or "Nothing to delete.")
