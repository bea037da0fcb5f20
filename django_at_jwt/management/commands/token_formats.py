"""``manage.py token_formats``: report live access tokens by client, API and format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from django_at_jwt.authorization_server.token_format_report import report_token_formats
from django_at_jwt.core.quotation import format_instant, iso, quote
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.output import count

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from django_at_jwt.authorization_server.token_format_report import FormatReport, LiveTokens


class Command(BaseCommand):
    """Report live access tokens. Nothing is changed."""

    help = (
        "Reports live access tokens by client, API and format, with the time at which the last one was issued and "
        "the format of the next one. Using a token writes nothing, so when it was last used is unknown. The number of "
        "opaque tokens is exact. Nothing is changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Report.

        Raises:
            CommandError: exit status 1 and one line, if the database fails.
        """
        with as_command_error("Nothing was reported", hint="Run manage.py migrate first."):
            report = report_token_formats(timezone.now())
        self.stdout.write(json.dumps(_as_json(report), indent=2) if options["json"] else "\n".join(_lines(report)))


def _as_json(report: FormatReport) -> dict[str, Any]:
    return {
        "opaque": {
            "tokens": report.number(TokenFormat.OPAQUE),
            "last_expires_at": iso(report.last_expiry(TokenFormat.OPAQUE)),
        },
        "at+jwt": {
            "tokens": report.number(TokenFormat.AT_JWT),
            "last_expires_at": iso(report.last_expiry(TokenFormat.AT_JWT)),
            "replaced_without_rows": report.replaced_without_rows,
            "issued_without_rows": report.issued_without_rows,
        },
        "groups": [_group_as_json(each) for each in report.groups],
    }


def _group_as_json(group: LiveTokens) -> dict[str, Any]:
    return {
        "client_id": group.client_id or None,
        "client_name": group.client_name,
        "audience": list(group.audience),
        "format": group.token_format.value,
        "tokens": group.tokens,
        "counts": "tokens" if group.has_rows else "authorizations",
        "last_issued_at": iso(group.last_issued_at),
        "last_expires_at": iso(group.last_expires_at),
        "next_format": group.next_format and group.next_format.value,
    }


def _lines(report: FormatReport) -> Iterator[str]:
    for group in report.groups:
        number = count(group.tokens, "token") if group.has_rows else f"{count(group.tokens, 'authorization')} or more"
        following = "refused" if group.next_format is None else group.next_format.value
        yield (
            f"{_client(group)} at {', '.join(map(quote, group.audience)) or '(no API)'}: {group.token_format.value}, "
            f"{number}, last issued {format_instant(group.last_issued_at)}, next: {following}"
        )
    yield _opaque_line(report)
    yield f"{count(report.number(TokenFormat.AT_JWT), 'live at+jwt token')}{_more(report)}."


def _client(group: LiveTokens) -> str:
    if not group.client_id:
        return "(deleted client)"
    return f"{quote(group.client_id)} ({quote(group.client_name)})" if group.client_name else quote(group.client_id)


def _opaque_line(report: FormatReport) -> str:
    last = report.last_expiry(TokenFormat.OPAQUE)
    if last is None:
        return "No live opaque tokens."
    number = count(report.number(TokenFormat.OPAQUE), "live opaque token")
    return f"{number}; the last expires at {format_instant(last)}."


def _more(report: FormatReport) -> str:
    reasons = []
    if report.issued_without_rows:
        reasons.append("those without rows are counted by authorization, and not at all if a client acts for itself")
    if report.replaced_without_rows:
        reasons.append("without rotation, a refresh overwrites the row of the former token")
    return f" or more: {'; '.join(reasons)}" if reasons else ""
