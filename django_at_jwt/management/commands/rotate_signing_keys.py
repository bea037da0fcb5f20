"""``manage.py rotate_signing_keys``: create the signing keys that are due. Intended for cron."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as AnyDatabaseError
from django.utils import timezone

from django_at_jwt.authorization_server.keys.rotation import Rotation, rotate_signing_keys, safe_to_purge_after
from django_at_jwt.authorization_server.keys.rotation_run import record_run
from django_at_jwt.conf import app_settings
from django_at_jwt.core.quotation import iso, single_line
from django_at_jwt.management.errors import MIGRATE_HINT, as_command_error
from django_at_jwt.management.history import add_history_arguments, origin_of
from django_at_jwt.management.output import plan_as_json, plan_lines, schedule_lines

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence


NOTHING_TO_DO = 3
_NOT_ROTATED = "The signing keys were not rotated"


class Command(BaseCommand):
    """Rotate the signing keys according to the policy.

    The exit status is 0 if keys were created or changed, 3 if nothing was due, and 1 on failure. Each run is recorded
    for ``signing_key_status``, except dry runs.
    """

    # Before the first run, the checks only report that this command must be run.
    requires_system_checks = ()
    changed = True

    help = (
        "Creates the signing keys that are due: the first keys in an empty table, then each next key "
        "ahead of time. Safe to run as often as you like. Exit status: 0 done, 3 nothing to do, 1 failed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--now",
            action="store_true",
            help="make the announced key sign as soon as it has been announced for the propagation time",
        )
        parser.add_argument("--algorithm", help="with --now: only the keys of this algorithm")
        add_history_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, but change nothing")
        parser.add_argument("--json", action="store_true", help="report as JSON")
        parser.add_argument(
            "--key-encryption-key-lost",
            action="store_true",
            help="create keys although one that signs or is announced cannot be decrypted, because no process has its "
            "key-encryption key any more",
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line, and exit with status 3 if nothing was due."""
        super().run_from_argv(argv)
        if not self.changed:
            sys.exit(NOTHING_TO_DO)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Rotate, and report what was done and what comes next.

        Raises:
            CommandError: exit status 1 and one line; nothing was changed. Also if nothing is due, but a key that signs
                or is announced cannot be decrypted, so that monitoring reports it.
        """
        with as_command_error(_NOT_ROTATED, hint=MIGRATE_HINT):
            early = self._early(options)
        try:
            with as_command_error(_NOT_ROTATED, hint=MIGRATE_HINT):
                rotation = rotate_signing_keys(
                    early=early,
                    origin=origin_of("rotate_signing_keys", options),
                    dry_run=options["dry_run"],
                    key_encryption_key_lost=options["key_encryption_key_lost"],
                )
        except CommandError as error:
            if not options["dry_run"]:
                # The error of the rotation is the one to report.
                with suppress(AnyDatabaseError, ImproperlyConfigured):
                    record_run(timezone.now(), problem=str(error))
            raise
        self.changed = bool(rotation.plan or rotation.client_secret_key)
        if not options["dry_run"]:
            self._record()
        self.stdout.write((_as_json if options["json"] else _as_text)(rotation, dry_run=options["dry_run"]))

    def _record(self) -> None:
        try:
            record_run(timezone.now(), changed=self.changed)
        except AnyDatabaseError as error:
            # The rotation is committed, so this is not its failure.
            self.stderr.write(f"This run could not be recorded: {single_line(error)}. {MIGRATE_HINT}")

    def _early(self, options: dict[str, Any]) -> Sequence[str]:
        in_use = app_settings().signing_algorithms
        algorithm = options["algorithm"]
        if algorithm is None:
            return in_use if options["now"] else ()
        if algorithm not in in_use:
            raise CommandError(f'{algorithm} is not in AT_JWT["SIGNING_ALGORITHMS"] ({", ".join(in_use)}).')
        if not options["now"]:
            raise CommandError("--algorithm requires --now: without it, every algorithm is rotated when it is due.")
        return (algorithm,)


def _as_text(rotation: Rotation, *, dry_run: bool) -> str:
    lines = plan_lines(rotation.plan, dry_run=dry_run)
    if rotation.client_secret_key:
        lines.append(f"{'Would create' if dry_run else 'Created'} the key that hashes client secrets.")
    elif not rotation.plan:
        lines.append("Nothing to do.")
    return "\n".join([*lines, *schedule_lines(rotation.times_after, rotation.at)])


_INSTANTS = ("announced_at", "signing_at", "retained_at", "retired_at", "revoked_at", "last_token_expires_at")


def _as_json(rotation: Rotation, *, dry_run: bool) -> str:
    keys = [
        {
            "kid": row.kid,
            "algorithm": row.algorithm,
            "state": row.times.state_at(rotation.at).value,
            **{name: iso(getattr(row, name)) for name in _INSTANTS},
            "safe_to_purge_after": iso(safe_to_purge_after(row)),
        }
        for row in rotation.keys
    ]
    document = {
        "changed": bool(rotation.plan or rotation.client_secret_key) and not dry_run,
        "client_secret_key": rotation.client_secret_key,
        "made": [row.kid for row in rotation.made],
        "planned": plan_as_json(rotation.plan),
        "keys": keys,
    }
    return json.dumps(document, indent=2)
