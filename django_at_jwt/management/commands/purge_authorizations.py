"""``manage.py purge_authorizations``: delete what belongs to expired codes and refresh tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from django_at_jwt.authorization_server.login.purge import purge_authorizations
from django_at_jwt.management.errors import as_command_error

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Delete authorizations that nobody can use any more."""

    # The checks read the database too, and would say the same as this command at greater length.
    requires_system_checks = ()
    help = "Deletes what was kept for codes and refresh tokens that are gone. Run it after cleartokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--dry-run", action="store_true", help="say how many would be deleted, and change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Delete, and say how many.

        Raises:
            CommandError: exit status 1 and one line.
        """
        with as_command_error("The clean-up stopped"):
            ended = purge_authorizations(dry_run=options["dry_run"])
        did = "Would delete" if options["dry_run"] else "Deleted"
        self.stdout.write(f"{did} {ended} authorization{'' if ended == 1 else 's'}.")
