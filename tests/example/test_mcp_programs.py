"""Other people's programs against the example: the conformance suite of MCP, a scanner, and the TypeScript SDK.

``npm install --prefix .cache/npm`` what ``.ci/run`` lists, or set ``NPM_PACKAGES`` to a folder with these packages.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from example_project.server_process import ROOT, running_mcp_server
from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port

from .conftest import Site

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(find_spec("mcp") is None, reason="the SDK of MCP is not installed"),
]

PACKAGES = Path(os.environ.get("NPM_PACKAGES", ROOT / ".cache/npm/node_modules"))


def node(package, minimum):
    """Return the path of Node, if it and an npm package are installed."""
    if not (PACKAGES / package).is_dir():
        pytest.skip(f"{package}: not installed in {PACKAGES}")
    # The npm package "node" is a newer Node than most systems have.
    own = PACKAGES / "node/bin/node"
    program = str(own) if own.exists() else shutil.which("node")
    if program is None:
        pytest.skip(f"{package}: Node is not installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.match(r"v(\d+)", version).group(1)) < minimum:
        pytest.skip(f"{package}: needs Node {minimum}, not {version.strip()}")
    return program


@pytest.fixture(scope="module")
def site(running_example, tmp_path_factory):
    """An example that sees changes of clients and APIs at once."""
    with reserved_port() as port:
        variables = {"EXAMPLE_MCP_URL": f"http://127.0.0.1:{port}/mcp", "EXAMPLE_KEY_RING_MAX_AGE": 1}
        with running_example(tmp_path_factory.mktemp("example"), **variables) as server:
            yield Site(server)


@pytest.fixture(scope="module")
def mcp_server(site):
    with running_mcp_server(site.server) as url:
        yield url


@pytest.fixture(scope="module")
def native(site):
    """A public client of the notes and of the MCP server, at any port of 127.0.0.1."""
    name = "native-client-of-the-tests"
    uris = ["--redirect-uris", "http://127.0.0.1/callback", "--client-id", name, "--name", "Native"]
    site.server.manage("createapplication", "public", "authorization-code", *uris)
    script = (
        "from django_at_jwt.models import ResourceServer\n"
        "for api in ResourceServer.objects.exclude(name='Reports'):\n"
        f"    api.clients += [{name!r}]\n"
        "    api.save()\n"
    )
    site.server.manage("shell", "--command", script)
    # Rows in memory are up to a second old.
    time.sleep(1.1)
    return name


def lines_of(process, browser):
    """Yield the lines of a program, and open the URLs that it prints in the browser."""
    for line in process.stdout:
        yield line
        if line.strip().startswith("http") and "code_challenge=" in line:
            requests.get(browser.agree(line.strip()), timeout=PATIENCE_SECONDS)


@pytest.fixture
def run(site):
    """Run a program, log in where it asks for it, and return its exit status and its output."""

    def run(*arguments, **environment):
        command = [str(each) for each in arguments]
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                output = "".join(lines_of(process, site.browser()))
                return process.wait(timeout=PATIENCE_SECONDS), output
            finally:
                process.kill()

    return run


def test_conformance_suite_of_the_protocol(site, native, run):
    package = "@modelcontextprotocol/conformance"
    program = [node(package, 22), PACKAGES / package / "dist/index.js", "authorization"]
    with reserved_port() as port:
        status, output = run(*program, "--url", site.issuer, "--client-id", native, "--port", port)
    assert status == 0, output
    assert "authorization-code-grant: 1 passed, 0 failed" in output
    assert "Total: 3 passed, 0 failed" in output


def test_scanner_of_mcp_servers(site, native, mcp_server, run, tmp_path):
    if find_spec("mcp_authlab") is None:
        pytest.skip("mcp-authlab is not installed")
    program = [sys.executable, "-m", "mcp_authlab"]
    environment = {"MCP_AUTHLAB_TOKENS": str(tmp_path / "tokens.json"), "BROWSER": "true"}
    options = ["--client-id", native, "--scope", "notes:read api:read", "--foreign-resource", site.notes["identifier"]]
    status, output = run(*program, "login", mcp_server, *options, **environment)
    assert status == 0, output
    assert "TOK-03 will run" in output
    report = tmp_path / "report.json"
    status, output = run(
        *program, "scan", mcp_server, "--tool=write_note", "--format=json", f"--output={report}", **environment
    )
    assert status == 0, output
    found = json.loads(report.read_text())
    assert (found["counts"]["fail"], found["counts"]["error"]) == (0, 0), output
    warned = {each["id"]: each["message"] for each in found["results"] if each["status"] == "warn"}
    # Loopback has no TLS; the SDK's 401 names no scopes; and PKCE is checked after the login, which the scanner lacks.
    assert not warned.keys() - {"TLS-01", "CHAL-03", "ASF-01"}, warned
    passed = {each["id"] for each in found["results"] if each["status"] == "pass"}
    # Unsigned tokens, those for another API, and the scope of a tool.
    assert passed >= {"TOK-02", "TOK-03", "SCOPE-01"}
    step_up = next(each for each in found["results"] if each["id"] == "SCOPE-01")
    assert "403" in step_up["message"]


@pytest.mark.filterwarnings("ignore:Using in-memory token storage")
def test_fastmcp_client(site, mcp_server, monkeypatch):
    pytest.importorskip("fastmcp", reason="FastMCP is not installed")
    from fastmcp import Client

    asked = []

    def go_through_the_browser(address):
        redirected = site.browser().agree(address)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            # FastMCP listens after it has opened the browser.
            try:
                return requests.get(redirected, timeout=PATIENCE_SECONDS)
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def open_browser(address):
        asked.append(parse_qs(urlsplit(address).query))
        threading.Thread(target=go_through_the_browser, args=[address], daemon=True).start()

    monkeypatch.setattr("webbrowser.open", open_browser)

    async def use():
        async with Client(mcp_server, auth="oauth") as client:
            return await client.call_tool("read_notes"), await client.call_tool("write_note", {"text": "By FastMCP"})

    notes, written = asyncio.run(use())
    assert notes.structured_content["result"][:2] == ["Water the plants", "Rotate the keys"]
    assert isinstance(written.structured_content["result"], int)
    assert [each["scope"] for each in asked] == [["notes:read"], ["notes:read notes:write"]]
    assert [each["resource"] for each in asked] == [[mcp_server]] * 2
    assert all(re.fullmatch(r"http://localhost:\d+/callback", each["redirect_uri"][0]) for each in asked)


@pytest.mark.parametrize("registers", [True, False], ids=["registers itself", "is registered"])
def test_typescript_sdk(site, mcp_server, native, registers):
    package = "@modelcontextprotocol/sdk"
    program = [node(package, 18), ROOT / "tests/example/mcp_client.mjs", PACKAGES, mcp_server]
    command = [str(each) for each in (*program, "" if registers else native, "http://127.0.0.1:43210/callback")]
    said, asked = {}, []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stdout:
                [(what, found)] = json.loads(line).items()
                said.setdefault(what, []).append(found)
                if what == "open":
                    asked.append({name: values[-1] for name, values in parse_qs(urlsplit(found).query).items()})
                    process.stdin.write(f"{site.browser().agree(found)}\n")
                    process.stdin.flush()
            assert process.wait(timeout=PATIENCE_SECONDS) == 0, process.stderr.read()
        finally:
            process.kill()
    assert [each["scope"] for each in asked] == ["notes:read", "notes:read notes:write"]
    assert {each["resource"] for each in asked} == {mcp_server}
    client_id = said["registered"][0]["client_id"] if registers else native
    assert {each["client_id"] for each in asked} == {client_id}
    notes, written = said["result"]
    assert notes["structuredContent"]["result"][:2] == ["Water the plants", "Rotate the keys"]
    assert not written.get("isError")
    # Its first reaction to the challenge is to refresh the tokens, which changes no scope.
    assert said["refused"] == ["Streamable HTTP error: Server returned 403 after trying upscoping"]
