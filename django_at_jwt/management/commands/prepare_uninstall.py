"""``manage.py prepare_uninstall``: make the stored tokens usable by django-oauth-toolkit alone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Q
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.revocation.rows import BATCH, end_device_codes, rows_in_batches
from django_at_jwt.conf.oauth2_provider import CLIENT_SECRET_HASHER
from django_at_jwt.core.quotation import quote
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.output import count
from django_at_jwt.models import Authorization
from django_at_jwt.models.authorization import credential_hash
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping

    from django.db.models import QuerySet


class Command(BaseCommand):
    """Remove the audience from the rows of live tokens, end used device codes, and report what else needs this app."""

    # The command runs while the checks report that parts of this app are missing.
    requires_system_checks = ()
    help = (
        "Removes the default resource from the rows of live tokens and codes. django-oauth-toolkit alone would refuse "
        "them at its own endpoints, such as userinfo. Rows for other APIs are kept. Also ends device codes that were "
        "used, and reports the clients whose secret only this app can verify. It can be run any number of times."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--resource",
            action="append",
            default=[],
            help="identifier of another API whose tokens may be used at all views of this project; can be repeated",
        )
        parser.add_argument("--dry-run", action="store_true", help="show what would be changed, but change nothing")

    def handle(self, *_args: Any, resource: list[str], dry_run: bool, **_options: Any) -> None:
        """Change the rows, and report.

        Raises:
            CommandError: exit status 1 and one line.
        """
        with as_command_error("The rows were not all changed", hint="Run the command again."):
            default = registry.latest().default
            removed = {*resource, *([default] if default else [])}
            if not removed:
                raise CommandError("There is no default resource, so no row was changed. Name one with --resource.")
            report = {kind: _remove(rows, removed, dry_run=dry_run) for kind, rows in _live_rows().items()}
            used = _end_used_device_codes(dry_run=dry_run)
            keyed = primary_rows(get_application_model()).filter(client_secret__startswith=f"{CLIENT_SECRET_HASHER}$")
            secrets = keyed.count()
        changed = _in_words({kind: changes.changed for kind, changes in report.items()})
        self.stdout.write(f"{'Would remove' if dry_run else 'Removed'} the audience from {changed}.")
        self._write_kept(report)
        if used:
            self.stdout.write(
                f"{'Would end' if dry_run else 'Ended'} {count(used, 'used device code')}, since django-oauth-toolkit "
                "alone would accept a device code again."
            )
        if secrets:
            self.stdout.write(
                f"Only this app can verify the secret of {count(secrets, 'client')}: run check_client_secrets before "
                "you remove the hasher."
            )

    def _write_kept(self, report: Mapping[str, _Changes]) -> None:
        kept = _in_words({kind: sum(changes.kept.values()) for kind, changes in report.items()})
        resources = sorted({each for changes in report.values() for each in changes.kept})
        if resources:
            self.stdout.write(
                f"Kept the audience of {kept}, since these are for other APIs: {', '.join(map(quote, resources))}. "
                "django-oauth-toolkit accepts them only at addresses that begin with one of their resources. To remove "
                "this audience too, name it with --resource."
            )


class _Changes(NamedTuple):
    """How many rows were changed, and how many were kept by their resources, separated by spaces."""

    changed: int
    kept: Mapping[str, int]


def _in_words(numbers: Mapping[str, int]) -> str:
    *first, last = [count(number, kind) for kind, number in numbers.items()]
    return f"{', '.join(first)} and {last}"


def _live_rows() -> dict[str, QuerySet[Any]]:
    now = timezone.now()
    return {
        "code": primary_rows(get_grant_model()).filter(expires__gt=now),
        "access token": primary_rows(get_access_token_model()).filter(expires__gt=now),
        "refresh token": primary_rows(get_refresh_token_model()).filter(revoked__isnull=True),
    }


def _remove(rows: QuerySet[Any], removed: set[str], *, dry_run: bool) -> _Changes:
    """Empty the resources of the rows that have no others than those to remove, with one statement for each list."""
    changed, kept = 0, defaultdict[str, int](int)
    for resources, number in rows.order_by().values_list("resource").annotate(Count("pk")):
        if not resources:
            continue
        if not removed.issuperset(resources):
            kept[" ".join(resources)] += number
        elif dry_run:
            changed += number
        else:
            changed += rows.filter(resource=resources).update(resource=[])
    return _Changes(changed, kept)


def _end_used_device_codes(*, dry_run: bool) -> int:
    """End the device codes whose tokens were issued, with three statements for each thousand; return their number.

    Only this app knows that they are used: django-oauth-toolkit's rows stay authorized.
    """
    model, ended = get_device_grant_model(), 0
    usable = primary_rows(model).filter(status=model.AUTHORIZED, expires__gt=timezone.now())
    for batch in rows_in_batches(usable.values_list("pk", "device_code", named=True), size=BATCH):
        keys = {credential_hash(row.device_code): row.pk for row in batch}
        exchanged = primary_rows(Authorization).filter(code_hash__in=keys, code_used_at__isnull=False)
        hashes = set(exchanged.values_list("code_hash", flat=True))
        used = [key for code_hash, key in keys.items() if code_hash in hashes]
        if used and not dry_run:
            end_device_codes(Q(pk__in=used))
        ended += len(used)
    return ended
