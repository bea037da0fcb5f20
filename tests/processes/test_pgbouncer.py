"""A site behind PgBouncer in transaction mode, with the settings of the documentation."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
import requests

from tests.docs.blocks import DATABASES, blocks_of
from tests.patience import PATIENCE_SECONDS

from .databases import CLIENT, manage, run
from .pgbouncer import pgbouncer
from .servers import gunicorn

SITE = {"DJANGO_SETTINGS_MODULE": "tests.processes.pgbouncer_settings"}
POLICY = {"TEST_POLICY": json.dumps({"KEY_RING_MAX_AGE": 0, "REVOCATION_MAX_AGE": 0})}


@pytest.fixture
def url(prepared_databases, tmp_path):
    with prepared_databases.copy("postgresql", tmp_path) as direct, pgbouncer(tmp_path) as through:
        yield through(direct)


def test_the_settings_are_those_of_the_page():
    from . import pgbouncer_settings

    [text] = [block.text for block in blocks_of(DATABASES) if "DISABLE_SERVER_SIDE_CURSORS" in block.text]
    written = {"DATABASES": {"default": {}}}
    exec(text, written)
    assert written["DATABASES"]["default"].items() <= pgbouncer_settings.DATABASES["default"].items()


@pytest.mark.ci
def test_tokens_revocation_and_rotation(url, tmp_path):
    def issued(address):
        data = {"grant_type": "client_credentials", **CLIENT}
        answer = requests.post(f"{address}/o/token/", data=data, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]

    def status(address, token):
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{address}/whoami/", headers=headers, timeout=PATIENCE_SECONDS).status_code

    with (
        gunicorn(url, tmp_path / "log", workers=2, threads=8, **SITE, **POLICY) as address,
        ThreadPoolExecutor(16) as pool,
    ):
        # Many more requests at once than connections to the server.
        tokens = list(pool.map(issued, [address] * 40))
        assert [*pool.map(lambda token: status(address, token), tokens)] == [200] * 40
        body = {"token": tokens[0], **CLIENT}
        assert requests.post(f"{address}/o/revoke_token/", data=body, timeout=PATIENCE_SECONDS).status_code == 200
        assert [status(address, token) for token in tokens[:2]] == [401, 200]
        revoked = manage(url, "revoke_tokens", "--client", CLIENT["client_id"], **SITE, **POLICY)
        assert revoked.returncode == 0, revoked.stderr
        # One after the other: a request does not wait for a read of the deny list that another one began.
        assert [status(address, token) for token in tokens[:8]] == [401] * 8
        kid = jwt.get_unverified_header(tokens[0])["kid"]
        done = manage(url, "revoke_signing_key", kid, "--reason", "a test", **SITE, **POLICY)
        assert done.returncode == 0, done.stderr
        assert jwt.get_unverified_header(issued(address))["kid"] != kid
        together = run(url, "tests.processes.rotate_together", "8", **SITE)
        assert json.loads(together.stdout) == [3] * 8, together.stderr
        assert manage(url, "signing_key_status", **SITE).returncode == 0
