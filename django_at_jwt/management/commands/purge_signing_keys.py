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

    # The command may fix what the checks report.
    requires_system_checks = ()
    help = "Deletes retired signing keys whose tokens have all expired. Revoked keys are kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--force", action="store_true", help="also delete retired keys with live tokens")
        parser.add_argument("--dry-run", action="store_true", help="show what would be deleted, but change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Delete, and report what was deleted.

        Raises:
            CommandError: exit status 1 and one line; nothing was deleted.
        """
        with as_command_error("Nothing was deleted"):
            kids = purge_signing_keys(force=options["force"], dry_run=options["dry_run"])
        did = "Would delete" if options["dry_run"] else "Deleted"
        self.stdout.write("\n".join(f"{did} signing key {kid}." for kid in kids) or "Nothing to delete.")
