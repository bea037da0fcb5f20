"""``manage.py verify_access_token``: say why a token is accepted here, or why not, rule by rule."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.core.diagnosis import RuleOutcome
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.resource_server.diagnosis import Diagnosis, diagnose_token

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django_at_jwt.core.diagnosis import RuleResult

_MARKS = {RuleOutcome.PASSED: "ok", RuleOutcome.FAILED: "FAILED", RuleOutcome.NOT_REACHED: "-"}
_LONGEST_INPUT = 4 * 1024 * 1024


class Command(BaseCommand):
    """Verify a token as the authentication class would, and show every rule. The token itself is never shown."""

    # A project whose checks fail is when this command is needed.
    requires_system_checks = ()
    help = (
        "Verifies an access token of any issuer that this project accepts, and shows each rule with what was expected "
        "and found. Exit status: 0 accepted, 1 refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "token",
            nargs="?",
            default="-",
            help="the token; without it, or with -, it is read from standard input, out of sight of other users",
        )
        parser.add_argument("--audience", help="what aud must hold, where an API has an audience of its own")
        parser.add_argument("--json", action="store_true", help="say it as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Diagnose, and report.

        Raises:
            CommandError: exit status 1 and one line, where the settings do not say whose tokens are accepted, or the
                user cannot be read.
        """
        given = options["token"]
        token = sys.stdin.read(_LONGEST_INPUT) if given == "-" else given
        token = token.strip().removeprefix("Bearer ").strip()
        if not token:
            raise CommandError("There is no token.")
        with as_command_error("The user could not be looked up"):
            diagnosis = diagnose_token(token, audience=options["audience"])
        self.stdout.write(_as_json(diagnosis) if options["json"] else _as_text(diagnosis))
        if not diagnosis.is_accepted:
            # The report is the whole answer; an exception would add a line that says less.
            sys.exit(1)


def _as_text(diagnosis: Diagnosis) -> str:
    lines = [f"Issuer: {diagnosis.issuer or 'none that is accepted here'}"]
    if diagnosis.keys_problem:
        lines.append(f"Its keys: {diagnosis.keys_problem}")
    width = max(len(rule.rule) for rule in diagnosis.rules)
    lines += [f"{_MARKS[rule.outcome]:<7}{rule.rule:<{width}}  {_explained(rule)}" for rule in diagnosis.rules]
    if any(rule.rule == "signature" and rule.outcome is not RuleOutcome.PASSED for rule in diagnosis.rules):
        lines.append("Nobody vouches for the claims: the signature was not verified.")
    lines.append("The token is accepted." if diagnosis.is_accepted else "The token is refused.")
    return "\n".join(lines)


def _explained(rule: RuleResult) -> str:
    found = f"; found: {rule.found}" if rule.found else ""
    why = f" ({rule.reason.value}: {rule.detail})" if rule.reason is not None else ""
    return f"expected: {rule.expected}{found}{why}"


def _as_json(diagnosis: Diagnosis) -> str:
    document = {
        "accepted": diagnosis.is_accepted,
        "issuer": diagnosis.issuer,
        "keys_problem": diagnosis.keys_problem or None,
        "rules": [
            {
                "rule": rule.rule,
                "outcome": rule.outcome.value,
                "expected": rule.expected,
                "found": rule.found,
                "reason": rule.reason.value if rule.reason is not None else None,
                "detail": rule.detail or None,
            }
            for rule in diagnosis.rules
        ],
    }
    return json.dumps(document, indent=2)
