"""``manage.py check_issuers``: fetch the metadata and keys of each remote issuer, and try its revocation."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import UnacceptableDocument
from django_at_jwt.core.jose.keyring import KeyRing
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.outbound.http import FetchFailed
from django_at_jwt.resource_server.remote.deny_list import retrieve_revocations
from django_at_jwt.resource_server.remote.discovery import retrieve
from django_at_jwt.resource_server.remote.shared_cache import SharedCache
from django_at_jwt.resource_server.remote_issuers import remote_introspection, remote_options
from django_at_jwt.resource_server.verification import accepted_issuers

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from django_at_jwt.conf import IssuerSettings
    from django_at_jwt.core.remote_issuer import IssuerSnapshot


class Command(BaseCommand):
    """Fetch from every issuer in ``AT_JWT["ISSUERS"]``. The workers' shared copy is shown, but not changed."""

    requires_system_checks = ()
    help = (
        'Fetches the metadata and keys of each issuer in AT_JWT["ISSUERS"], and shows which keys would be used, which '
        "not and why, and the age of the workers' shared copy. Also fetches the document of revocations if "
        '"revocation" is "deny_list", and tries the credentials if it is "introspect". '
        "Exit status: 0 all issuers usable, 1 otherwise."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Fetch and report.

        Raises:
            CommandError: exit status 1 and one line, if the settings are invalid or have no issuer.
        """
        try:
            accepted_issuers()
            issuers = app_settings().issuers
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        if not issuers:
            raise CommandError('AT_JWT["ISSUERS"] is empty, so there is no issuer to check.')
        reports = [_report(issuer) for issuer in issuers]
        if options["json"]:
            self.stdout.write(json.dumps({"issuers": reports}, indent=2))
        else:
            self.stdout.write("\n\n".join(map(_as_text, reports)))
        if not all(report["usable"] for report in reports):
            sys.exit(1)


def _report(issuer: IssuerSettings) -> dict[str, Any]:
    now, fetch_options = time.time(), remote_options(issuer)
    shared = SharedCache(fetch_options).read()
    report: dict[str, Any] = {
        "issuer": issuer.issuer,
        "audience": list(issuer.audience),
        "revocation": str(issuer.revocation),
        "usable": False,
        "workers_copy_seconds_old": None if shared is None else round(now - shared.confirmed_at, 1),
    }
    try:
        retrieved = retrieve(fetch_options)
    except FetchFailed as error:
        return report | {"problem": str(error)}
    snapshot = retrieved.snapshot
    problem = _revocation_problem(issuer, snapshot) if snapshot.keys else "the JWK set contains no usable key"
    return report | {
        "usable": problem is None,
        **({} if problem is None else {"problem": problem}),
        "seconds": round(time.time() - now, 3),
        "jwks_uri": snapshot.jwks_uri,
        "metadata_used_for_seconds": round(snapshot.metadata_until - snapshot.confirmed_at),
        "keys_asked_for_again_after_seconds": round(snapshot.refresh_at - snapshot.confirmed_at),
        "keys": [{"kid": key.kid, "algorithm": key.algorithm.name} for key in snapshot.keys],
        "skipped": [{"kid": key.kid, "reason": key.reason} for key in retrieved.skipped],
    }


def _revocation_problem(issuer: IssuerSettings, snapshot: IssuerSnapshot) -> str | None:
    """Return why revocations of the issuer cannot be checked, or ``None``."""
    try:
        if issuer.revocation is Revocation.INTROSPECT:
            remote_introspection(issuer).try_credentials()
        elif issuer.revocation is Revocation.DENY_LIST:
            keys, leeway = KeyRing.of(snapshot.keys), app_settings().leeway_for(issuer)
            if not retrieve_revocations(remote_options(issuer), keys, leeway=leeway).complete:
                return "the issuer has too many revocations to publish them"
    except (FetchFailed, UnacceptableDocument) as error:
        return f"revocations: {error}"
    return None


def _as_text(report: dict[str, Any]) -> str:
    lines = [f"{report['issuer']}: {'usable' if report['usable'] else 'NOT USABLE'}"]
    lines.append(f"  audience: {', '.join(report['audience'])}")
    lines.append(f"  revocation: {report['revocation']}")
    age = report["workers_copy_seconds_old"]
    lines.append("  workers' copy: (none)" if age is None else f"  workers' copy: confirmed {age:g} seconds ago")
    if "problem" in report:
        lines.append(f"  {report['problem']}")
    if "keys" not in report:
        return "\n".join(lines)
    lines.append(f"  JWK set: {report['jwks_uri']}, fetched in {report['seconds']:g} seconds")
    lines.append(
        f"  next fetch: keys after {report['keys_asked_for_again_after_seconds']} seconds, metadata after "
        f"{report['metadata_used_for_seconds']} seconds"
    )
    lines += [f"  used: {key['kid']} ({key['algorithm']})" for key in report["keys"]]
    lines += [f"  not used: {key['kid']}: {key['reason']}" for key in report["skipped"]]
    return "\n".join(lines)
