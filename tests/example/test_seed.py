"""What ``manage.py seed_example`` makes and says."""

import json
import shutil
import sqlite3

import pytest

from example_project.server_process import environment_for, run_manage

pytestmark = pytest.mark.ci

BASE_URL = "http://127.0.0.1:8123"


@pytest.fixture(scope="module")
def environment(migrated_example, tmp_path_factory):
    folder = shutil.copytree(migrated_example, tmp_path_factory.mktemp("seed"), dirs_exist_ok=True)
    return environment_for(folder, EXAMPLE_BASE_URL=BASE_URL)


def contents(environment):
    with sqlite3.connect(environment["DATABASE_URL"].removeprefix("sqlite:///")) as connection:
        return list(connection.iterdump())


@pytest.fixture(scope="module")
def first_run(environment):
    return run_manage(environment, "seed_example", "--json")


def test_prints_the_document_and_nothing_else(first_run):
    assert first_run.returncode == 0
    # The log says which keys were made.
    assert {line.partition(" ")[0] for line in first_run.stderr.splitlines()} == {"Signing", "The"}
    assert json.loads(first_run.stdout) == {
        "issuer": f"{BASE_URL}/o",
        "token_endpoint": f"{BASE_URL}/o/token/",
        "authorization_endpoint": f"{BASE_URL}/o/authorize/",
        "jwks_uri": f"{BASE_URL}/o/.well-known/jwks.json",
        "introspection_endpoint": f"{BASE_URL}/o/introspect/",
        "revocation_endpoint": f"{BASE_URL}/o/revoke_token/",
        "resource_servers": [
            {
                "identifier": f"{BASE_URL}/api/",
                "url": f"{BASE_URL}/api/notes/",
                "scopes": ["api:read", "api:write"],
            },
            {
                "identifier": f"{BASE_URL}/reports/",
                "url": f"{BASE_URL}/reports/summary/",
                "scopes": ["reports:read"],
            },
        ],
        "mcp_server": {"url": "http://127.0.0.1:8001/mcp", "scopes": ["notes:read", "notes:write"]},
        "users": [
            {"username": "alice", "password": "alice-example-password", "is_superuser": False},
            {"username": "admin", "password": "admin-example-password", "is_superuser": True},
        ],
        "clients": {
            "web": {
                "client_id": "example-web",
                "client_secret": "example-web-secret",
                "redirect_uri": f"{BASE_URL}/callback/",
                "scopes": ["openid", "api:read", "api:write", "reports:read"],
            },
            "spa": {
                "client_id": "example-spa",
                "client_secret": None,
                "redirect_uri": f"{BASE_URL}/callback/",
                "scopes": ["openid", "api:read", "api:write", "reports:read", "notes:read", "notes:write"],
            },
            "service": {
                "client_id": "example-service",
                "client_secret": "example-service-secret",
                "redirect_uri": None,
                "scopes": ["api:read", "reports:read", "notes:read"],
            },
            "device": {
                "client_id": "example-device",
                "client_secret": None,
                "redirect_uri": None,
                "scopes": ["api:read", "api:write", "reports:read"],
            },
        },
    }


def test_a_second_run_changes_nothing_and_says_the_same(environment, first_run):
    before = contents(environment)
    second_run = run_manage(environment, "seed_example", "--json")
    assert (second_run.returncode, second_run.stdout) == (0, first_run.stdout)
    assert contents(environment) == before


def test_apis_of_another_port_are_removed_and_those_of_others_stay(environment, first_run):
    theirs = ("http://127.0.0.1:9000/theirs/", "https://example.com/api/")
    with sqlite3.connect(environment["DATABASE_URL"].removeprefix("sqlite:///")) as connection:
        insert = (
            "INSERT INTO django_at_jwt_resourceserver SELECT NULL, {columns} FROM django_at_jwt_resourceserver "
            "WHERE identifier = ?"
        )
        names = [row[1] for row in connection.execute("PRAGMA table_info(django_at_jwt_resourceserver)")][1:]
        columns = ", ".join("?" if name == "identifier" else f'"{name}"' for name in names)
        for identifier in ("http://127.0.0.1:9000/api/", *theirs):
            connection.execute(insert.format(columns=columns), (identifier, f"{BASE_URL}/api/"))
    assert run_manage(environment, "seed_example", "--json").stdout == first_run.stdout
    with sqlite3.connect(environment["DATABASE_URL"].removeprefix("sqlite:///")) as connection:
        stored = {each for (each,) in connection.execute("SELECT identifier FROM django_at_jwt_resourceserver")}
        connection.executemany(
            "DELETE FROM django_at_jwt_resourceserver WHERE identifier = ?", [(each,) for each in theirs]
        )
    assert stored == {f"{BASE_URL}/api/", f"{BASE_URL}/reports/", "http://127.0.0.1:8001/mcp", *theirs}


def test_the_system_checks_have_nothing_to_say(environment, first_run):
    checked = run_manage(environment, "check", "--fail-level", "WARNING")
    assert (checked.returncode, checked.stdout) == (0, "System check identified no issues (0 silenced).\n")


def test_secrets_and_private_keys_are_not_in_clear_in_the_database(environment, first_run):
    dump = "\n".join(contents(environment))
    secrets = ("alice-example-password", "admin-example-password", "example-web-secret", "example-service-secret")
    assert not [secret for secret in secrets if secret in dump]
    assert '"d"' not in dump
    assert "PRIVATE KEY" not in dump


def test_what_somebody_changed_is_mended(environment, first_run):
    with sqlite3.connect(environment["DATABASE_URL"].removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE oauth2_provider_application SET redirect_uris = '', client_secret = 'other'")
        connection.execute("DELETE FROM auth_user WHERE username = 'admin'")
    assert run_manage(environment, "seed_example", "--json").stdout == first_run.stdout
    with sqlite3.connect(environment["DATABASE_URL"].removeprefix("sqlite:///")) as connection:
        clients = connection.execute("SELECT client_id, redirect_uris, client_secret FROM oauth2_provider_application")
        clients = {client_id: (redirect_uris, secret) for client_id, redirect_uris, secret in clients}
        users = {name for (name,) in connection.execute("SELECT username FROM auth_user")}
    assert users == {"alice", "admin"}
    assert clients["example-spa"] == (f"{BASE_URL}/callback/", "")
    assert clients["example-web"][1].startswith("pbkdf2_sha256$")


def test_says_it_in_words_to_people(environment, first_run):
    said = run_manage(environment, "seed_example").stdout
    assert "alice, password alice-example-password\n" in said
    assert "admin, password admin-example-password, superuser\n" in said
    assert "service: example-service, secret example-service-secret, scopes api:read reports:read notes:read\n" in said
    assert "spa: example-spa, public, without a secret" in said
    assert "http://127.0.0.1:8001/mcp, scopes notes:read notes:write, run manage.py run_mcp_server\n" in said
    assert f"{BASE_URL}/reports/, scopes reports:read, try {BASE_URL}/reports/summary/" in said


def test_asks_for_migrate_where_it_was_not_run(tmp_path):
    done = run_manage(environment_for(tmp_path), "seed_example", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Run manage.py migrate first." in done.stderr
    assert "Traceback" not in done.stderr
