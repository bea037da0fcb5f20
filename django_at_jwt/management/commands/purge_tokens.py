"""``manage.py purge_tokens``: django-oauth-toolkit's ``cleartokens``, then ``purge_authorizations``."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import OperationalError

from django_at_jwt.management.errors import as_command_error

from . import purge_authorizations


class Command(purge_authorizations.Command):
    """Delete expired tokens and codes, and then what is stored about them."""

    help = (
        "Deletes expired tokens and codes with django-oauth-toolkit's cleartokens, and then, as purge_authorizations, "
        "the authorizations, deny list entries and other data that no token needs any more, and unused clients that "
        "registered themselves. Schedule it daily. It can run while tokens are issued."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete, and report how many.

        Raises:
            CommandError: exit status 1 and one line.
        """
        if options["dry_run"]:
            # An authorization counts as usable while its refresh token is there, even if cleartokens would delete that.
            self.stdout.write(
                "cleartokens has no dry run: expired tokens and codes are not counted, nor are authorizations whose "
                "refresh tokens it would delete."
            )
        else:
            if options["verbosity"] >= purge_authorizations.SHOWS_PROGRESS:
                self.stdout.write("Running cleartokens.")
            with as_command_error("The clean-up stopped"):
                self._clear_tokens()
        super().handle(*args, **options)

    def _clear_tokens(self) -> None:
        for is_last in (False, False, True):
            try:
                call_command("cleartokens", stdout=self.stdout, stderr=self.stderr)
            except OperationalError:
                # MariaDB may find a deadlock with a token request, and roll back the batch. The others are deleted.
                if is_last:
                    raise
            else:
                return
