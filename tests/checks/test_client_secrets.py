"""The checks of the hasher for client secrets."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.db import OperationalError, connection
from oauth2_provider.generators import generate_client_secret

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.models import ClientSecretKey
from tests.client_secret_fixtures import COUNTING, OURS
from tests.commands import run

from .test_checks import found

pytestmark = pytest.mark.django_db


def test_site_with_the_hasher_has_no_problem(keyed_hasher):
    assert found() == {}
    assert "django_at_jwt.W107" not in found(deploy=True)


def test_slow_secrets_are_reported_for_production(hashed):
    rotate_signing_keys()
    assert found() == {}
    message = found(deploy=True)["django_at_jwt.W107"]
    assert OURS in message.hint
    assert '"at_jwt_hmac_sha256"' in message.hint


@pytest.mark.parametrize("hashers", [[OURS], [OURS, COUNTING]])
def test_hasher_must_not_be_first(hashers, keyed_hasher, settings):
    settings.PASSWORD_HASHERS = hashers
    assert [*found()] == ["django_at_jwt.E024"]


def test_hasher_that_is_named_must_be_installed(keyed_hasher, settings):
    settings.PASSWORD_HASHERS = [COUNTING]
    message = found()["django_at_jwt.E025"]
    assert "CLIENT_SECRET_HASHER" in message.msg
    assert f'"{OURS}"' in message.hint


def test_hasher_of_stored_secrets_must_be_installed(keyed_hasher, settings, make_client):
    make_client(client_secret=generate_client_secret())
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CLIENT_SECRET_HASHER": "default"}
    assert found() == {}
    settings.PASSWORD_HASHERS = [COUNTING]
    message = found()["django_at_jwt.E025"]
    assert message.msg.startswith("1 client secrets are hashed by")
    assert "check_client_secrets" in message.hint


def test_key_that_is_missing(keyed_hasher):
    ClientSecretKey.objects.all().delete()
    message = found()["django_at_jwt.W025"]
    assert message.msg.startswith("No client secret key exists")
    assert "rotate_signing_keys" in message.hint
    rotate_signing_keys()
    assert found() == {}


def test_table_that_cannot_be_read(keyed_hasher):
    ClientSecretKey.objects.all().delete()
    table = ClientSecretKey._meta.db_table

    def unreachable(execute, sql, params, many, context):
        if table in sql:
            raise OperationalError
        return execute(sql, params, many, context)

    with connection.execute_wrapper(unreachable):
        assert "django_at_jwt.W025" not in found()


def test_key_that_cannot_be_decrypted(keyed_hasher, settings):
    settings.SECRET_KEY = "another"
    assert found() == {}
    errors = [each for each in run_checks(include_deployment_checks=True) if each.id == "django_at_jwt.E102"]
    key = ClientSecretKey.objects.get()
    [error] = [each for each in errors if each.msg.startswith(f"Client secret key {key.kid} is encrypted with")]
    assert "503" in error.hint


def test_key_of_an_older_key_encryption_key(keyed_hasher, settings):
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": ["A" * 43]}
    assert found(deploy=True)["django_at_jwt.W104"].msg.startswith("3 keys ")
    run("rewrap_signing_keys")
    settings.SECRET_KEY = "another"
    assert found(deploy=True).keys().isdisjoint({"django_at_jwt.W104", "django_at_jwt.E102"})
