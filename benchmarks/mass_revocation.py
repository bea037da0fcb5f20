"""Revoke the refresh tokens of a site together with a leaked key: CPU time of Python and of PostgreSQL.

Each variant revokes those of a new copy of one database. The process of a variant is this module:
``python -m benchmarks.mass_revocation SIZE`` fills the database of ``DATABASE_URL``, and
``python -m benchmarks.mass_revocation run VARIANT`` prints what a variant has cost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import django

from .big_sites.sizes import Size
from .postgresql import absence, new_database
from .report import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUICK_ROUNDS: Final = 10
_SITE: Final = Size(tokens=200_000, users=20_000, clients=200, apis=20, mappers=10, keys=4)
_QUICK_SITE: Final = Size(tokens=2_000, users=200, clients=20, apis=10, mappers=10, keys=4)
_ALL: Final = "all, 1 of 20 access tokens live"
_OF_KEY: Final = "all, every access token live"
_OF_OTHER_KEYS: Final = "all, every access token live and of another key"
_OF_ITS_TOKENS: Final = "those of the key's access tokens, every one live"


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and yield the table; none without PostgreSQL."""
    reason = absence()
    if reason:
        print(f"\nmass_revocation was skipped: {reason}.")
        return
    site = _QUICK_SITE if rounds < _QUICK_ROUNDS else _SITE
    rows = []
    for live_share, variants in ((20, (_ALL, _ALL)), (1, (_OF_KEY, _OF_OTHER_KEYS, _OF_ITS_TOKENS))):
        size = Size(**{**asdict(site), "live_share": live_share})
        with new_database() as filled:
            _in_process(filled, json.dumps(asdict(size)))
            for variant in variants:
                with new_database(template=filled) as url:
                    rows.append({"variant": variant, **_in_process(url, "run", variant)})
    first, again = rows.pop(0), rows[0]
    yield Table(
        title=f"Revoking the {site.tokens} refresh tokens of a site, CPU time in seconds",
        rows=rows,
        null_control=_seconds(again) / _seconds(first),
        unrest=0.0,
        goal="set-based SQL, 200,000 rows in seconds",
    )


def _seconds(row: dict[str, Any]) -> float:
    return float(row["Python s"] + row["database s"])


def _in_process(url: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", __name__, *arguments],
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main(*arguments: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.site_settings"
    django.setup()
    print(json.dumps(_revoke(arguments[1]) if arguments[0] == "run" else _fill(Size(**json.loads(arguments[0])))))


def _fill(size: Size) -> dict[str, Any]:
    from django.core.management import call_command  # noqa: PLC0415 - after the settings

    from .big_sites.fill import fill  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    fill(size)
    return {}


def _revoke(variant: str) -> dict[str, Any]:
    from django.db import connection  # noqa: PLC0415 - after the settings

    from django_at_jwt.authorization_server.keys.revocation import (  # noqa: PLC0415
        RefreshTokens,
        revoke_refresh_tokens_of_key,
    )
    from django_at_jwt.models import DenyListEntry, IssuedToken, SigningKey  # noqa: PLC0415

    from .big_sites.worker import seconds_of  # noqa: PLC0415

    which = RefreshTokens.OF_ITS_TOKENS if variant == _OF_ITS_TOKENS else RefreshTokens.ALL
    signing = SigningKey.objects.get(kid=IssuedToken.objects.values_list("kid", flat=True).earliest("pk"))
    others = SigningKey.objects.exclude(pk=signing.pk)
    key = others.earliest("pk") if variant == _OF_OTHER_KEYS else signing
    statements = 0

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*arguments)

    entries = DenyListEntry.objects.count()
    backend = connection.connection.info.backend_pid
    database, python, began = seconds_of(backend), time.process_time(), time.monotonic()
    with connection.execute_wrapper(count):
        counts = revoke_refresh_tokens_of_key(which, key.times, dry_run=False)
    return {
        "Python s": time.process_time() - python,
        "database s": seconds_of(backend) - database,
        "elapsed s": time.monotonic() - began,
        "SQL": statements,
        "revoked": counts.revoked,
        "deny list entries": DenyListEntry.objects.count() - entries,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
