"""Facts stated in the pages: responses to a client, revocation, and key management."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.utils import timezone
from django.utils.connection import ConnectionDoesNotExist
from jwcrypto.jwk import JWK

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.conf import app_settings, problems_in
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.core.token_id import TokenId
from django_at_jwt.models import SigningKey
from tests.commands import run
from tests.conftest import decoded
from tests.signing_key_rows import key_in, let_time_pass

from .blocks import (
    CHANGELOG,
    DATABASES,
    KEY_LEAKED,
    KEYS,
    PAGES,
    PROTECT,
    README,
    RESOURCE_SERVERS,
    SETTINGS,
    SUBJECTS,
    blocks_of,
    table_rows,
)

pytestmark = pytest.mark.django_db


def issued(client, **asked):
    answer = client.token("client_credentials", **asked)
    assert answer.status_code == 200, answer.content
    return answer.json()["access_token"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


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
            case "an invalid token":
                return client.get("/needs-write/", headers=bearer(f"{token}x"))
            case "a token without a required scope":
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
    @pytest.mark.parametrize(("revocation", "status"), [("row", 401), ("offline", 200)])
    def test_is_noticed_at_once_by_rows_and_at_expiry_offline(
        self, revocation, status, client, service, signing_keys, settings, monkeypatch
    ):
        settings.AT_JWT = {**settings.AT_JWT, "DEFAULT_RESOURCE": "http://testserver/", "REVOCATION": revocation}
        token = issued(service, scope="read")
        addresses = ("/whoami/", "/toolkit-drf/", "/toolkit-challenge/")
        assert [client.get(address, headers=bearer(token)).status_code for address in addresses] == [200, 200, 200]
        assert service.post("/o/revoke_token/", {"token": token}).status_code == 200
        assert [client.get(address, headers=bearer(token)).status_code for address in addresses] == [status, 401, 401]

        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 3600 + app_settings().leeway + 1)
        assert client.get("/whoami/", headers=bearer(token)).status_code == 401


class TestSettingsInThePages:
    blocks = [
        block
        for page in (KEYS, KEY_LEAKED, RESOURCE_SERVERS, SETTINGS, SUBJECTS)
        for block in blocks_of(page)
        if block.language == "python" and block.file == "mysite/settings.py" and "AT_JWT" in block.text
    ]

    @pytest.mark.parametrize("block", blocks, ids=str)
    def test_can_be_used(self, block, monkeypatch):
        monkeypatch.setenv("KEY_ENCRYPTION_KEYS", ",".join(["A" * 43, "B" * 42 + "A"]))
        monkeypatch.setenv("PAIRWISE_SUBJECT_KEY", "A" * 43)
        values = {"AT_JWT": {"DEFAULT_RESOURCE": "https://www.example.com/"}}
        exec(block.text, values)
        assert len(values["AT_JWT"]) > 1
        assert list(problems_in(values["AT_JWT"])) == []


class TestKeysPage:
    commands = [command for block in blocks_of(KEYS) if block.language == "console" for command in block.commands]

    def test_rotation_twice(self, db, capsys):
        assert self.commands[0] == "python manage.py rotate_signing_keys"
        for said in ("Created a key", "Nothing to do."):
            call_command("rotate_signing_keys")
            assert said in capsys.readouterr().out
        assert sorted(key.state_at(timezone.now()) for key in SigningKey.objects.all()) == ["announced", "signing"]

    def test_exit_status(self, db, monkeypatch):
        # A command line closes the connections, and that of this test with them.
        monkeypatch.setattr("django.core.management.base.connections.close_all", lambda: None)

        def exit_status(*options):
            command = load_command_class("django_at_jwt", "rotate_signing_keys")
            try:
                command.run_from_argv(["manage.py", "rotate_signing_keys", *options])
            except SystemExit as ended:
                return ended.code
            return 0

        text = KEYS.read_text()
        done, nothing_to_do, failed = (
            int(number)
            for number in re.search(
                r"is (\d) if something was done, (\d) if there was nothing to do, and (\d)", text
            ).groups()
        )
        assert exit_status("--dry-run") == done
        assert [exit_status(), exit_status(), exit_status("--dry-run")] == [done, nothing_to_do, nothing_to_do]
        assert exit_status("--algorithm", "RS256") == failed
        assert f"SuccessExitStatus={nothing_to_do}\n" in text
        assert f"|| [ $? -eq {nothing_to_do} ]`" in text

    def test_it_prints_what_the_page_shows(self, db):
        def same_for_all(text):
            return re.sub(r"[\w-]{43}", "KID", re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "INSTANT", text))

        [shown] = [block.text for block in blocks_of(KEYS) if block.text.startswith("Created a key")]
        assert same_for_all(run("rotate_signing_keys")) == same_for_all(shown)

    def test_now_waits_for_the_propagation_time_and_then_for_every_process(self, signing_keys, settings):
        call_command("rotate_signing_keys", "--now")
        announced = key_in(KeyState.ANNOUNCED)
        assert announced.signing_at == announced.announced_at + app_settings().propagation_time
        let_time_pass(days=6, hours=23)
        SigningKey.objects.filter(kid=announced.kid).update(signing_at=timezone.now() + timedelta(days=80))
        settings.AT_JWT = {**settings.AT_JWT, "PROPAGATION_TIME": 7200}
        before = timezone.now()
        call_command("rotate_signing_keys", "--now")
        announced.refresh_from_db()
        assert before <= announced.signing_at - timedelta(seconds=app_settings().key_ring_max_age) <= timezone.now()

    def test_when_the_command_is_not_run(self, service, signing_keys):
        first, announced = (key_in(state) for state in (KeyState.SIGNING, KeyState.ANNOUNCED))
        let_time_pass(days=400)
        announced.refresh_from_db()
        assert key_in(KeyState.SIGNING) == announced
        first.refresh_from_db()
        assert first.state_at(timezone.now()) is KeyState.RETIRED
        assert decoded(issued(service))[0]["kid"] == announced.kid

    def test_rules_of_the_policy_and_the_defaults(self, settings):
        said = [row for row in table_rows(KEYS, columns=2) if row[0].startswith(("`PROPAGATION", "`RETENT", "`ROTAT"))]
        policy, leeway = app_settings().rotation_policy(longest_lifetime=3600), timedelta(seconds=app_settings().leeway)
        needed = app_settings().jwk_set_max_age + timedelta(seconds=app_settings().key_ring_max_age) + leeway
        assert [row[1] for row in said] == [
            f"{policy.propagation_time.days} days (at least {needed})",
            f"{policy.retention} (the minimum)",
            f"{policy.rotation_interval.days} days (at least {policy.propagation_time.days} days)",
        ]
        assert policy.retention == timedelta(hours=1) + leeway

    def test_lifetime_that_was_raised(self, service, signing_keys, settings):
        let_time_pass(days=89, hours=23, minutes=30)
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ACCESS_TOKEN_EXPIRE_SECONDS": 4 * 3600}
        answer = service.token("client_credentials")
        assert (answer.status_code, answer.json()["error"]) == (503, "server_error")
        rotate_signing_keys()
        issued(service)

    def test_caching_of_the_jwk_set(self, client, service, signing_keys, settings):
        def cached_for():
            header = client.get("/o/.well-known/jwks.json")["Cache-Control"]
            return tuple(
                int(re.search(rf"{name}=(\d+)", header)[1])
                for name in ("max-age", "stale-while-revalidate", "stale-if-error")
            )

        assert cached_for() == (3600, 3600, 3600)
        let_time_pass(days=89, hours=23, minutes=30)
        fresh, stale, _ = cached_for()
        assert 1700 < fresh <= 1800
        assert stale == fresh
        let_time_pass(minutes=29, seconds=50)
        assert cached_for()[0] == 60
        settings.AT_JWT = {**settings.AT_JWT, "PROPAGATION_TIME": 3600 + 60 + 100}
        let_time_pass(minutes=-3000)
        assert cached_for() == (3600, 100, 100)

    def test_key_from_the_setting_for_id_tokens(self, client, settings, signing_keys):
        pem = JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_RSA_PRIVATE_KEY": pem}

        def published():
            return [key["kid"] for key in client.get("/o/.well-known/jwks.json").json()["keys"]]

        before = published()
        assert "python manage.py import_signing_key --from-oidc-setting" in self.commands
        call_command("import_signing_key", "--from-oidc-setting")
        assert sorted(published()) == sorted(before)
        assert SigningKey.objects.get(kid=JWK.from_pem(pem.encode()).thumbprint()).kid in before

    def test_purging(self, service, signing_keys):
        issued(service)
        let_time_pass(days=90, hours=1, minutes=1)
        rotate_signing_keys()
        retired = key_in(KeyState.RETIRED)
        # By its mark, a token that it signed may still be alive.
        assert run("purge_signing_keys") == "Nothing to delete.\n"
        SigningKey.objects.update(last_token_expires_at=timezone.now() - timedelta(minutes=2))
        call_command("revoke_signing_key", key_in(KeyState.SIGNING).kid, reason="x")
        assert run("purge_signing_keys") == f"Deleted signing key {retired.kid}.\n"
        assert key_in(KeyState.REVOKED)

    def test_keys_are_read_on_the_primary(self, client, service, settings):
        [router] = [block.text for block in blocks_of(DATABASES) if "ReadFromTheReplica" in block.text]
        names = {}
        exec(router, names)
        rotate_signing_keys()

        # There is no database "replica" here, so that any read from it fails.
        class ForThisApp(names["ReadFromTheReplica"]):
            def db_for_read(self, model, **hints):
                return super().db_for_read(model, **hints) if model is SigningKey else None

        settings.DATABASE_ROUTERS = [ForThisApp()]
        with pytest.raises(ConnectionDoesNotExist):
            SigningKey.objects.count()
        key_store.forget()
        token = issued(service)
        assert client.get("/whoami/", headers=bearer(token)).status_code == 200
        for command in ("rotate_signing_keys", "rewrap_signing_keys", "purge_signing_keys"):
            call_command(command)
        call_command("revoke_signing_key", decoded(token)[0]["kid"], reason="x")
        assert client.get("/whoami/", headers=bearer(token)).status_code == 401

    def test_every_command_is_named(self):
        commands = {command for command, app in get_commands().items() if app == "django_at_jwt"}
        pages = "".join(page.read_text() for page in PAGES)
        assert {command for command in commands if command not in pages} == set()
        assert {command for command in commands if command not in CHANGELOG.read_text()} == set()

    def test_key_for_encryption_is_one_that_the_setting_takes(self):
        [command] = [command for command in self.commands if "token_bytes" in command]
        made = subprocess.run([sys.executable, *shlex.split(command)[1:]], capture_output=True, text=True, check=True)
        assert list(problems_in({"KEY_ENCRYPTION_KEYS": [made.stdout.strip()]})) == []

    def test_key_for_encryption_that_is_set_late(self, service, signing_keys, settings):
        first = settings.AT_JWT
        settings.AT_JWT = {**first, "KEY_ENCRYPTION_KEYS": ["A" * 43]}
        assert self.deployment_checks() >= {"django_at_jwt.W104"}
        key_store.forget()
        issued(service)
        # Until it is encrypted anew, the former key is needed: here it is the one derived from SECRET_KEY.
        former, settings.SECRET_KEY = settings.SECRET_KEY, "another"
        assert self.deployment_checks() >= {"django_at_jwt.E102"}
        settings.SECRET_KEY_FALLBACKS = [former]
        [said] = [block.text for block in blocks_of(KEYS) if block.text.startswith("Re-encrypted")]
        assert run("rewrap_signing_keys") == said
        settings.SECRET_KEY_FALLBACKS = []
        assert not self.deployment_checks() & {"django_at_jwt.E102", "django_at_jwt.W101", "django_at_jwt.W104"}

    def test_key_for_encryption_that_is_lost(self, client, service, signing_keys, settings, caplog):
        settings.SECRET_KEY = "another"
        key_store.forget()
        key_store._opened.clear()
        answer = service.token("client_credentials")
        assert (answer.status_code, answer.json()["error"]) == (503, "server_error")
        signing, announced = (key_in(state) for state in (KeyState.SIGNING, KeyState.ANNOUNCED))
        assert signing.kid in caplog.text
        assert len(client.get("/o/.well-known/jwks.json").json()["keys"]) == 2
        assert "django_at_jwt.E102" in self.deployment_checks()
        # Lost for good: the list of the keys and the three steps of the page.
        [listing] = [block.text for block in blocks_of(KEYS) if "--key-encryption-key-lost --dry-run" in block.text]
        command, program = (shlex.split(part) for part in listing.removeprefix("$ ").split("|\n"))
        assert command[:2] + program[:2] == ["python", "manage.py", "python", "-c"]
        listed = subprocess.run(
            [sys.executable, *program[1:]],
            input=run(*command[2:]),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert set(listed.splitlines()) == {f"{signing.kid} RS256 signing", f"{announced.kid} RS256 announced"}
        with pytest.raises(CommandError, match="is revoked, but: The next key could not be made"):
            call_command("revoke_signing_key", announced.kid, reason="its key-encryption key is lost")
        call_command("rotate_signing_keys", "--key-encryption-key-lost")
        call_command("revoke_signing_key", signing.kid, reason="its key-encryption key is lost")
        issued(service)

    def deployment_checks(self):
        return {message.id for message in run_checks(include_deployment_checks=True)}

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
        let_time_pass(minutes=1)
        states = {key.state_at(timezone.now()) for key in SigningKey.objects.filter(algorithm="RS256")}
        assert states == {KeyState.RETAINED}

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


def test_each_jti_has_the_documented_format():
    pages = [page.read_text() for page in (README, *PAGES)]
    shown = [text for page in pages for text in re.findall(r'"jti": "([^"]+)"|^(\S+\.\S+\.[01])$', page, re.MULTILINE)]
    ids = [TokenId.parse(text or alone) for text, alone in shown]
    assert len(ids) >= 4
    assert None not in ids
