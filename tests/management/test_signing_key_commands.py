"""The commands that revoke, re-encrypt and purge signing keys."""

from __future__ import annotations

import base64
import io
import json
from datetime import timedelta
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone
from jwcrypto.jwk import JWK
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.authorization_server.keys.last_expiry import LastTokenExpiry, last_token_expiry
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys, safe_to_purge_after
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.management.commands.revoke_signing_key import Command as Revoke
from django_at_jwt.management.commands.rotate_signing_keys import Command as Rotate
from django_at_jwt.models import ClientSecretKey, SigningKey
from django_at_jwt.models.instants import as_datetime
from tests.client_secret_fixtures import create_client_secret_key
from tests.commands import run
from tests.conftest import decoded
from tests.signing_key_rows import key_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("connection_of_the_test")]


class TestRevoke:
    def test_at_once_and_with_the_announced_key_signing(self, signing_keys, service, client, user, web):
        leaked, announced = key_in(KeyState.SIGNING), key_in(KeyState.ANNOUNCED)
        token = service.token("client_credentials").json()["access_token"]
        web.code_flow(user)
        assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 200

        said = run("revoke_signing_key", leaked.kid, "--reason", "in a public repository")

        assert "\n2 live access tokens were signed by it, for 2 clients and 1 user." in said
        assert f'"REVOKED_KIDS": ["{leaked.kid}"]' in said
        assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 401
        kids = {key["kid"] for key in client.get("/o/.well-known/jwks.json").json()["keys"]}
        assert leaked.kid not in kids
        assert announced.kid in kids
        assert len(kids) == 2
        new = service.token("client_credentials").json()["access_token"]
        assert decoded(new)[0]["kid"] == announced.kid
        leaked.refresh_from_db()
        assert leaked.private_jwe == ""
        assert leaked.revocation_reason == "in a public repository"

    def test_the_set_is_cached_briefly_afterwards(self, signing_keys, client):
        run("revoke_signing_key", key_in(KeyState.SIGNING).kid, "--reason", "x")
        assert "max-age=60," in client.get("/o/.well-known/jwks.json")["Cache-Control"]

    def test_dry_run_changes_nothing(self, signing_keys):
        before = list(SigningKey.objects.values())
        said = run("revoke_signing_key", key_in(KeyState.SIGNING).kid, "--reason", "x", "--dry-run")
        assert "Would revoke" in said
        assert "It would be removed from the JWK set" in said
        assert f"The announced signing key {key_in(KeyState.ANNOUNCED).kid} would sign immediately." in said
        assert "you would have to add its kid" in said
        assert not any(told in said for told in ("It is", "signs now", "still work and", "now get status 401", "Tell "))
        assert list(SigningKey.objects.values()) == before

    def test_refresh_tokens_too(self, signing_keys, web, user):
        answer = web.code_flow(user).json()
        said = run("revoke_signing_key", key_in(KeyState.SIGNING).kid, "--reason", "x", "--revoke-refresh-tokens")
        assert "Refresh tokens revoked: 1." in said
        assert not get_access_token_model().objects.filter(expires__gt=timezone.now()).exists()
        assert not get_refresh_token_model().objects.filter(revoked=None).exists()
        assert web.token("refresh_token", refresh_token=answer["refresh_token"]).json()["error"] == "invalid_grant"

    def test_dry_run_with_tokens_uses_the_conditional(self, signing_keys, web, user):
        web.code_flow(user)
        kid = key_in(KeyState.SIGNING).kid
        said = run("revoke_signing_key", kid, "--reason", "x", "--dry-run")
        assert "Their refresh tokens would still work" in said
        assert "You would have to tell the clients" in said
        said = run("revoke_signing_key", kid, "--reason", "x", "--dry-run", "--revoke-refresh-tokens")
        assert "Refresh tokens to be revoked: 1. Their users would have to log in again." in said
        assert get_refresh_token_model().objects.filter(revoked=None).count() == 1

    @pytest.mark.parametrize("options", [(), ("--revoke-refresh-tokens",)])
    def test_key_without_tokens_affects_no_client(self, options, signing_keys):
        said = run("revoke_signing_key", key_in(KeyState.SIGNING).kid, "--reason", "x", *options)
        assert "\n0 live access tokens were signed by it, for 0 clients and 0 users." in said
        assert not any(told in said for told in ("refresh tokens still", "the clients", "to log in again"))
        assert "Tell resource servers in other projects" in said

    def test_without_that_they_bring_tokens_of_the_new_key(self, signing_keys, web, user):
        answer = web.code_flow(user).json()
        announced = key_in(KeyState.ANNOUNCED)
        run("revoke_signing_key", key_in(KeyState.SIGNING).kid, "--reason", "x")
        refreshed = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
        assert decoded(refreshed["access_token"])[0]["kid"] == announced.kid

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_reason_is_needed(self, reason, signing_keys):
        with pytest.raises(CommandError, match="--reason must not be empty"):
            run("revoke_signing_key", key_in(KeyState.SIGNING).kid, "--reason", reason)

    def test_reason_that_is_not_text(self, signing_keys):
        key = key_in(KeyState.SIGNING)
        run("revoke_signing_key", key.kid, "--reason", "a \udcff")
        key.refresh_from_db()
        assert key.revocation_reason == "a ?"

    def test_key_that_came_from_the_toolkits_setting_leaves_the_set_too(self, db, settings, client):
        pem = JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode()
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_RSA_PRIVATE_KEY": pem}
        run("import_signing_key", "--from-oidc-setting")
        kid = key_in(KeyState.SIGNING).kid
        run("revoke_signing_key", "--reason", "x", "--", kid)
        assert kid not in {key["kid"] for key in client.get("/o/.well-known/jwks.json").json()["keys"]}

    def test_imported_key_whose_kid_begins_with_a_hyphen(self, signing_keys, settings, tmp_path):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
        while not (jwk := JWK.generate(kty="EC", crv="P-256")).thumbprint().startswith("-"):
            pass
        (tmp_path / "key.json").write_text(jwk.export_private())
        run("import_signing_key", str(tmp_path / "key.json"), "--algorithm", "ES256")
        run("revoke_signing_key", "--reason", "x", "--", jwk.thumbprint())
        assert SigningKey.objects.get(kid=jwk.thumbprint()).revoked_at

    def test_json_names_what_is_affected_and_what_to_set(self, signing_keys, service):
        service.token("client_credentials")
        kid = key_in(KeyState.SIGNING).kid
        document = json.loads(run("revoke_signing_key", kid, "--reason", "x", "--json"))
        assert document["kid"] == kid
        assert document["live_tokens"] == 1
        assert document["clients"] == [{"name": "client-credentials client", "tokens": 1}]
        assert document["settings"] == {"REVOKED_KIDS": [kid]}
        assert document["reaches_every_worker_within_seconds"] == 30

    def test_tokens_of_other_keys_do_not_count(self, signing_keys, service):
        service.token("client_credentials")
        assert "\n0 live" in run("revoke_signing_key", key_in(KeyState.ANNOUNCED).kid, "--reason", "x")

    def test_announced_key(self, signing_keys):
        signing, announced = key_in(KeyState.SIGNING), key_in(KeyState.ANNOUNCED)
        run("revoke_signing_key", announced.kid, "--reason", "x")
        assert key_in(KeyState.SIGNING) == signing
        successor = key_in(KeyState.ANNOUNCED)
        assert successor != announced
        signing.refresh_from_db()
        assert signing.retained_at == successor.signing_at

    @pytest.mark.parametrize("what", ["unknown", "revoked", "only"])
    def test_refusals_are_one_line_and_change_nothing(self, what, signing_keys):
        kid = key_in(KeyState.SIGNING).kid
        match what:
            case "unknown":
                kid, expected = "no such\nkid", "There is no signing key no such kid"
            case "revoked":
                run("revoke_signing_key", kid, "--reason", "x")
                expected = "already"
            case "only":
                SigningKey.objects.exclude(kid=kid).delete()
                expected = "only usable key for RS256. Run manage.py rotate_signing_keys first."
        before = list(SigningKey.objects.values())
        with pytest.raises(CommandError, match=expected) as refused:
            run("revoke_signing_key", kid, "--reason", "x")
        assert "\n" not in str(refused.value)
        assert list(SigningKey.objects.values()) == before

    def test_restored_backup_does_not_bring_it_back(self, signing_keys, service, client, settings, tmp_path):
        leaked = key_in(KeyState.SIGNING)
        token = service.token("client_credentials").json()["access_token"]
        backup = tmp_path / "backup.json"
        call_command("dumpdata", "django_at_jwt", output=str(backup))
        run("revoke_signing_key", leaked.kid, "--reason", "x")
        settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": [leaked.kid]}
        SigningKey.objects.all().delete()
        call_command("loaddata", str(backup), verbosity=0)
        key_store.forget()
        assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 401
        kids = {key["kid"] for key in client.get("/o/.well-known/jwks.json").json()["keys"]}
        assert leaked.kid not in kids
        assert service.token("client_credentials").status_code == 503
        # The remedy that the check names: revoke it again.
        said = run("revoke_signing_key", leaked.kid, "--reason", "restored from a backup")
        assert f"Revoked signing key {leaked.kid}." in said
        assert "REVOKED_KIDS" not in said
        assert service.token("client_credentials").status_code == 200


class TestClientSecretKey:
    """``rotate_signing_keys`` creates the key of the hasher for client secrets, once."""

    CREATED = "Created the key that hashes client secrets."

    @pytest.fixture
    def without_key(self, keyed_hasher):
        ClientSecretKey.objects.all().delete()

    def test_is_created_once(self, without_key):
        assert self.CREATED in run("rotate_signing_keys").splitlines()
        [key] = ClientSecretKey.objects.all()
        assert run("rotate_signing_keys").startswith("Nothing to do.")
        assert [*ClientSecretKey.objects.all()] == [key]

    def test_exit_status(self, without_key):
        for changed in (True, False):
            command = Rotate(stdout=io.StringIO())
            call_command(command)
            assert command.changed is changed

    def test_dry_run(self, without_key):
        assert "Would create the key that hashes client secrets." in run("rotate_signing_keys", "--dry-run")
        assert not ClientSecretKey.objects.exists()

    def test_json_names_a_new_key(self, without_key):
        document = json.loads(run("rotate_signing_keys", "--json"))
        assert document["changed"] is True
        assert document["client_secret_key"] == ClientSecretKey.objects.get().kid
        document = json.loads(run("rotate_signing_keys", "--json"))
        assert document["changed"] is False
        assert document["client_secret_key"] is None

    def test_is_not_created_without_the_hasher(self, signing_keys):
        run("rotate_signing_keys")
        assert not ClientSecretKey.objects.exists()

    def test_lost_key_encryption_key(self, keyed_hasher, settings):
        settings.SECRET_KEY = "another"
        SigningKey.objects.all().delete()
        with pytest.raises(
            CommandError, match=r"client secret key \w+ is encrypted with .* run rotate_signing_keys --key"
        ):
            run("rotate_signing_keys")
        assert not SigningKey.objects.exists()
        assert self.CREATED in run("rotate_signing_keys", "--key-encryption-key-lost")
        assert ClientSecretKey.objects.count() == 2
        assert run("rotate_signing_keys").startswith("Nothing to do.")


class TestPurgeOfClientSecretKeys:
    @pytest.fixture
    def former(self, keyed_hasher):
        former = ClientSecretKey.objects.get()
        create_client_secret_key()
        ClientSecretKey.objects.update(created_at=F("created_at") - timedelta(days=1))
        return former

    def test_former_key_that_no_secret_needs(self, former):
        assert run("purge_signing_keys", "--dry-run") == f"Would delete client secret key {former.kid}.\n"
        assert run("purge_signing_keys") == f"Deleted client secret key {former.kid}.\n"
        assert run("purge_signing_keys") == "Nothing to delete.\n"
        assert ClientSecretKey.objects.count() == 1

    def test_former_key_of_a_secret(self, former, make_client):
        ClientSecretKey.objects.exclude(pk=former.pk).update(created_at=former.created_at - timedelta(days=2))
        secret = generate_client_secret()
        client = make_client("client-credentials", client_secret=secret)
        assert former.kid in client.application.client_secret
        create_client_secret_key()
        ClientSecretKey.objects.update(created_at=F("created_at") - timedelta(days=1))
        run("purge_signing_keys")
        assert ClientSecretKey.objects.filter(pk=former.pk).exists()
        assert client.token("client_credentials", client_secret=secret).status_code == 200
        run("purge_signing_keys")
        assert not ClientSecretKey.objects.filter(pk=former.pk).exists()
        assert client.token("client_credentials", client_secret=secret).status_code == 200

    def test_not_while_a_process_may_not_know_the_newest(self, former):
        create_client_secret_key()
        assert run("purge_signing_keys") == "Nothing to delete.\n"

    def test_no_key(self, signing_keys):
        assert run("purge_signing_keys") == "Nothing to delete.\n"


class TestRewrap:
    NEW, OLD = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"n", b"o"))

    def test_to_the_newest(self, settings, service):
        settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": [self.OLD]}
        rotate_signing_keys()
        settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": [self.NEW, self.OLD]}
        assert "Would re-encrypt 2 keys; 0 already up to date." in run("rewrap_signing_keys", "--dry-run")
        assert "Re-encrypted 2 keys; 0 already up to date." in run("rewrap_signing_keys")
        assert "Re-encrypted 0 keys; 2 already up to date." in run("rewrap_signing_keys")
        settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": [self.NEW]}
        key_store.forget()
        assert service.token("client_credentials").status_code == 200

    def test_key_of_client_secrets_too(self, settings, keyed_hasher, make_client):
        secret = generate_client_secret()
        client = make_client("client-credentials", client_secret=secret)
        settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": [self.NEW]}
        assert "Re-encrypted 3 keys; 0 already up to date." in run("rewrap_signing_keys")
        settings.SECRET_KEY = "another"
        assert client.token("client_credentials", client_secret=secret).status_code == 200

    def test_keys_that_cannot_be_opened_are_named_and_left(self, settings, signing_keys):
        settings.SECRET_KEY = "another secret"
        before = list(SigningKey.objects.values())
        with pytest.raises(CommandError) as failed:
            run("rewrap_signing_keys")
        for key in signing_keys:
            assert key.kid in str(failed.value)
        assert list(SigningKey.objects.values()) == before


class TestPurge:
    def retired(self, last_token_in=timedelta(0)):
        now = timezone.now()
        key = key_in(KeyState.SIGNING)
        SigningKey.objects.filter(pk=key.pk).update(
            signing_at=now - timedelta(days=9),
            retained_at=now - timedelta(days=8),
            retired_at=now - timedelta(days=7),
            last_token_expires_at=now + last_token_in,
        )
        return key

    def test_only_when_no_token_can_be_alive(self, signing_keys):
        key = self.retired(last_token_in=timedelta(minutes=5))
        assert "Nothing to delete." in run("purge_signing_keys")
        assert f"Would delete signing key {key.kid}." in run("purge_signing_keys", "--force", "--dry-run")
        assert f"Deleted signing key {key.kid}." in run("purge_signing_keys", "--force")
        assert not SigningKey.objects.filter(pk=key.pk).exists()

    def test_when_the_last_token_is_long_gone(self, signing_keys):
        key = self.retired(last_token_in=-timedelta(days=7))
        assert f"Deleted signing key {key.kid}." in run("purge_signing_keys")

    def test_other_states_stay_even_by_force(self, signing_keys):
        run("revoke_signing_key", key_in(KeyState.SIGNING).kid, "--reason", "x")
        assert "Nothing to delete." in run("purge_signing_keys", "--force")


class TestLastTokenExpiry:
    def test_is_never_below_the_truth_and_seldom_written(self, signing_keys, service, django_assert_num_queries):
        token = service.token("client_credentials").json()["access_token"]
        key = key_in(KeyState.SIGNING)
        exp = decoded(token)[1]["exp"]
        assert exp <= key.last_token_expires_at.timestamp() <= exp + 61
        for _ in range(3):
            with django_assert_num_queries(5):
                service.token("client_credentials")

    def test_many_processes_together_write_it_once_a_minute(self, signing_keys):
        kid = key_in(KeyState.SIGNING).kid
        processes, written = [LastTokenExpiry() for _ in range(8)], []
        for second in range(600):
            expires_at = 2_000_000_000 + second
            processes[second * 7 % 8].record(kid, expires_at)
            mark = SigningKey.objects.get(kid=kid).last_token_expires_at.timestamp()
            assert mark >= expires_at
            if mark not in written:
                written.append(mark)
        assert len(written) <= 10
        assert all(later - earlier > 60 for earlier, later in pairwise(written))

    def test_what_another_process_wrote_is_read_once_a_minute(self, signing_keys, django_assert_num_queries):
        kid = key_in(KeyState.SIGNING).kid
        LastTokenExpiry().record(kid, 2_000_000_000)
        process = LastTokenExpiry()
        with django_assert_num_queries(2):
            for second in range(61):
                process.record(kid, 2_000_000_000 + second)

    def test_of_a_key_that_is_gone_is_not_recorded(self, signing_keys):
        last_token_expiry.record("a key that was deleted", 2_000_000_000)
        assert not SigningKey.objects.exclude(last_token_expires_at=None).exists()

    def test_site_without_time_zones(self, signing_keys, settings):
        kid = key_in(KeyState.SIGNING).kid
        settings.USE_TZ = False
        LastTokenExpiry().record(kid, 2_000_000_000)
        LastTokenExpiry().record(kid, 2_000_000_030)
        assert SigningKey.objects.get(kid=kid).last_token_expires_at == as_datetime(2_000_000_060)

    def test_another_process_does_not_lower_it(self, signing_keys):
        key = key_in(KeyState.SIGNING)
        last_token_expiry.record(key.kid, 2_000_000_000)
        last_token_expiry.forget()
        last_token_expiry.record(key.kid, 1_900_000_000)
        key.refresh_from_db()
        assert key.last_token_expires_at.timestamp() == 2_000_000_060

    def test_json_has_the_time_from_which_a_purge_is_safe(self, signing_keys, service):
        service.token("client_credentials")
        document = json.loads(run("rotate_signing_keys", "--json"))
        signing = next(key for key in document["keys"] if key["state"] == "signing")
        row = key_in(KeyState.SIGNING)
        assert signing["safe_to_purge_after"] == safe_to_purge_after(row).isoformat() == row.retired_at.isoformat()

    def test_token_never_outlives_its_key(self, signing_keys, service, settings, caplog):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ACCESS_TOKEN_EXPIRE_SECONDS": 10 * 365 * 86400}
        assert service.token("client_credentials").status_code == 503
        assert "outlive" in caplog.text
        assert not get_access_token_model().objects.exists()
        run("rotate_signing_keys")
        assert service.token("client_credentials").status_code == 200


def test_exit_status_of_a_rotation(db, capsys):
    Rotate().run_from_argv(["manage.py", "rotate_signing_keys"])
    with pytest.raises(SystemExit) as nothing:
        Rotate().run_from_argv(["manage.py", "rotate_signing_keys"])
    assert nothing.value.code == 3
    with pytest.raises(SystemExit) as failed:
        Rotate().run_from_argv(["manage.py", "rotate_signing_keys", "--algorithm", "x", "--now"])
    assert failed.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_kid_that_reads_as_an_option(signing_keys, capsys):
    kid = "-" + "A" * 42
    SigningKey.objects.filter(pk=key_in(KeyState.SIGNING).pk).update(kid=kid)
    Revoke().run_from_argv(["manage.py", "revoke_signing_key", kid, "--reason", "x", "--dry-run"])
    assert f"Would revoke signing key {kid}." in capsys.readouterr().out


class TestCommandsThatMend:
    def test_checks_do_not_stand_in_their_way(self, signing_keys, settings, capsys):
        leaked = key_in(KeyState.SIGNING)
        settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": [leaked.kid], "PROPAGATION_TIME": 1}
        Revoke().run_from_argv(["manage.py", "revoke_signing_key", leaked.kid, "--reason", "restored"])
        assert f"Revoked signing key {leaked.kid}." in capsys.readouterr().out
        leaked.refresh_from_db()
        assert leaked.revoked_at is not None
        assert key_in(KeyState.SIGNING).kid != leaked.kid

    def test_key_that_only_the_settings_revoke_is_revoked_everywhere(self, signing_keys, settings):
        leaked = key_in(KeyState.SIGNING)
        settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": [leaked.kid]}
        assert leaked.state_at(timezone.now()) is KeyState.REVOKED
        document = json.loads(run("rotate_signing_keys", "--json"))
        assert next(key for key in document["keys"] if key["kid"] == leaked.kid)["state"] == "revoked"

    def test_refresh_tokens_that_cannot_be_revoked_do_not_save_the_key(self, signing_keys, web, user, monkeypatch):
        web.code_flow(user)
        leaked = key_in(KeyState.SIGNING)

        def fail(_token):
            raise RuntimeError("a site's own revoke()")

        monkeypatch.setattr(get_refresh_token_model(), "revoke", fail)
        with pytest.raises(CommandError, match=f"{leaked.kid} is revoked, but: 1 refresh token could not be revoked"):
            run("revoke_signing_key", leaked.kid, "--reason", "x", "--revoke-refresh-tokens")
        leaked.refresh_from_db()
        assert leaked.revoked_at is not None
        assert leaked.private_jwe == ""


def test_lifetime_that_the_site_hands_to_oauthlib(settings):
    from django_at_jwt.conf import access_token_lifetime, app_settings

    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "EXTRA_SERVER_KWARGS": {"token_expires_in": 86400.5}}
    assert access_token_lifetime() == 86401
    policy = app_settings().rotation_policy(longest_lifetime=access_token_lifetime())
    assert policy.retention == timedelta(seconds=86401 + 30)
