"""``manage.py revoke_signing_key``: withdraw a key that leaked, at once."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.authorization_server.keys.revocation import (
    RefreshTokens,
    Revocation,
    RevocationReport,
    revoke_issued_tokens,
    revoke_signing_key,
)
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.output import as_json, counted, iso, lines_about, said

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django_at_jwt.authorization_server.keys.affected_tokens import AffectedTokens


_TRY_AGAIN = (
    "To try that again, repeat the command with --revoke-refresh-tokens or --revoke-all-refresh-tokens; with --dry-run "
    "too it only counts."
)
_DASHED_KID = re.compile(r"-[A-Za-z0-9_-]{42}")


class Command(BaseCommand):
    """Revoke a signing key, and say whom that concerns."""

    # What the checks complain of may be the very thing that this command mends.
    requires_system_checks = ()
    help = (
        "Takes a signing key out of the JWK set at once, erases its private half and lets the announced key sign. "
        "Says which tokens, clients and users that concerns, and what is left to do."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("kid", help="the key's kid, as the admin and rotate_signing_keys show it")
        parser.add_argument("--reason", required=True, help="why, for whoever reads the list of keys later")
        refresh_tokens = parser.add_mutually_exclusive_group()
        refresh_tokens.add_argument(
            "--revoke-refresh-tokens",
            action="store_const",
            const=RefreshTokens.OF_ITS_TOKENS,
            dest="refresh_tokens",
            default=RefreshTokens.NONE,
            help="also revoke the refresh tokens of the live tokens that the key may have signed",
        )
        refresh_tokens.add_argument(
            "--revoke-all-refresh-tokens",
            action="store_const",
            const=RefreshTokens.ALL,
            dest="refresh_tokens",
            help="also revoke all refresh tokens that were issued up to now, for instance since the database leaked",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
        parser.add_argument("--json", action="store_true", help="say it as JSON")

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line, where an imported key's kid may begin with a dash and read as an option."""
        dashed = [argument for argument in argv[2:] if _DASHED_KID.fullmatch(argument)]
        if dashed and "--" not in argv:
            argv = [*(argument for argument in argv if argument not in dashed), "--", *dashed]
        super().run_from_argv(argv)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Revoke, and report.

        Raises:
            CommandError: exit status 1 and one line, which says whether the key was revoked.
        """
        # The command line may hold bytes that are no text; a database takes text alone.
        reason = options["reason"].encode(errors="replace").decode().strip()
        if not reason:
            raise CommandError("--reason needs some text.")
        which, dry_run = options["refresh_tokens"], options["dry_run"]
        with as_command_error("The key was not revoked"):
            revocation = revoke_signing_key(
                options["kid"], reason=reason, once_more=which is not RefreshTokens.NONE, dry_run=dry_run
            )
        if not options["json"]:
            # Before anything else can go wrong.
            self.stdout.write("\n".join(_about_key(revocation, dry_run=dry_run)))
            self.stdout.flush()
        aftermath = revoke_issued_tokens(revocation, refresh_tokens=which, dry_run=dry_run)
        lines = _as_json(revocation, aftermath) if options["json"] else _about_tokens(aftermath, which, dry_run=dry_run)
        self.stdout.write("\n".join(lines))
        problems = [problem for problem in (revocation.problem,) if problem]
        if aftermath.problems:
            problems += [*aftermath.problems, _TRY_AGAIN]
        if problems:
            state = "would be" if dry_run else "is"
            raise CommandError(f"Signing key {revocation.kid} {state} revoked, but: {' '.join(problems)}")


def _about_key(revocation: Revocation, *, dry_run: bool) -> list[str]:
    if revocation.already:
        lines = [f"Signing key {revocation.kid} was revoked before, at {said(revocation.times.revoked_at)}."]
    else:
        lines = [f"{'Would revoke' if dry_run else 'Revoked'} signing key {revocation.kid}."]
        if dry_run:
            lines.append("Nothing was changed. What follows is what a revocation would mean.")
    would = dry_run and not revocation.already
    within = f"within {revocation.reaches_every_worker_within:g} seconds."
    lines.append(
        f"It would leave the JWK set, lose its private half, and be refused by each process of the issuer {within}"
        if would
        else f"It is out of the JWK set, its private half is erased, and each process of the issuer refuses it {within}"
    )
    if revocation.successor is not None:
        if revocation.signs_now:
            signs = "would sign from then on" if would else "signs now"
        else:
            signs = f"{'would take' if would else 'takes'} its place and {'sign' if would else 'signs'}"
            signs += f" from {said(revocation.successor.signing_at)}"
        lines.append(f"Signing key {revocation.successor.kid}, announced before, {signs}.")
    add = "its kid would have to be added to the settings" if would else "add its kid to the settings"
    return [
        *lines,
        *lines_about(revocation.plan, dry_run=dry_run),
        f"So that no restored backup brings the key back, {add}:",
        f'  AT_JWT = {{..., "REVOKED_KIDS": ["{revocation.kid}"]}}',
    ]


def _about_tokens(aftermath: RevocationReport, which: RefreshTokens, *, dry_run: bool) -> list[str]:
    radius = aftermath.affected_tokens
    concerns_anybody = radius is None or _may_have_live_tokens(radius)
    lines = [] if radius is None else _about_radius(radius)
    if which is not RefreshTokens.NONE:
        did, number = ("to be revoked" if dry_run else "revoked"), aftermath.refresh_tokens.revoked
        lines.append(f"Refresh tokens {did}: {number}." + (_log_in_again(dry_run=dry_run) if number else ""))
    elif concerns_anybody:
        lines += _about_refresh_tokens(dry_run=dry_run)
    if concerns_anybody:
        lines.append(
            "The clients would have to be told: requests with an old access token are answered 401; refresh, or ask "
            "for a new token."
            if dry_run
            else "Tell the clients: requests with an old access token are answered 401 now; refresh, or ask for a new "
            "token."
        )
    tell = (
        "Resource servers in other projects would have to be told"
        if dry_run
        else "Tell resource servers in other projects"
    )
    lines.append(
        f"{tell}: fetch the JWK set again now. Until they do, they accept the key for as long as they cache the set."
    )
    return lines


def _may_have_live_tokens(radius: AffectedTokens) -> bool:
    """Whether a token may be alive: one whose row was overwritten or deleted is not counted, and works all the same."""
    return bool(radius.tokens) or radius.without_rows or radius.last_expires_at is not None


def _log_in_again(*, dry_run: bool) -> str:
    return f" Their users {'would ' if dry_run else ''}log in again."


def _about_refresh_tokens(*, dry_run: bool) -> list[str]:
    if not dry_run:
        return ["Their refresh tokens still work and bring tokens of the new key."]
    return [
        "Their refresh tokens would still work and bring tokens of the new key.",
        (
            "If those leaked as well, revoke the key with --revoke-refresh-tokens, or, if the database did, with "
            "--revoke-all-refresh-tokens."
        ),
    ]


def _about_radius(radius: AffectedTokens) -> list[str]:
    # Where some have no row, nobody can say how many there are at the most.
    at_most = "At most " if radius.unproven and not radius.without_rows else ""
    tokens = f"{counted(radius.tokens, 'live access token')} {'was' if radius.tokens == 1 else 'were'}"
    concerned = f"{counted(len(radius.clients), 'client')} and {counted(radius.users, 'user')}"
    lines = [f"{at_most}{tokens} signed by it, for {concerned}."]
    lines += [f"  {name}: {number}" for name, number in radius.clients]
    if radius.without_rows:
        lines.append(
            "ROTATE_REFRESH_TOKEN is off: tokens that a refresh has replaced have no row, and are not counted."
        )
    if radius.last_expires_at is not None:
        lines.append(f"The last of them would have expired at {radius.last_expires_at:%Y-%m-%d %H:%M:%S %Z}.")
    return lines


def _as_json(revocation: Revocation, aftermath: RevocationReport) -> list[str]:
    radius = aftermath.affected_tokens
    document = {
        "kid": revocation.kid,
        "already_revoked": revocation.already,
        "successor": revocation.successor.kid if revocation.successor else None,
        "made": [row.kid for row in revocation.made],
        "planned": as_json(revocation.plan),
        "reaches_every_worker_within_seconds": revocation.reaches_every_worker_within,
        "live_tokens": radius.tokens if radius else None,
        "live_tokens_with_a_hash_alone": radius.unproven if radius else None,
        "replaced_tokens_have_no_rows": radius.without_rows if radius else None,
        "clients": [{"name": name, "tokens": number} for name, number in radius.clients] if radius else None,
        "users": radius.users if radius else None,
        "last_expires_at": iso(radius.last_expires_at) if radius else None,
        "refresh_tokens_revoked": aftermath.refresh_tokens.revoked,
        "refresh_tokens_failed": aftermath.refresh_tokens.failed,
        "problems": [*([revocation.problem] if revocation.problem else []), *aftermath.problems],
        "settings": {"REVOKED_KIDS": [revocation.kid]},
    }
    return [json.dumps(document, indent=2)]
