"""``make bench``: that it runs to its end. How fast anything is says nothing here."""

import json
import subprocess
import sys

import pytest

from benchmarks import big_sites, mass_revocation, throughput
from benchmarks.postgresql import absence
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
    if not absence():
        _check_databases(tables)


def _check_databases(tables):
    """Check the groups that need PostgreSQL."""
    [sites] = [table["rows"] for table in tables if table["title"].startswith("A small site and one with")]
    requests = [row for row in sites if not row["variant"].startswith(("admin: ", "command: "))]
    assert len(requests) == 7
    assert {"command: purge_authorizations", "admin: signing keys, list"} <= {row["variant"] for row in sites}
    # On a slow machine, each call may read a cache again.
    grown = [row["variant"] for row in sites if row["SQL big"] > row["SQL small"] + 1]
    assert grown == []
    [revocations] = [table["rows"] for table in tables if table["title"].startswith("Revoking the ")]
    assert [row["revoked"] for row in revocations] == [2_000] * 4
    assert [row["deny list entries"] for row in revocations] == [0, 0, 2_000, 0]
    for title in ("Token requests per second, client_credentials", "API requests per second"):
        [rows] = [table["rows"] for table in tables if table["title"] == title]
        assert all(row["requests/s"] > 0 for row in rows)


def test_says_why_it_leaves_out_what_needs_postgresql(monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
    for group in (big_sites, mass_revocation, throughput):
        assert list(group.tables(4)) == []
        assert f"{group.__name__.removeprefix('benchmarks.')} was skipped: " in capsys.readouterr().out
