"""``manage.py verify_access_token``: show why a token is accepted or rejected, rule by rule."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.conf import local_issuer
from django_at_jwt.core.diagnosis import RuleOutcome
from django_at_jwt.core.quotation import quote
from django_at_jwt.management.errors import MIGRATE_HINT, as_command_error
from django_at_jwt.resource_server.diagnosis import Diagnosis, diagnose_token

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django_at_jwt.core.diagnosis import RuleResult

_MARKS = {RuleOutcome.PASSED: "ok", RuleOutcome.FAILED: "FAILED", RuleOutcome.NOT_REACHED: "-"}
_LONGEST_INPUT = 4 * 1024 * 1024
_REJECTED, _NOT_VERIFIED = 1, 2


class Command(BaseCommand):
    """Verify a token as the authentication class would, and show every rule. The token itself is never shown."""

    # The command is for projects whose checks fail, too.
    requires_system_checks = ()
    help = (
        "Verifies an access token of any issuer that this project accepts, and shows the expected and actual value for "
        "each rule. Exit status: 0 accepted, 1 rejected, 2 could not be verified."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "token",
            nargs="?",
            default="-",
            help="the token; without it, or with -, it is read from standard input, where other users cannot see it",
        )
        parser.add_argument("--audience", help="the required audience; default: that of the settings")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Verify and report.

        Raises:
            CommandError: exit status 2 and one line, if the settings name no issuer or audience, the input is not text,
                or the database cannot be read.
        """
        given = options["token"]
        try:
            token = sys.stdin.read(_LONGEST_INPUT) if given == "-" else given
        except UnicodeDecodeError:
            raise CommandError("The token on standard input is not text.", returncode=_NOT_VERIFIED) from None
        token = token.strip().removeprefix("Bearer ").strip()
        if not token:
            raise CommandError("No token given.", returncode=_NOT_VERIFIED)
        with as_command_error("The user could not be looked up", hint=MIGRATE_HINT, returncode=_NOT_VERIFIED):
            diagnosis = diagnose_token(token, audience=options["audience"])
        self.stdout.write(_as_json(diagnosis) if options["json"] else _as_text(diagnosis))
        if not diagnosis.is_accepted:
            # The report contains the reason; a CommandError would only add a line.
            sys.exit(_REJECTED if diagnosis.is_rejected else _NOT_VERIFIED)


def _as_text(diagnosis: Diagnosis) -> str:
    lines = [f"Issuer: {diagnosis.issuer or '(not an accepted issuer)'}"]
    if diagnosis.keys_problem:
        lines.append(f"Its keys: {diagnosis.keys_problem}")
    if diagnosis.token_id is not None:
        lines.append(f"jti: {quote(diagnosis.token_id)}")
    width = max(len(rule.rule) for rule in diagnosis.rules)
    lines += [f"{_MARKS[rule.outcome]:<7}{rule.rule:<{width}}  {_explain(rule)}" for rule in diagnosis.rules]
    if any(rule.rule == "signature" and rule.outcome is not RuleOutcome.PASSED for rule in diagnosis.rules):
        lines.append("The signature was not verified, so the claims may be forged.")
    lines.append(_verdict(diagnosis))
    return "\n".join(lines)


def _verdict(diagnosis: Diagnosis) -> str:
    if diagnosis.is_accepted:
        return f"The token is accepted for {diagnosis.audience}."
    if diagnosis.is_rejected:
        return "The token is rejected."
    missing = "its keys are not available" if diagnosis.keys_problem else "whether it was revoked is not known"
    hint = f" {MIGRATE_HINT}" if diagnosis.issuer == local_issuer() else ""
    return f"The token could not be verified: {missing}.{hint}"


def _explain(rule: RuleResult) -> str:
    found = f"; found: {rule.found}" if rule.found else ""
    why = f" ({rule.reason.value}: {rule.detail})" if rule.reason is not None else ""
    return f"expected: {rule.expected}{found}{why}"


def _as_json(diagnosis: Diagnosis) -> str:
    document = {
        "accepted": diagnosis.is_accepted,
        "issuer": diagnosis.issuer,
        "keys_problem": diagnosis.keys_problem or None,
        "jti": diagnosis.token_id,
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
