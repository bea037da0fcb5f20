"""``manage.py check_client_secrets``: report how the secrets of clients are stored."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from django.contrib.auth.hashers import identify_hasher
from django.core.management.base import BaseCommand
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server.client_secrets.hasher import is_hash, is_keyed_hash, looks_like_hash
from django_at_jwt.core.quotation import quote
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.output import count
from django_at_jwt.models.primary import primary_rows


class Command(BaseCommand):
    """Report how the secrets of clients are stored, and which clients need this app."""

    # The command explains what a check reports.
    requires_system_checks = ()
    help = (
        "Reports how the secrets of clients are stored. Before you remove this app, it must list no client whose "
        "secret only this app can verify."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Report; nothing is changed.

        Raises:
            CommandError: the clients cannot be read.
        """
        clients: dict[str, list[str]] = defaultdict(list)
        with as_command_error("The clients were not read"):
            rows = primary_rows(get_application_model()).order_by("pk")
            for client_id, secret, hashed in rows.values_list("client_id", "client_secret", "hash_client_secret"):
                clients[_storage(secret, in_plain=not hashed)].append(client_id)
        for storage in sorted(clients):
            self.stdout.write(f"{count(len(clients[storage]), 'client')}: {storage}")
            if storage in {_OURS, _UNKNOWN}:
                self.stdout.write("\n".join(f"  {quote(client_id)}" for client_id in clients[storage]))
        if not clients[_OURS]:
            self.stdout.write("No client secret needs this app.")


_OURS: Final = "keyed hash, which only this app can verify"
_UNKNOWN: Final = "hash whose hasher is not in PASSWORD_HASHERS; the client is refused"


def _storage(secret: str, *, in_plain: bool) -> str:
    if is_keyed_hash(secret):
        return _OURS
    if is_hash(secret):
        return f"password hash, {identify_hasher(secret).algorithm}"
    return _UNKNOWN if looks_like_hash(secret, in_plain=in_plain) else "plain text"
