"""Other people's programs against the example: the conformance suite of MCP, a scanner, SDKs and clients.

``npm install --prefix .cache/npm`` what ``.ci/run`` lists, or set ``NPM_PACKAGES`` to a folder with these packages. For
the large clients, which CI does not install: ``@openai/codex@0.171.0 @anthropic-ai/claude-code@2.1.332
opencode-ai@1.18.33 @modelcontextprotocol/inspector@2.12.0``. They need no account.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
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
        variables = {
            # With the documents that Codex and Claude Code publish.
            "DJANGO_SETTINGS_MODULE": "tests.example.recorded_settings",
            "EXAMPLE_MCP_URL": f"http://127.0.0.1:{port}/mcp",
            "EXAMPLE_KEY_RING_MAX_AGE": 1,
        }
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


def go_through_the_browser(browser, address):
    """Log in, agree, and return to the client, which may begin to listen after it has opened the browser."""
    redirected = browser.agree(address)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return requests.get(redirected, timeout=PATIENCE_SECONDS)
        except requests.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


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

    def open_browser(address):
        asked.append(parse_qs(urlsplit(address).query))
        threading.Thread(target=go_through_the_browser, args=[site.browser(), address], daemon=True).start()

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


NOTES = ["Water the plants", "Rotate the keys"]
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07")
AUTHORIZATION_REQUEST = re.compile(r"(http://\S+code_challenge=\S+)\s")


def parameters_of(address):
    return {name: values[-1] for name, values in parse_qs(urlsplit(address).query).items()}


@pytest.fixture
def home(tmp_path):
    """An environment in which a program has no settings yet, and opens no browser."""
    return {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "BROWSER": "true",
        "TERM": "xterm",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
    }


@pytest.fixture
def in_a_terminal(site, home, tmp_path):
    """Run a program in a terminal, log in where it asks for it, and return its output and what it requested."""
    pty = pytest.importorskip("pty", reason="this system has no terminals")
    termios = pytest.importorskip("termios")

    def run(*arguments):
        master, slave = pty.openpty()
        # Wide enough for a URL.
        termios.tcsetwinsize(slave, (50, 2000))
        command = [str(each) for each in arguments]
        with subprocess.Popen(
            command, cwd=tmp_path, env=home, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        ) as process:
            os.close(slave)
            try:
                return follow(master, site.browser())
            finally:
                process.kill()
                os.close(master)

    return run


def follow(terminal, browser):
    """Read what a program writes until it ends, and open the URLs of authorization requests in the browser."""
    output, asked = "", []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        try:
            read = os.read(terminal, 65536)
        except OSError:
            # The program has ended.
            break
        if not read:
            break
        output = ANSI.sub(" ", output + read.decode(errors="replace"))
        for address in AUTHORIZATION_REQUEST.findall(output):
            if parameters_of(address) not in asked:
                asked.append(parameters_of(address))
                go_through_the_browser(browser, address)
    return output, asked


class JsonLines:
    """A program that takes and returns JSON-RPC messages as lines."""

    def __init__(self, command, environment, folder, **options):
        self.process = subprocess.Popen(
            [str(each) for each in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        self.sent = 0
        self.deadline = threading.Timer(PATIENCE_SECONDS, self.process.kill)

    def __enter__(self):
        self.deadline.start()
        return self

    def __exit__(self, *_):
        self.deadline.cancel()
        self.process.kill()
        self.process.communicate()

    def notify(self, method):
        print(json.dumps({"jsonrpc": "2.0", "method": method}), file=self.process.stdin, flush=True)

    def call(self, method, **parameters):
        self.sent += 1
        message = {"jsonrpc": "2.0", "id": self.sent, "method": method, "params": parameters}
        print(json.dumps(message), file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.sent and "method" not in answer:
                return answer
        pytest.fail(f"The program has ended before it answered {method}.")


def test_mcp_remote(site, mcp_server, home, tmp_path):
    command = [node("mcp-remote", 20), PACKAGES / "mcp-remote/dist/proxy.js", mcp_server]
    asked, errors = [], []

    def log_in(lines):
        for line in lines:
            errors.append(line)
            if found := AUTHORIZATION_REQUEST.search(line):
                asked.append(parameters_of(found[1]))
                go_through_the_browser(site.browser(), found[1])

    with JsonLines(command, home, tmp_path, stderr=subprocess.PIPE) as program:
        threading.Thread(target=log_in, args=[program.process.stderr], daemon=True).start()
        client = {"name": "test", "version": "1"}
        program.call("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
        program.notify("notifications/initialized")
        read = program.call("tools/call", name="read_notes", arguments={})
        assert read["result"]["structuredContent"]["result"][:2] == NOTES, errors
        written = program.call("tools/call", name="write_note", arguments={"text": "By mcp-remote"})
        assert isinstance(written["result"]["structuredContent"]["result"], int), errors
    # It asks the user for the scopes of the challenge.
    assert [each["scope"] for each in asked] == ["notes:read", "notes:read notes:write"]
    assert {each["resource"] for each in asked} == {mcp_server}
    assert {urlsplit(each["redirect_uri"])._replace(netloc="").geturl() for each in asked} == {"http:///oauth/callback"}


@pytest.mark.parametrize("registers", [True, False], ids=["registers itself", "has a document"])
def test_codex(site, mcp_server, home, tmp_path, in_a_terminal, registers):
    codex = [node("@openai/codex", 16), PACKAGES / "@openai/codex/bin/codex.js"]
    option = "--oauth-client-registration=" + ("dcr" if registers else "cimd")
    output, [asked] = in_a_terminal(*codex, "mcp", "add", "notes", "--url", mcp_server, option)
    assert "Successfully logged in" in output, output
    assert (asked["client_id"] == "https://chatgpt.com/oauth/codex/client.json") is not registers
    assert (asked["scope"], asked["resource"]) == ("notes:read", mcp_server)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", asked["redirect_uri"])
    with JsonLines([*codex, "app-server"], home, tmp_path, stderr=subprocess.DEVNULL) as program:
        program.call("initialize", clientInfo={"name": "test", "version": "1", "title": None}, capabilities=None)
        program.notify("initialized")
        thread = program.call("thread/start", ephemeral=True)["result"]["thread"]["id"]
        tool = {"threadId": thread, "server": "notes"}
        read = program.call("mcpServer/tool/call", **tool, tool="read_notes", arguments={})
        assert read["result"]["structuredContent"]["result"][:2] == NOTES
        written = program.call("mcpServer/tool/call", **tool, tool="write_note", arguments={"text": "By Codex"})
        # It does not ask the user for the scope.
        assert "Insufficient scope" in written["error"]["message"]


def test_claude_code(mcp_server, home, tmp_path, in_a_terminal):
    node("@anthropic-ai/claude-code", 18)
    claude = PACKAGES / "@anthropic-ai/claude-code/bin/claude.exe"
    subprocess.run(
        [claude, "mcp", "add", "--transport", "http", "notes", mcp_server],
        cwd=tmp_path,
        env=home,
        check=True,
        capture_output=True,
    )
    output, [asked] = in_a_terminal(claude, "mcp", "login", "notes", "--no-browser")
    assert 'Authenticated with "notes"' in " ".join(output.split()), output
    assert asked["client_id"] == "https://claude.ai/oauth/claude-code-client-metadata"
    assert (asked["scope"], asked["resource"]) == ("notes:read", mcp_server)
    assert re.fullmatch(r"http://localhost:\d+/callback", asked["redirect_uri"])
    # It lists the tools to see whether the server is healthy.
    output, more = in_a_terminal(claude, "mcp", "list")
    assert "Connected" in output, output
    assert more == []


def test_opencode(mcp_server, home, tmp_path, in_a_terminal):
    node("opencode-ai", 18)
    opencode = PACKAGES / "opencode-ai/bin/opencode.exe"
    (tmp_path / "opencode.json").write_text(json.dumps({"mcp": {"notes": {"type": "remote", "url": mcp_server}}}))
    output, [asked] = in_a_terminal(opencode, "mcp", "auth", "notes")
    assert "Authentication successful" in output, output
    assert (asked["scope"], asked["resource"]) == ("notes:read", mcp_server)
    assert asked["redirect_uri"] == "http://127.0.0.1:19876/mcp/oauth/callback"
    output, more = in_a_terminal(opencode, "mcp", "list")
    assert "notes connected" in " ".join(output.split()), output
    assert more == []


def test_inspector(mcp_server, in_a_terminal):
    package = "@modelcontextprotocol/inspector"
    program = [node(package, 22), PACKAGES / package / "clients/launcher/build/index.js"]
    inspector = [*program, "--cli", mcp_server, "--transport", "http", "--method", "tools/call"]
    output, [asked] = in_a_terminal(*inspector, "--tool-name=read_notes")
    assert all(note in output for note in NOTES), output
    assert (asked["scope"], asked["resource"]) == ("notes:read", mcp_server)
    assert asked["redirect_uri"] == "http://127.0.0.1:6276/oauth/callback"
    # It refreshes its tokens instead of asking the user for the scope, and gives up.
    output, more = in_a_terminal(*inspector, "--tool-name=write_note", "--tool-arg", "text=Inspected")
    assert "auth() returned AUTHORIZED without authorization code" in output, output
    assert more == []
