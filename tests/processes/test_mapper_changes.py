"""How soon a changed claim mapper is in every worker's tokens: measured in two processes that hold the former one."""

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
def test_every_worker_follows_a_change_within_the_stated_bound(kind, tmp_path):
    with new_database(kind, tmp_path) as url:
        manage(url, "migrate", "-v0")
        manage(url, "rotate_signing_keys")
        client = ("--client-id", "service", "--client-secret", SECRET, "--name", "service")
        manage(url, "createapplication", "confidential", "client-credentials", *client)

        def keep(*values: str) -> None:
            mappers = [
                {"name": "tier", "claim": "tier", "source": {"kind": "constant", "value": value}} for value in values
            ]
            (tmp_path / "mappers.json").write_text(json.dumps(mappers))
            imported = manage(url, "import_claim_mappers", "--delete-others", str(tmp_path / "mappers.json"))
            assert imported.returncode == 0, imported.stderr

        def tier(worker: str) -> str | None:
            data = {"grant_type": "client_credentials", "client_id": "service", "client_secret": SECRET}
            token = requests.post(f"{worker}/o/token/", data=data, timeout=20).json()["access_token"]
            return jwt.decode(token, options={"verify_signature": False}).get("tier")

        with (
            gunicorn(url, tmp_path / "one", **POLICY) as one,
            gunicorn(url, tmp_path / "two", **POLICY) as two,
        ):
            assert [tier(worker) for worker in (one, two)] == [None, None]
            for values in (["gold"], ["silver"], []):
                keep(*values)
                expected, done, followed = next(iter(values), None), time.monotonic(), {}
                while len(followed) < 2 and time.monotonic() < done + 20:
                    for worker in (one, two):
                        if worker not in followed and tier(worker) == expected:
                            followed[worker] = time.monotonic() - done
                # A request that was under way when the bound ended may answer a little later.
                assert len(followed) == 2, values
                assert max(followed.values()) < BOUND + 1.5, followed
