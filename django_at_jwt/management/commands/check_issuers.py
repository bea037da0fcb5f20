"""``manage.py check_issuers``: ask each remote issuer now, and show what it answers and what of it is used."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.conf import app_settings
from django_at_jwt.resource_server.remote.discovery import retrieve
from django_at_jwt.resource_server.remote.http import FetchFailed
from django_at_jwt.resource_server.remote.shared_cache import SharedCache
from django_at_jwt.resource_server.verification import accepted_issuers, remote_options

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django_at_jwt.conf import IssuerSettings


class Command(BaseCommand):
    """Ask every issuer in ``AT_JWT["ISSUERS"]``. What the workers share is shown, and not changed."""

    requires_system_checks = ()
    help = (
        "Asks each issuer in AT_JWT['ISSUERS'] for its metadata and keys, and shows what would be used, what refused "
        "and why, and how old the workers' copy is. Exit status: 0 all usable, 1 otherwise."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="say it as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ask, and report.

        Raises:
            CommandError: exit status 1 and one line, where the settings name no issuer or cannot be used.
        """
        try:
            accepted_issuers()
            issuers = app_settings().issuers
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        if not issuers:
            raise CommandError("AT_JWT['ISSUERS'] names no issuer.")
        reports = [_report(issuer) for issuer in issuers]
        if options["json"]:
            self.stdout.write(json.dumps({"issuers": reports}, indent=2))
        else:
            self.stdout.write("\n\n".join(map(_as_text, reports)))
        if not all(report["usable"] for report in reports):
            sys.exit(1)


def _report(issuer: IssuerSettings) -> dict[str, Any]:
    now, fetch_options = time.time(), remote_options()
    shared = SharedCache(issuer, fetch_options).read()
    report: dict[str, Any] = {
        "issuer": issuer.issuer,
        "audience": list(issuer.audience),
        "usable": False,
        "workers_copy_seconds_old": None if shared is None else round(now - shared.confirmed_at, 1),
    }
    try:
        retrieved = retrieve(issuer, fetch_options)
    except FetchFailed as error:
        return report | {"problem": str(error)}
    snapshot = retrieved.snapshot
    return report | {
        "usable": bool(snapshot.keys),
        **({} if snapshot.keys else {"problem": "it publishes no key that can be used"}),
        "seconds": round(time.time() - now, 3),
        "jwks_uri": snapshot.jwks_uri,
        "metadata_used_for_seconds": round(snapshot.metadata_until - snapshot.confirmed_at),
        "keys_asked_for_again_after_seconds": round(snapshot.refresh_at - snapshot.confirmed_at),
        "keys": [{"kid": key.kid, "algorithm": key.algorithm.name} for key in snapshot.keys],
        "skipped": [{"kid": key.kid, "reason": key.reason} for key in retrieved.skipped],
    }


def _as_text(report: dict[str, Any]) -> str:
    lines = [f"{report['issuer']}: {'usable' if report['usable'] else 'NOT USABLE'}"]
    lines.append(f"  audience: {', '.join(report['audience'])}")
    age = report["workers_copy_seconds_old"]
    lines.append("  workers' copy: none" if age is None else f"  workers' copy: confirmed {age:g} seconds ago")
    if "problem" in report:
        lines.append(f"  {report['problem']}")
    if "keys" not in report:
        return "\n".join(lines)
    lines.append(f"  keys: {report['jwks_uri']}, read in {report['seconds']:g} seconds")
    lines.append(
        f"  asked for again: keys after {report['keys_asked_for_again_after_seconds']} seconds, metadata after "
        f"{report['metadata_used_for_seconds']}"
    )
    lines += [f"  used: {key['kid']} ({key['algorithm']})" for key in report["keys"]]
    lines += [f"  not used: {key['kid']}: {key['reason']}" for key in report["skipped"]]
    return "\n".join(lines)
