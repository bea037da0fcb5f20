"""``make bench``: that it runs to its end. How fast anything is says nothing here."""

import json
import subprocess
import sys

import pytest

from example_project.server_process import ROOT

pytest.importorskip("rest_framework_simplejwt", reason="simplejwt, which speed is compared with, is not installed")


@pytest.mark.ci
def test_all_groups_run_in_one_process(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--results", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [written] = tmp_path.glob("*.json")
    tables = json.loads(written.read_text())["tables"]
    for table in tables:
        assert table["title"] in done.stdout
    [requests] = [table["rows"] for table in tables if table["title"].startswith("GET on a DRF view")]
    queries = {row["variant"]: row["SQL"] for row in requests}
    assert queries.pop("django-at-jwt, RS256, with the user") == 1
    peers = {"simplejwt stateless, RS256", "Authlib's RFC 9068 validator, RS256", "django-oauth-toolkit, opaque"}
    assert peers <= queries.keys()
    ours = [count for variant, count in queries.items() if "each token once" in variant or "repeated token" in variant]
    assert ours == [0] * 6
