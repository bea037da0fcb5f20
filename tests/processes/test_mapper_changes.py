"""How soon a changed claim mapper is in every worker's tokens: measured in two processes that hold the former one."""

from __future__ import annotations

import json

import jwt
import pytest
import requests

from tests.patience import PATIENCE_SECONDS

from .databases import CLIENT, manage
from .two_workers import two_workers

pytestmark = pytest.mark.ci


# That a worker reads what another process has written, test_revocation shows on each database.
def test_every_worker_follows_a_change_within_the_stated_bound(prepared_databases, tmp_path):
    def tier(worker: str) -> str | None:
        data = {"grant_type": "client_credentials", **CLIENT}
        token = requests.post(f"{worker}/o/token/", data=data, timeout=PATIENCE_SECONDS).json()["access_token"]
        return jwt.decode(token, options={"verify_signature": False}).get("tier")

    with prepared_databases.copy("postgresql", tmp_path) as url, two_workers(url, tmp_path) as workers:
        assert [tier(worker) for worker in workers.addresses] == [None, None]
        for value in ("gold", "silver", None):
            source = {"kind": "constant", "value": value}
            mappers = [] if value is None else [{"name": "tier", "claim": "tier", "source": source}]
            (tmp_path / "mappers.json").write_text(json.dumps(mappers))
            file = str(tmp_path / "mappers.json")
            imported = manage(workers.url, "import_claim_mappers", "--delete-others", file)
            assert imported.returncode == 0, imported.stderr
            assert workers.after_the_bound(tier) == [value, value]
