"""``manage.py revoke_signing_key``: withdraw a key that leaked, at once."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.authorization_server.revocation import Revocation, revoke_signing_key
from django_at_jwt.management.refusing import refusing_in_one_line

if TYPE_CHECKING:
    from argparse import ArgumentParser


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
        parser.add_argument(
            "--revoke-refresh-tokens",
            action="store_true",
            help="also revoke the refresh tokens of the tokens that the key may have signed",
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
            CommandError: exit status 1 and one line; nothing was changed.
        """
        # The command line may hold bytes that are no text; a database takes text alone.
        reason = options["reason"].encode(errors="replace").decode().strip()
        if not reason:
            raise CommandError("--reason needs some text.")
        with refusing_in_one_line("The key was not revoked"):
            revocation = revoke_signing_key(
                options["kid"],
                reason=reason,
                revoke_refresh_tokens=options["revoke_refresh_tokens"],
                dry_run=options["dry_run"],
            )
        lines = _as_json(revocation) if options["json"] else _as_text(revocation, options)
        self.stdout.write("\n".join(lines))


def _as_text(revocation: Revocation, options: dict[str, Any]) -> list[str]:
    radius = revocation.blast_radius
    dry = options["dry_run"]
    lines = [f"{'Would revoke' if dry else 'Revoked'} signing key {revocation.kid}."]
    if dry:
        lines.append("Nothing was changed. What follows is what a revocation would mean.")
    lines.append(
        "It is out of the JWK set, its private half is erased, and each process of the issuer refuses it within "
        f"{revocation.reaches_every_worker_within:g} seconds."
    )
    if revocation.successor is not None:
        lines.append(f"Signing key {revocation.successor.kid}, announced before, signs now.")
    lines.append(
        f"At most {radius.tokens} live access tokens were signed by it, for {len(radius.clients)} clients and "
        f"{radius.users} users."
    )
    lines += [f"  {name}: {number}" for name, number in radius.clients]
    if radius.last_expires_at is not None:
        lines.append(f"The last of them would have expired at {radius.last_expires_at:%Y-%m-%d %H:%M:%S %Z}.")
    if options["revoke_refresh_tokens"]:
        did = "to be revoked" if dry else "revoked"
        lines.append(f"Refresh tokens {did}: {revocation.refresh_tokens_revoked}. Their users log in again.")
    else:
        lines.append("Their refresh tokens still work and bring tokens of the new key.")
        if dry:
            lines.append("If those leaked as well, revoke the key with --revoke-refresh-tokens.")
    return [
        *lines,
        "Tell the clients: requests with an old access token are answered 401 now; refresh, or ask for a new token.",
        (
            "Tell resource servers in other projects: fetch the JWK set again now. Until they do, they accept the key "
            "for as long as they cache the set."
        ),
        "So that no restored backup brings the key back, add its kid to the settings:",
        f'  AT_JWT = {{..., "REVOKED_KIDS": ["{revocation.kid}"]}}',
    ]


def _as_json(revocation: Revocation) -> list[str]:
    radius = revocation.blast_radius
    document = {
        "kid": revocation.kid,
        "successor": revocation.successor.kid if revocation.successor else None,
        "reaches_every_worker_within_seconds": revocation.reaches_every_worker_within,
        "live_tokens": radius.tokens,
        "clients": [{"name": name, "tokens": number} for name, number in radius.clients],
        "users": radius.users,
        "last_expires_at": radius.last_expires_at.isoformat() if radius.last_expires_at else None,
        "refresh_tokens_revoked": revocation.refresh_tokens_revoked,
        "settings": {"REVOKED_KIDS": [revocation.kid]},
    }
    return [json.dumps(document, indent=2)]
