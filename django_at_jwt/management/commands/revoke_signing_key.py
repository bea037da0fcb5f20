"""``manage.py revoke_signing_key``: revoke a leaked key immediately."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.authorization_server.keys.revocation import (
    KeyRevocation,
    RefreshTokens,
    RevocationReport,
    revoke_issued_tokens,
    revoke_signing_key,
)
from django_at_jwt.conf import app_settings
from django_at_jwt.core.quotation import format_end, format_instant, iso
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.history import add_history_arguments, origin_of
from django_at_jwt.management.output import count, plan_as_json, plan_lines

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django_at_jwt.authorization_server.keys.affected_tokens import AffectedTokens


_TRY_AGAIN = (
    "To try again, repeat the command with --revoke-refresh-tokens or --revoke-all-refresh-tokens; add --dry-run to "
    "only count them."
)
_DASHED_KID = re.compile(r"-[A-Za-z0-9_-]{42}")


class Command(BaseCommand):
    """Revoke a signing key, and report the affected tokens, clients and users."""

    # The command may fix what the checks report.
    requires_system_checks = ()
    help = (
        "Removes a signing key from the JWK set immediately, erases its private key and makes the announced key sign. "
        "Reports the affected tokens, clients and users, and what is left to do."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "kid",
            help="the key's kid, as shown by the admin and rotate_signing_keys. "
            'Put an imported key\'s kid that begins with a hyphen at the end, after "--".',
        )
        parser.add_argument("--reason", required=True, help="reason of the revocation, shown on the key's page")
        add_history_arguments(parser, reason=False)
        refresh_tokens = parser.add_mutually_exclusive_group()
        refresh_tokens.add_argument(
            "--revoke-refresh-tokens",
            action="store_const",
            const=RefreshTokens.OF_ITS_TOKENS,
            dest="refresh_tokens",
            default=RefreshTokens.NONE,
            help="also revoke the refresh tokens of all live access tokens that the key may have signed",
        )
        refresh_tokens.add_argument(
            "--revoke-all-refresh-tokens",
            action="store_const",
            const=RefreshTokens.ALL,
            dest="refresh_tokens",
            help="also revoke all refresh tokens issued so far, for instance because the database leaked",
        )
        parser.add_argument("--dry-run", action="store_true", help="show what would happen, but change nothing")
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line, and accept the kid of an imported key that starts with a dash."""
        dashed = [argument for argument in argv[2:] if _DASHED_KID.fullmatch(argument)]
        if dashed and "--" not in argv:
            argv = [*(argument for argument in argv if argument not in dashed), "--", *dashed]
        super().run_from_argv(argv)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Revoke and report.

        Raises:
            CommandError: exit status 1 and one line, which says whether the key was revoked.
        """
        origin = origin_of("revoke_signing_key", options)
        if not origin.reason:
            raise CommandError("--reason must not be empty.")
        which, dry_run = options["refresh_tokens"], options["dry_run"]
        with as_command_error("The key was not revoked"):
            revocation = revoke_signing_key(
                options["kid"],
                reason=origin.reason,
                origin=origin,
                once_more=which is not RefreshTokens.NONE,
                dry_run=dry_run,
            )
        if not options["json"]:
            # First, in case something fails below.
            self.stdout.write("\n".join(_key_lines(revocation, dry_run=dry_run)))
            self.stdout.flush()
        report = revoke_issued_tokens(revocation, refresh_tokens=which, origin=origin, dry_run=dry_run)
        if options["json"]:
            self.stdout.write(_as_json(revocation, report))
        else:
            self.stdout.write("\n".join(_report_lines(report, which, dry_run=dry_run)))
        problems = [revocation.problem] if revocation.problem else []
        if report.problems:
            problems += [*report.problems, _TRY_AGAIN]
        if problems:
            state = "would be" if dry_run else "is"
            raise CommandError(f"Signing key {revocation.kid} {state} revoked, but: {' '.join(problems)}")


def _key_lines(revocation: KeyRevocation, *, dry_run: bool) -> list[str]:
    if revocation.already:
        lines = [f"Signing key {revocation.kid} was already revoked at {format_end(revocation.times.revoked_at)}."]
    else:
        lines = [f"{'Would revoke' if dry_run else 'Revoked'} signing key {revocation.kid}."]
        if dry_run:
            lines.append("Nothing was changed. The effects of a revocation:")
    would = dry_run and not revocation.already
    within = f"within {revocation.reaches_every_worker_within:g} seconds."
    lines.append(
        "It would be removed from the JWK set, its private key erased, and every process of the issuer would reject "
        f"it {within}"
        if would
        else "It is removed from the JWK set, its private key is erased, and every process of the issuer rejects it "
        f"{within}"
    )
    if revocation.successor is not None:
        if revocation.signs_now:
            signs = "would sign immediately" if would else "signs now"
        else:
            signs = f"{'would replace' if would else 'replaces'} it and {'sign' if would else 'signs'}"
            signs += f" from {format_instant(revocation.successor.signing_at)}"
        lines.append(f"The announced signing key {revocation.successor.kid} {signs}.")
    lines += plan_lines(revocation.plan, dry_run=dry_run)
    if revocation.kid in app_settings().revoked_kids:
        return lines
    add = "you would have to add" if would else "add"
    return [
        *lines,
        f"To keep the key revoked after a backup is restored, {add} its kid to the settings:",
        f'  AT_JWT = {{..., "REVOKED_KIDS": ["{revocation.kid}"]}}',
    ]


def _report_lines(report: RevocationReport, which: RefreshTokens, *, dry_run: bool) -> list[str]:
    affected = report.affected_tokens
    may_have_live_tokens = affected is None or _may_have_live_tokens(affected)
    lines = [] if affected is None else _affected_lines(affected)
    if which is not RefreshTokens.NONE:
        did, number = ("to be revoked" if dry_run else "revoked"), report.refresh_tokens.revoked
        log_in = f" Their users {'would ' if dry_run else ''}have to log in again." if number else ""
        lines.append(f"Refresh tokens {did}: {number}.{log_in}")
    elif may_have_live_tokens:
        lines += _refresh_token_lines(dry_run=dry_run)
    if may_have_live_tokens:
        lines.append(
            "You would have to tell the clients: requests with an old access token get status 401; refresh, or request "
            "a new token."
            if dry_run
            else "Tell the clients: requests with an old access token now get status 401; refresh, or request a new "
            "token."
        )
    tell = "You would have to tell" if dry_run else "Tell"
    lines.append(
        f"{tell} resource servers in other projects: fetch the JWK set again now. Until they do, they accept the key "
        "for as long as they cache the set."
    )
    return lines


def _may_have_live_tokens(affected: AffectedTokens) -> bool:
    """Return whether tokens may be live. Tokens whose row was overwritten or deleted are not counted, but work."""
    return bool(affected.tokens) or not affected.are_all_counted or affected.last_expires_at is not None


def _refresh_token_lines(*, dry_run: bool) -> list[str]:
    if not dry_run:
        return ["Their refresh tokens still work and will yield tokens signed by the new key."]
    return [
        "Their refresh tokens would still work and yield tokens signed by the new key.",
        (
            "If they leaked as well, revoke the key with --revoke-refresh-tokens, or with --revoke-all-refresh-tokens "
            "if the database leaked."
        ),
    ]


def _affected_lines(affected: AffectedTokens) -> list[str]:
    # Tokens without a row are not counted, so the number is not a maximum.
    at_most = "At most " if affected.unproven and affected.are_all_counted else ""
    tokens = f"{count(affected.tokens, 'live access token')} {'was' if affected.tokens == 1 else 'were'}"
    holders = f"{count(len(affected.clients), 'client')} and {count(affected.users, 'user')}"
    lines = [f"{at_most}{tokens} signed by it, for {holders}."]
    lines += [f"  {name}: {number}" for name, number in affected.clients]
    if affected.replaced_without_rows:
        lines.append("ROTATE_REFRESH_TOKEN is off: tokens replaced by a refresh have no row, so they are not counted.")
    if affected.issued_without_rows:
        lines.append("STORE_ACCESS_TOKENS: tokens issued without a row are not counted.")
    if affected.last_expires_at is not None:
        lines.append(f"The last of them would have expired at {format_instant(affected.last_expires_at)}.")
    return lines


def _as_json(revocation: KeyRevocation, report: RevocationReport) -> str:
    affected = report.affected_tokens
    document = {
        "kid": revocation.kid,
        "already_revoked": revocation.already,
        "successor": revocation.successor.kid if revocation.successor else None,
        "made": [row.kid for row in revocation.made],
        "planned": plan_as_json(revocation.plan),
        "reaches_every_worker_within_seconds": revocation.reaches_every_worker_within,
        "live_tokens": affected.tokens if affected else None,
        "live_tokens_of_unknown_keys": affected.unproven if affected else None,
        "replaced_tokens_have_no_rows": affected.replaced_without_rows if affected else None,
        "tokens_issued_without_rows": affected.issued_without_rows if affected else None,
        "clients": [{"name": name, "tokens": number} for name, number in affected.clients] if affected else None,
        "users": affected.users if affected else None,
        "last_expires_at": iso(affected.last_expires_at) if affected else None,
        "refresh_tokens_revoked": report.refresh_tokens.revoked,
        "refresh_tokens_failed": report.refresh_tokens.failed,
        "problems": [*([revocation.problem] if revocation.problem else []), *report.problems],
        "settings": {"REVOKED_KIDS": [revocation.kid]},
    }
    return json.dumps(document, indent=2)
