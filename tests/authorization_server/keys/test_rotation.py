"""``rotate_signing_keys`` on a real database, and the output of the command."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.db import OperationalError
from django.db.models import F
from django.utils import timezone

from django_at_jwt.authorization_server.keys import rotation
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.models import SigningKey
from tests import commands
from tests.conftest import made_instances
from tests.signing_key_rows import key_in

pytestmark = pytest.mark.django_db


def run(*arguments) -> str:
    return commands.run("rotate_signing_keys", *arguments)


def states():
    now = timezone.now()
    return sorted((row.algorithm, row.state_at(now).value) for row in SigningKey.objects.all())


def test_first_run_makes_a_signing_key_and_announces_the_next():
    said = run()
    assert states() == [("RS256", "announced"), ("RS256", "signing")]
    assert said.count("Created a key for RS256") == 2
    signing = key_in(KeyState.SIGNING)
    announced = SigningKey.objects.exclude(pk=signing.pk).get()
    assert signing.retained_at == announced.signing_at == signing.signing_at + timedelta(days=90)
    assert signing.retired_at == signing.retained_at + timedelta(seconds=3600 + 30)


def test_second_run_does_nothing(django_assert_max_num_queries):
    run()
    before = list(SigningKey.objects.values())
    assert run().startswith("Nothing to do.")
    assert list(SigningKey.objects.values()) == before


@pytest.mark.usefixtures("keys_made_quickly")
@pytest.mark.parametrize("command", ["rotate_signing_keys", "revoke_signing_key"])
def test_rows_are_read_once_and_not_those_of_retired_keys(command):
    run()
    signing, announced = SigningKey.objects.order_by("signing_at")
    day = timedelta(days=1)
    for number in range(1, 4):
        SigningKey.objects.create(
            kid=f"retired-{number}",
            algorithm=signing.algorithm,
            public_jwk=signing.public_jwk,
            announced_at=signing.signing_at - 30 * day,
            signing_at=signing.signing_at - 20 * day,
            retained_at=signing.signing_at - 10 * day,
            retired_at=signing.signing_at - 5 * day,
        )
    with made_instances(SigningKey) as read:
        if command == "rotate_signing_keys":
            document = json.loads(run("--json", "--dry-run"))
            assert [key["kid"] for key in document["keys"]] == [signing.kid, announced.kid]
        else:
            commands.run(command, signing.kid, "--reason", "x", "--dry-run")
    assert len(read) == 2


def test_retired_key_can_still_be_revoked(signing_keys):
    retired = signing_keys[0]
    now, day = timezone.now(), timedelta(days=1)
    times = {"signing_at": now - 20 * day, "retained_at": now - 10 * day, "retired_at": now - day}
    SigningKey.objects.filter(pk=retired.pk).update(**times)
    commands.run("revoke_signing_key", retired.kid, "--reason", "x")
    retired.refresh_from_db()
    assert retired.revoked_at is not None


@pytest.mark.usefixtures("keys_made_quickly")
@pytest.mark.parametrize("arguments", [(), ("--dry-run",), ("--json",)])
@pytest.mark.parametrize("state", [KeyState.SIGNING, KeyState.ANNOUNCED])
def test_key_that_cannot_be_decrypted_is_an_error(state, arguments, settings):
    run()
    now = timezone.now()
    key = next(row for row in SigningKey.objects.all() if row.state_at(now) is state)
    SigningKey.objects.filter(kid=key.kid).update(private_jwe="no JWE")
    with pytest.raises(CommandError, match=f"private half of signing key {key.kid} is not a compact JWE") as refused:
        run(*arguments)
    assert "\n" not in str(refused.value)
    assert refused.value.returncode == 1


@pytest.mark.usefixtures("keys_made_quickly")
def test_lost_key_encryption_key_is_an_error(settings):
    run()
    settings.SECRET_KEY = "another one"
    with pytest.raises(CommandError, match="key-encryption key that this process does not have"):
        run("--dry-run")


def test_dry_run_changes_nothing():
    assert "Would create a key for RS256" in run("--dry-run")
    assert not SigningKey.objects.exists()


@pytest.mark.usefixtures("keys_made_quickly")
def test_dry_run_shows_the_next_steps():
    def next_steps(said):
        return [line for line in said.splitlines() if line.startswith("ES256: ")]

    dry = next_steps(run("--dry-run"))
    assert len(dry) == 2
    assert dry[0].startswith("ES256: a new key signs until ")
    assert dry[1].startswith("ES256: a new key is announced and signs from ")
    done = next_steps(run())
    assert next_steps(run("--dry-run")) == done
    early = next_steps(run("--now", "--dry-run"))
    assert early[:2] != done
    assert early[2].startswith("ES256: a new key is announced and signs from ")
    made = next_steps(run("--now"))
    assert made[:2] == early[:2]
    assert made[2].split()[2:] == early[2].split()[4:]


@pytest.mark.usefixtures("keys_made_quickly")
def test_json_of_a_dry_run():
    document = json.loads(run("--json", "--dry-run"))
    assert document["changed"] is False
    assert (document["made"], document["keys"]) == ([], [])
    first, second = document["planned"]["new"]
    assert first["algorithm"] == second["algorithm"] == "ES256"
    assert first["retained_at"] == second["signing_at"]
    run()
    document = json.loads(run("--json", "--dry-run", "--now"))
    assert document["changed"] is False
    signing, announced = (
        next(key for key in document["keys"] if key["state"] == each) for each in ("signing", "announced")
    )
    changed = {key["kid"]: key for key in document["planned"]["changed"]}
    assert changed[announced["kid"]]["signing_at"] < announced["signing_at"]
    assert changed[signing["kid"]]["retained_at"] == changed[announced["kid"]]["signing_at"]


def test_json_has_the_keys_and_whether_any_changed():
    document = json.loads(run("--json"))
    assert document["changed"] is True
    assert len(document["made"]) == 2
    assert {key["state"] for key in document["keys"]} == {"signing", "announced"}
    assert json.loads(run("--json"))["changed"] is False


def test_now_still_announces_for_the_propagation_time():
    run()
    run("--now")
    announced = key_in(KeyState.ANNOUNCED)
    assert announced.signing_at == announced.announced_at + timedelta(days=7)


def test_now_with_a_key_announced_long_enough(settings):
    settings.AT_JWT = {**settings.AT_JWT, "PROPAGATION_TIME": 0, "KEY_RING_MAX_AGE": 0, "LEEWAY": 0}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_JWKS_MAX_AGE_SECONDS": 0}
    run()
    before = key_in(KeyState.SIGNING)
    run("--now", "--algorithm", "RS256")
    assert states() == [("RS256", "announced"), ("RS256", "retained"), ("RS256", "signing")]
    before.refresh_from_db()
    assert before.state_at(timezone.now()) is KeyState.RETAINED


def test_due_rotation():
    run()
    week = timedelta(days=91)
    for row in SigningKey.objects.all():
        row.announced_at -= week
        row.signing_at -= week
        row.retained_at = row.retained_at and row.retained_at - week
        row.retired_at = row.retired_at and row.retired_at - week
        row.save()
    said = run()
    assert states() == [("RS256", "announced"), ("RS256", "retired"), ("RS256", "signing")]
    assert "Created a key" in said


def test_another_algorithm_is_announced_before_it_signs(settings):
    run()
    settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256", "RS256"]}
    run()
    assert states() == [("ES256", "announced"), ("ES256", "announced"), ("RS256", "announced"), ("RS256", "signing")]
    from django_at_jwt.authorization_server.keys.store import key_store

    assert key_store.current().signing_key().algorithm.name == "RS256"


@pytest.mark.parametrize("algorithm", ["ES256", "nonsense"])
def test_algorithm_that_is_not_in_use(algorithm):
    with pytest.raises(CommandError, match="SIGNING_ALGORITHMS"):
        run("--now", "--algorithm", algorithm)


def test_algorithm_without_now():
    with pytest.raises(CommandError, match="--algorithm requires --now"):
        run("--algorithm", "RS256")


def test_wrong_settings_are_one_line(settings):
    settings.AT_JWT = {"SIGNING_ALGORITHMS": ["HS256"]}
    with pytest.raises(CommandError, match="SIGNING_ALGORITHMS"):
        run()


def test_missing_table_is_one_line(monkeypatch):
    def fail(**_options):
        raise OperationalError("no such table:\n\tsigning keys\n")

    monkeypatch.setattr("django_at_jwt.management.commands.rotate_signing_keys.rotate_signing_keys", fail)
    with pytest.raises(CommandError, match=r"no such table: signing keys\. .* was manage\.py migrate run\?"):
        run()


@pytest.mark.skipif("ML-DSA-44" not in ALGORITHMS, reason="this jwcrypto or cryptography has no ML-DSA")
def test_size_of_post_quantum_tokens_is_shown(settings):
    settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256", "ML-DSA-44"]}
    said = run()
    assert said.count("Tokens signed with ML-DSA-44 are about 3726 bytes long") == 1
    assert "Tokens signed with ES256" not in said


def test_rotation_is_atomic(monkeypatch):
    made = []
    make = rotation._make_key

    def fail_the_second_time(new):
        if made:
            raise RuntimeError("killed")
        made.append(make(new))
        return made[0]

    monkeypatch.setattr(rotation, "_make_key", fail_the_second_time)
    with pytest.raises(RuntimeError):
        rotate_signing_keys()
    assert not SigningKey.objects.exists()


def test_now_waits_until_every_process_has_read_the_change():
    run()
    SigningKey.objects.update(announced_at=F("announced_at") - timedelta(days=8))
    before = timezone.now()
    run("--now")
    after = timezone.now()
    signing = key_in(KeyState.SIGNING)
    announced = key_in(KeyState.ANNOUNCED)
    assert signing.retained_at == announced.signing_at
    assert before <= announced.signing_at - timedelta(seconds=30) <= after
    assert run("--now").startswith("Nothing to do.")
