"""What the pages say in words, tried: the answers to a client, revocation, and the care of keys."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.management import call_command, get_commands, load_command_class
from django.db.models import F
from django.utils import timezone

from django_at_jwt.authorization_server.keystore import key_store
from django_at_jwt.authorization_server.rotation import rotate_signing_keys
from django_at_jwt.conf import app_settings, problems_in
from django_at_jwt.core.lifecycle import KeyState
from django_at_jwt.models import SigningKey
from tests.conftest import decoded

from .blocks import CHANGELOG, KEYS, PROTECT, SETTINGS, blocks_of, table_rows

pytestmark = pytest.mark.django_db


def issued(client, **asked):
    answer = client.token("client_credentials", **asked)
    assert answer.status_code == 200, answer.content
    return answer.json()["access_token"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def let_time_pass(**duration):
    """Move all instants of the keys back, which is what later looks like."""
    instants = ("announced_at", "signing_at", "retained_at", "retired_at")
    SigningKey.objects.update(**{name: F(name) - timedelta(**duration) for name in instants})
    key_store.forget()


class TestAnswers:
    rows = {row[0]: (int(row[1]), row[2].strip("`")) for row in table_rows(PROTECT, columns=3) if row[1].isdigit()}

    def ask(self, client, words, token, token_without_scope):
        match words.split(",")[0]:
            case "no credentials":
                return client.get("/needs-write/", headers={"Authorization": "Basic YTpi"})
            case "`Bearer` without a token":
                return client.get("/needs-write/", headers={"Authorization": "Bearer"})
            case "a token in the header":
                return client.get("/needs-write/", {"access_token": token}, headers=bearer(token))
            case "a token that must not be accepted":
                return client.get("/needs-write/", headers=bearer(f"{token}x"))
            case "a token without a scope that a permission class asks for":
                return client.get("/needs-write/", headers=bearer(token_without_scope))

    @pytest.mark.compliance("6750-2", "6750-3", "9068-27")
    @pytest.mark.parametrize("words", rows)
    def test_row(self, words, client, service, signing_keys):
        answer = self.ask(client, words, issued(service, scope="write"), issued(service, scope="read"))
        status, challenge = self.rows[words]
        # The view of the tests asks for another scope than the page's.
        assert (answer.status_code, answer["WWW-Authenticate"]) == (status, challenge.replace('"read"', '"write"'))

    def test_the_table_has_them_all(self):
        assert sorted(status for status, _ in self.rows.values()) == [400, 400, 401, 401, 403]


class TestAudience:
    @pytest.mark.compliance("9068-30")
    def test_token_for_one_api_is_worth_nothing_at_another(self, client, service, signing_keys, settings):
        tokens = {resource: issued(service, resource=resource) for resource in (settings.API, settings.REPORTS)}
        assert [decoded(token)[1]["aud"] for token in tokens.values()] == [settings.API, settings.REPORTS]
        answers = {
            (resource, address): client.get(address, headers=bearer(token)).status_code
            for resource, token in tokens.items()
            for address in ("/whoami/", "/reports/")
        }
        assert answers == {
            (settings.API, "/whoami/"): 200,
            (settings.API, "/reports/"): 401,
            (settings.REPORTS, "/whoami/"): 401,
            (settings.REPORTS, "/reports/"): 200,
        }


class TestRevocation:
    @pytest.mark.compliance("7009-1")
    def test_by_the_owner_alone_and_a_refresh_token_takes_its_access_token_with_it(
        self, client, web, user, make_client, signing_keys, settings
    ):
        settings.AT_JWT = {**settings.AT_JWT, "DEFAULT_RESOURCE": "http://testserver/"}
        tokens = web.code_flow(user, scope="read").json()

        def accepted():
            return client.get("/toolkit-drf/", headers=bearer(tokens["access_token"])).status_code == 200

        def revoke(by, token):
            return by.post("/o/revoke_token/", {"token": token}).status_code

        assert revoke(web, "no such token") == 200
        another = make_client(client_id="another")
        for token in tokens["access_token"], tokens["refresh_token"]:
            revoke(another, token)
            assert accepted()
        assert revoke(web, tokens["refresh_token"]) == 200
        assert not accepted()
        assert web.token("refresh_token", refresh_token=tokens["refresh_token"]).status_code == 400

    @pytest.mark.compliance("7009-2")
    def test_is_noticed_at_once_by_the_toolkit_and_at_expiry_by_the_authentication_class(
        self, client, service, signing_keys, settings, monkeypatch
    ):
        settings.AT_JWT = {**settings.AT_JWT, "DEFAULT_RESOURCE": "http://testserver/"}
        token = issued(service, scope="read")
        addresses = ("/whoami/", "/toolkit-drf/", "/toolkit-challenge/")
        assert [client.get(address, headers=bearer(token)).status_code for address in addresses] == [200, 200, 200]
        assert service.post("/o/revoke_token/", {"token": token}).status_code == 200
        assert [client.get(address, headers=bearer(token)).status_code for address in addresses] == [200, 401, 401]

        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 3600 + app_settings().leeway + 1)
        assert client.get("/whoami/", headers=bearer(token)).status_code == 401


class TestSettingsInThePages:
    blocks = [block for page in (KEYS, SETTINGS) for block in blocks_of(page) if block.language == "python"]

    @pytest.mark.parametrize("block", blocks, ids=str)
    def test_can_be_used(self, block, monkeypatch):
        monkeypatch.setenv("KEY_ENCRYPTION_KEYS", ",".join(["A" * 43, "B" * 42 + "A"]))
        values = {"AT_JWT": {"DEFAULT_RESOURCE": "https://www.example.com/"}}
        exec(block.text, values)
        assert len(values["AT_JWT"]) > 1
        assert list(problems_in(values["AT_JWT"])) == []


class TestKeysPage:
    commands = [command for block in blocks_of(KEYS) if block.language == "console" for command in block.commands]

    def test_rotation_twice(self, db, capsys):
        assert self.commands[0] == "python manage.py rotate_signing_keys"
        for said in ("Made a key", "Nothing to do."):
            call_command("rotate_signing_keys")
            assert said in capsys.readouterr().out
        assert sorted(key.state_at(timezone.now()) for key in SigningKey.objects.all()) == ["announced", "signing"]

    def test_exit_status(self, db, monkeypatch):
        # A command line closes the connections, and that of this test with them.
        monkeypatch.setattr("django.core.management.base.connections.close_all", lambda: None)

        def exit_status():
            command = load_command_class("django_at_jwt", "rotate_signing_keys")
            try:
                command.run_from_argv(["manage.py", "rotate_signing_keys", "--skip-checks"])
            except SystemExit as ended:
                return ended.code
            return 0

        done, nothing_to_do = re.search(r"is (\d) where something was done, (\d) where", KEYS.read_text()).groups()
        assert [exit_status(), exit_status()] == [int(done), int(nothing_to_do)]
        assert f"SuccessExitStatus={nothing_to_do}" in KEYS.read_text()

    def test_every_command_is_named(self):
        commands = {command for command, app in get_commands().items() if app == "django_at_jwt"}
        assert {command for command in commands if command not in KEYS.read_text()} == set()
        assert {command for command in commands if command not in CHANGELOG.read_text()} == set()

    def test_key_for_encryption_is_one_that_the_setting_takes(self):
        [command] = [command for command in self.commands if "token_bytes" in command]
        made = subprocess.run([sys.executable, *shlex.split(command)[1:]], capture_output=True, text=True, check=True)
        assert list(problems_in({"KEY_ENCRYPTION_KEYS": [made.stdout.strip()]})) == []

    def test_key_for_encryption_that_is_set_late_opens_nothing(self, client, service, signing_keys, settings, caplog):
        first = settings.AT_JWT
        settings.AT_JWT = {**first, "KEY_ENCRYPTION_KEYS": ["A" * 43]}
        answer = service.token("client_credentials")
        assert (answer.status_code, answer.json()["error"]) == (503, "server_error")
        assert next(key.kid for key in signing_keys if key.state_at(timezone.now()) is KeyState.SIGNING) in caplog.text
        assert len(client.get("/o/.well-known/jwks.json").json()["keys"]) == 2
        settings.AT_JWT = first
        issued(service)

    def test_key_for_encryption_that_is_changed(self, service, settings):
        first = settings.AT_JWT
        settings.AT_JWT = {**first, "KEY_ENCRYPTION_KEYS": ["A" * 43]}
        rotate_signing_keys()
        settings.AT_JWT = {**first, "KEY_ENCRYPTION_KEYS": ["B" * 42 + "A", "A" * 43]}
        key_store.forget()
        issued(service)

    def test_change_of_the_algorithm(self, service, signing_keys, settings):
        [block] = [block for block in blocks_of(KEYS) if "SIGNING_ALGORITHMS" in block.text]
        values = {"AT_JWT": dict(settings.AT_JWT)}
        exec(block.text, values)
        settings.AT_JWT = values["AT_JWT"]
        rotate_signing_keys()
        assert decoded(issued(service))[0]["alg"] == "RS256"
        let_time_pass(days=7, minutes=1)
        assert decoded(issued(service))[0]["alg"] == "ES256"
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256"]}
        rotate_signing_keys()
        states = {key.state_at(timezone.now()) for key in SigningKey.objects.filter(algorithm="RS256")}
        assert states == {KeyState.RETAINED}

    def test_leaked_key(self, client, service, signing_keys, capsys):
        token = issued(service)
        kid = decoded(token)[0]["kid"]
        look, revoke = [shlex.split(command.replace("$KID", kid))[2:] for command in self.commands[-2:]]
        call_command(*look)
        assert f"Would revoke signing key {kid}." in capsys.readouterr().out
        assert client.get("/whoami/", headers=bearer(token)).status_code == 200
        call_command(*revoke)
        said = capsys.readouterr().out
        assert f"Revoked signing key {kid}." in said
        assert "At most 1 live access tokens" in said
        assert kid in said.split("REVOKED_KIDS")[1]

        assert client.get("/whoami/", headers=bearer(token)).status_code == 401
        assert kid not in {key["kid"] for key in client.get("/o/.well-known/jwks.json").json()["keys"]}
        assert SigningKey.objects.get(kid=kid).private_jwe == ""
        assert decoded(issued(service))[0]["kid"] != kid

    def test_leaked_key_whose_kid_begins_with_a_dash(self):
        for command in self.commands[-2:]:
            name, *arguments = shlex.split(command.replace("$KID", "-kid"))[2:]
            parser = load_command_class("django_at_jwt", name).create_parser("manage.py", name)
            assert parser.parse_args(arguments).kid == "-kid"

    def test_leaked_key_in_a_restored_backup(self, client, service, signing_keys, settings):
        kid = decoded(issued(service))[0]["kid"]
        settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": [kid]}
        key_store.forget()
        assert kid not in {key["kid"] for key in client.get("/o/.well-known/jwks.json").json()["keys"]}
        assert "django_at_jwt.E010" in {message.id for message in run_checks()}

    def test_key_for_encryption_that_is_taken_out_after_rewrapping(self, service, settings):
        first = settings.AT_JWT
        settings.AT_JWT = {**first, "KEY_ENCRYPTION_KEYS": ["A" * 43]}
        rotate_signing_keys()
        settings.AT_JWT = {**first, "KEY_ENCRYPTION_KEYS": ["B" * 42 + "A", "A" * 43]}
        assert "rewrap_signing_keys" in KEYS.read_text()
        call_command("rewrap_signing_keys")
        settings.AT_JWT = {**first, "KEY_ENCRYPTION_KEYS": ["B" * 42 + "A"]}
        key_store.forget()
        issued(service)
