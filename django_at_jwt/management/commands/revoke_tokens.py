"""``manage.py revoke_tokens``: revoke the tokens of a user, client, authorization or API, or one token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.authorization_server.claims.lookup import find_client, find_user
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.revocation.authorizations import find_authorization
from django_at_jwt.authorization_server.revocation.impact import (
    TokenCounts,
    tokens_of_authorization,
    tokens_of_client,
    tokens_of_link,
    tokens_of_users,
)
from django_at_jwt.authorization_server.revocation.issued_tokens import is_live, issued_token
from django_at_jwt.authorization_server.revocation.revoke import (
    revoke_audience,
    revoke_authorization,
    revoke_client,
    revoke_token,
    revoke_user,
)
from django_at_jwt.conf import token_user_model
from django_at_jwt.core.quotation import is_storable, quote
from django_at_jwt.management.errors import MIGRATE_HINT, as_command_error
from django_at_jwt.management.output import count
from django_at_jwt.models import Authorization

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable


class _Revocation(NamedTuple):
    """What to revoke: how it is called, what it would end, and how to do it.

    ``nothing`` is a sentence if there is nothing to revoke. ``counts`` is ``None`` if tokens cannot be counted.
    """

    named: str
    counts: TokenCounts | None
    revoke: Callable[[], object]
    nothing: str | None = None


class Command(BaseCommand):
    """Revoke tokens, and report how many."""

    # The command may be needed while the checks report something else.
    requires_system_checks = ()
    help = (
        "Revokes all tokens of a user, client, authorization or API, or one access token and the refresh token issued "
        "with it. Users and clients have to request new ones."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--user", help="username or primary key of a user")
        what.add_argument("--client", help="client ID of a client; its users are logged out of it")
        what.add_argument("--authorization", help="identifier of an authorization: the first part of a jti")
        what.add_argument(
            "--jti", help="the jti of an access token, as in the log of an API or shown by verify_access_token"
        )
        what.add_argument("--audience", help="identifier of an API; its tokens stay valid at other APIs")
        parser.add_argument("--dry-run", action="store_true", help="show what would be revoked, but change nothing")

    def handle(self, *_args: Any, dry_run: bool, **options: Any) -> None:
        """Revoke, and report.

        Raises:
            CommandError: exit status 1 and one line; nothing was revoked.
        """
        [(kind, text)] = [(name, options[name]) for name in _KINDS if options.get(name) is not None]
        with as_command_error("No token was revoked", hint=MIGRATE_HINT):
            try:
                asked = _KINDS[kind](text)
            except (LookupError, Authorization.DoesNotExist) as error:
                raise CommandError(f"No token was revoked: {str(error.args[0]).rstrip('.')}.") from None
            if asked.nothing is not None:
                self.stdout.write(asked.nothing)
                return
            if not dry_run:
                asked.revoke()
        self.stdout.write(f"{'Would revoke' if dry_run else 'Revoked'} {asked.named}{_in_words(asked.counts)}.")


def _of_user(text: str) -> _Revocation:
    user = find_user(_storable(text))
    counts = tokens_of_users([user], token_user_model())
    nothing = None if any(counts) else f"Nothing to revoke: user {user} has no live token."
    return _Revocation(f"all tokens of user {user}", counts, lambda: revoke_user(user), nothing)


def _of_client(text: str) -> _Revocation:
    # Always denied: tokens whose row was overwritten by a refresh cannot be counted.
    client = find_client(_storable(text))
    named = f"all tokens of client {client.client_id} issued until now"
    return _Revocation(named, tokens_of_client(client), lambda: revoke_client(client))


def _of_authorization(text: str) -> _Revocation:
    row = find_authorization(text)
    nothing = None
    if row.ended_at is not None:
        reason = row.get_end_reason_display()
        nothing = f"Nothing to revoke: authorization {row.identifier} has ended before ({reason})."
    revoke = lambda: revoke_authorization(row.identifier)  # noqa: E731
    return _Revocation(f"all tokens of authorization {row.identifier}", tokens_of_authorization(row), revoke, nothing)


def _of_token(text: str) -> _Revocation:
    link = issued_token(text)
    named = f"token {text}"
    if link is None or not is_live(link):
        nothing = f"Nothing to revoke: {named} has expired or was revoked before."
        return _Revocation(named, None, lambda: None, nothing)
    return _Revocation(named, tokens_of_link(link), lambda: revoke_token(link.token_id))


def _at_api(text: str) -> _Revocation:
    if registry.latest().named(text) is None:
        raise LookupError(f"no API has the identifier {quote(text)}.")
    named = f"all tokens for {text} issued until now, at that API only"
    return _Revocation(named, None, lambda: revoke_audience(text))


_KINDS: Final = {
    "user": _of_user,
    "client": _of_client,
    "authorization": _of_authorization,
    "jti": _of_token,
    "audience": _at_api,
}


def _storable(text: str) -> str:
    if not is_storable(text):
        raise CommandError("The argument must be valid UTF-8.")
    return text


def _in_words(counts: TokenCounts | None) -> str:
    if counts is None:
        return ""
    parts = [count(counts.access_tokens, "live access token"), count(counts.refresh_tokens, "refresh token")]
    if counts.authorizations:
        parts.insert(0, count(counts.authorizations, "authorization"))
    return f" ({', '.join(parts)})"
