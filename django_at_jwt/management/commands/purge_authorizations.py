"""``manage.py purge_authorizations``: delete unusable authorizations and what is stored about expired tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import BaseCommand

from django_at_jwt.authorization_server.revocation.purge import purge_authorizations
from django_at_jwt.authorization_server.unused_clients import purge_unused_clients
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.output import count

if TYPE_CHECKING:
    from argparse import ArgumentParser

SHOWS_PROGRESS: Final = 2
"""The verbosity from which on each batch is reported."""


class Command(BaseCommand):
    """Delete unusable authorizations, unused clients, and links and deny list entries of expired tokens."""

    # If the database cannot be read, the checks would report it in addition to this command.
    requires_system_checks = ()
    help = (
        "Deletes authorizations whose tokens have expired and whose refresh tokens were revoked or deleted, the deny "
        "list entries and other data of expired tokens, and unused clients that registered themselves. Run it after "
        "cleartokens, or run purge_tokens instead of both."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--dry-run", action="store_true", help="show how many would be deleted, but change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Delete, and report how many.

        Raises:
            CommandError: exit status 1 and one line.
        """
        progress = self._show_progress if options["verbosity"] >= SHOWS_PROGRESS else None
        with as_command_error("The clean-up stopped"):
            purged = purge_authorizations(dry_run=options["dry_run"], progress=progress)
            clients = purge_unused_clients(dry_run=options["dry_run"], progress=progress)
        did = "Would delete" if options["dry_run"] else "Deleted"
        authorizations = count(purged.authorizations, "authorization")
        tokens = count(purged.issued_tokens, "issued token")
        entries = count(purged.deny_list_entries, "deny list entry", "deny list entries")
        unused = count(clients, "unused client")
        self.stdout.write(f"{did} {authorizations}, {tokens}, {entries} and {unused}.")

    def _show_progress(self, rows: str, deleted: int) -> None:
        self.stdout.write(f"Deleted so far: {deleted} {rows}.")
        self.stdout.flush()
