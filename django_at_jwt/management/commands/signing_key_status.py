"""``manage.py signing_key_status``: whether tokens can be signed, and whether rotation runs. For monitors."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.conf import has_issuer_tables
from django_at_jwt.core.health import HealthStatus
from django_at_jwt.core.quotation import format_instant, single_line
from django_at_jwt.health.report import health_report
from django_at_jwt.management.output import count

if TYPE_CHECKING:
    from argparse import ArgumentParser

_LONGEST_AGE: Final = 100 * 365 * 24 * 3600
# Those of Nagios plugins.
EXIT_STATUSES: Final = {
    HealthStatus.OK: 0,
    HealthStatus.WARNING: 1,
    HealthStatus.CRITICAL: 2,
    HealthStatus.UNKNOWN: 3,
}


class Command(BaseCommand):
    """Report the health of the signing keys, the rotation, the deny list and the remote issuers. It changes nothing."""

    # A check that fails would hide the status.
    requires_system_checks = ()

    help = (
        "Reports whether tokens can be signed, when the next key takes over, when rotate_signing_keys last ran, and "
        "what needs attention. Changes nothing. Exit status, as of Nagios plugins: 0 ok, 1 warning, 2 critical (tokens "
        "cannot be signed or accepted now), 3 unknown."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="report as JSON")
        parser.add_argument(
            "--max-run-age",
            metavar="SECONDS",
            type=int,
            help="warn if rotate_signing_keys has not succeeded for this long, instead of ROTATION_RUN_MAX_AGE",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Report, and exit with the status.

        Raises:
            CommandError: exit status 3 and one line: the settings are invalid, or this project issues no tokens.
        """
        unknown = EXIT_STATUSES[HealthStatus.UNKNOWN]
        seconds = options["max_run_age"]
        if seconds is not None and not 0 < seconds <= _LONGEST_AGE:
            text = f"--max-run-age must be 1 to {_LONGEST_AGE} seconds (got {seconds})."
            raise CommandError(text, returncode=unknown)
        try:
            if not has_issuer_tables():
                raise CommandError("This project issues no tokens. See manage.py check_issuers.", returncode=unknown)
            health = health_report(max_run_age=None if seconds is None else timedelta(seconds=seconds))
        except ImproperlyConfigured as error:
            raise CommandError(single_line(error), returncode=unknown) from None
        report = health.as_json()
        self.stdout.write(json.dumps(report, indent=2) if options["json"] else "\n".join(_as_text(report)))
        if health.status is not HealthStatus.OK:
            sys.exit(EXIT_STATUSES[health.status])


def _as_text(report: dict[str, Any]) -> list[str]:
    """Return the lines of the report. The first has the status and all problems: some monitors show only that one."""
    problems = " ".join(problem["text"] for problem in report["problems"])
    lines = [f"{report['status'].upper()}: {problems or _summary(report)}"]
    lines += [
        f"{each['algorithm']}: {each['kid']} {'signs' if each['can_sign'] else 'cannot sign'}."
        for each in report["algorithms"]
        if each["kid"]
    ]
    if transition := report["next_transition"]:
        key = f"{transition['kid']} ({transition['algorithm']})"
        lines.append(f"Next change: {key} is {transition['state']} from {_instant(transition['at'])}.")
    if rotation := report["rotation"]:
        lines += _rotation_lines(rotation)
    if deny_list := report["deny_list"]:
        lines.append(f"Deny list: {count(deny_list['entries'], 'entry', 'entries')}, read {_age(deny_list)}.")
    lines += [f"{each['issuer']}: confirmed {_age(each)} ({each['copy']} copy)." for each in report["issuers"]]
    return lines


def _summary(report: dict[str, Any]) -> str:
    signs = ", ".join(each["algorithm"] for each in report["algorithms"])
    return f"{signs} can sign; the next rotation is due from {_instant(report['rotation']['due_at'])}."


_OUTCOMES: Final = {"changed": "keys changed", "nothing_due": "nothing was due", "failed": "failed"}


def _rotation_lines(rotation: dict[str, Any]) -> list[str]:
    lines = []
    if rotation["due_at"]:
        lines.append(f"Next rotation: due from {_instant(rotation['due_at'])}.")
    if run := rotation["last_run"]:
        lines.append(f"Last run: {_instant(run['at'])} ({_OUTCOMES[run['outcome']]}).")
    else:
        lines.append("Last run: (none recorded).")
    return lines


def _instant(text: str) -> str:
    return format_instant(datetime.fromisoformat(text))


def _age(fact: dict[str, Any]) -> str:
    seconds = fact["seconds_old"]
    return "never" if seconds is None else f"{seconds:.0f} seconds ago"
