"""``manage.py revoke_tokens``: counts, dry runs, and one line if there is nothing to revoke."""

from __future__ import annotations

import pytest
from django.core.management import CommandError
from django.db import OperationalError

from django_at_jwt.management.commands import revoke_tokens
from django_at_jwt.models import DenyListEntry, ResourceServer
from tests import commands
from tests.authorization_server.revocation.grants import entries, granted
from tests.links import forget_links

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

MAIL = "https://mail.example.com/"


def run(*arguments) -> str:
    return commands.run("revoke_tokens", *arguments)


@pytest.fixture
def tokens(make_client, user, signing_keys):
    web = make_client(client_id="webshop")
    return granted(web, web.code_flow(user))


def test_user_is_counted_then_revoked_then_reported_as_revoked(tokens, user):
    said = "all tokens of user alice (1 authorization, 1 live access token, 1 refresh token).\n"
    assert run("--user", "alice", "--dry-run") == f"Would revoke {said}"
    assert entries() == []
    assert tokens.is_live()
    assert run("--user", str(user.pk)) == f"Revoked {said}"
    assert entries() == [("authorization", tokens.authorization.identifier)]
    assert not tokens.is_live()
    assert run("--user", "alice") == "Nothing to revoke: user alice has no live token.\n"
    assert len(entries()) == 1


def test_client_is_counted_then_revoked(tokens):
    said = "all tokens of client webshop issued until now (1 authorization, 1 live access token, 1 refresh token).\n"
    assert run("--client", "webshop", "--dry-run") == f"Would revoke {said}"
    assert entries() == []
    assert run("--client", "webshop") == f"Revoked {said}"
    assert entries() == [("client", "webshop")]
    assert "(0 live access tokens, 0 refresh tokens)" in run("--client", "webshop")


def test_authorization_is_counted_then_revoked_then_reported_as_ended(tokens):
    identifier = tokens.authorization.identifier
    said = f"all tokens of authorization {identifier} (1 authorization, 1 live access token, 1 refresh token).\n"
    assert run("--authorization", identifier, "--dry-run") == f"Would revoke {said}"
    assert run("--authorization", identifier) == f"Revoked {said}"
    assert entries() == [("authorization", identifier)]
    again = f"Nothing to revoke: authorization {identifier} has ended before (revoked by an administrator).\n"
    assert run("--authorization", identifier) == again
    assert len(entries()) == 1


def test_token_is_counted_then_revoked_then_reported_as_revoked(tokens):
    said = f"token {tokens.token_id} (1 live access token, 1 refresh token).\n"
    assert run("--jti", tokens.token_id, "--dry-run") == f"Would revoke {said}"
    assert run("--jti", tokens.token_id) == f"Revoked {said}"
    assert entries() == [("token", tokens.token_id), ("authorization", tokens.authorization.identifier)]
    again = f"Nothing to revoke: token {tokens.token_id} has expired or was revoked before.\n"
    assert run("--jti", tokens.token_id) == again
    forget_links()
    assert run("--jti", tokens.token_id) == again
    assert len(entries()) == 2


def test_audience_is_announced_then_revoked(db):
    ResourceServer.objects.create(identifier=MAIL, name="Mail")
    said = f"all tokens for {MAIL} issued until now, at that API only.\n"
    assert run("--audience", MAIL, "--dry-run") == f"Would revoke {said}"
    assert entries() == []
    assert run("--audience", MAIL) == f"Revoked {said}"
    assert entries() == [("audience", MAIL)]
    assert DenyListEntry.objects.get().issued_until is not None


PURGED = "it expired and was purged, or the jti is mistyped"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--user", "nobody"], "No user has the username or primary key 'nobody'."),
        (["--user", "\udcff"], "The argument must be valid UTF-8."),
        (["--client", "no\nbody"], r"No client has the client ID 'no\nbody'."),
        (["--authorization", "0" * 32], f"no authorization has the identifier '{'0' * 32}'."),
        (["--jti", "0" * 32], f"no token with the jti '{'0' * 32}' is stored: {PURGED}."),
        (["--jti", "line\nbreak"], rf"no token with the jti 'line\nbreak' is stored: {PURGED}."),
        (["--audience", "https://nowhere.example.com/"], "no API has the identifier 'https://nowhere.example.com/'."),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_unknown_is_one_line_and_changes_nothing(arguments, said, tokens):
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert str(refused.value) in {said, f"No token was revoked: {said}"}
    assert refused.value.returncode == 1
    assert entries() == []
    assert tokens.is_live()


@pytest.mark.parametrize("arguments", [[], ["--user", "alice", "--client", "webshop"]])
def test_exactly_one(arguments):
    with pytest.raises(CommandError, match=r"required|not allowed with"):
        run(*arguments)


def test_missing_tables(db, monkeypatch):
    def fail(_text):
        raise OperationalError("no such table:\nauth_user")

    monkeypatch.setattr(revoke_tokens, "find_user", fail)
    with pytest.raises(CommandError) as refused:
        run("--user", "alice")
    assert str(refused.value) == (
        "No token was revoked: no such table: auth_user. Is the database up, and was manage.py migrate run?"
    )
