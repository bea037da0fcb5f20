"""How soon a revoked key is refused: measured in two worker processes that hold it in memory."""

from __future__ import annotations

import json

import jwt
import pytest
import requests

from tests.patience import PATIENCE_SECONDS

from .databases import CLIENT, KINDS, manage
from .two_workers import BOUND, POLICY, two_workers

pytestmark = pytest.mark.ci


@pytest.mark.parametrize("kind", KINDS)
def test_every_worker_refuses_a_revoked_key_within_the_stated_bound(kind, prepared_databases, tmp_path):
    def issued(worker: str) -> str:
        data = {"grant_type": "client_credentials", **CLIENT}
        return requests.post(f"{worker}/o/token/", data=data, timeout=PATIENCE_SECONDS).json()["access_token"]

    def status(worker: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{worker}/whoami/", headers=headers, timeout=PATIENCE_SECONDS).status_code

    with prepared_databases.copy(kind, tmp_path) as url, two_workers(url, tmp_path) as workers:
        one, two = workers.addresses
        token = issued(one)
        assert [status(worker, token) for worker in (one, two)] == [200, 200]
        kid = jwt.get_unverified_header(token)["kid"]
        revoked = manage(workers.url, "revoke_signing_key", kid, "--reason", "a test", "--json", **POLICY)
        assert revoked.returncode == 0, revoked.stderr
        assert json.loads(revoked.stdout)["reaches_every_worker_within_seconds"] == BOUND
        assert workers.after_the_bound(lambda worker: status(worker, token)) == [401, 401]
        fresh = issued(two)
        assert jwt.get_unverified_header(fresh)["kid"] != kid
        assert [status(worker, fresh) for worker in (one, two)] == [200, 200]
