"""How soon a revoked key is refused: measured in two worker processes that hold it in memory."""

from __future__ import annotations

import json
import time

import jwt
import pytest
import requests

from .databases import KINDS, manage, new_database
from .servers import gunicorn

BOUND = 2.0
POLICY = {"TEST_POLICY": json.dumps({"KEY_RING_MAX_AGE": BOUND})}
SECRET = "a secret for the test"


@pytest.mark.parametrize("kind", KINDS)
def test_every_worker_refuses_a_revoked_key_within_the_stated_bound(kind, tmp_path):
    with new_database(kind, tmp_path) as url:
        manage(url, "migrate", "-v0")
        manage(url, "rotate_signing_keys")
        client = ("--client-id", "service", "--client-secret", SECRET, "--name", "service")
        manage(url, "createapplication", "confidential", "client-credentials", *client)
        with (
            gunicorn(url, tmp_path / "one", **POLICY) as one,
            gunicorn(url, tmp_path / "two", **POLICY) as two,
        ):
            data = {"grant_type": "client_credentials", "client_id": "service", "client_secret": SECRET}
            token = requests.post(f"{one}/o/token/", data=data, timeout=20).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}

            def status(worker: str) -> int:
                return requests.get(f"{worker}/whoami/", headers=headers, timeout=20).status_code

            assert [status(worker) for worker in (one, two)] == [200, 200]
            kid = jwt.get_unverified_header(token)["kid"]
            revoked = manage(url, "revoke_signing_key", kid, "--reason", "a test", "--json", **POLICY)
            assert revoked.returncode == 0, revoked.stderr
            assert json.loads(revoked.stdout)["reaches_every_worker_within_seconds"] == BOUND
            done = time.monotonic()
            refused = {}
            while len(refused) < 2 and time.monotonic() < done + 20:
                for worker in (one, two):
                    if worker not in refused and status(worker) == 401:
                        refused[worker] = time.monotonic() - done
            # A request that was under way when the bound ended may answer a little later.
            assert len(refused) == 2
            assert max(refused.values()) < BOUND + 1.5, refused
            fresh = requests.post(f"{two}/o/token/", data=data, timeout=20).json()["access_token"]
            assert jwt.get_unverified_header(fresh)["kid"] != kid
            headers["Authorization"] = f"Bearer {fresh}"
            assert [status(worker) for worker in (one, two)] == [200, 200]
