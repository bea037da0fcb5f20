"""The pages on MCP, followed after the first tutorial, with the protocol's Python SDK as the client."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec

import pytest
import requests

from tests.ports import reserved_port

from .blocks import MCP, MCP_SERVERS, NEW_PROJECT, blocks_of
from .new_project import PATIENCE_SECONDS, NewProject, wait_until_it_listens

pytest.importorskip("mcp", reason="the SDK of MCP is not installed")
from example_project.mcp_client import McpClient

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(not shutil.which("bash"), reason="the page's commands need bash"),
]

FASTMCP_SERVER = "# mysite/fastmcp_server.py"


def agree(address):
    """Log in and agree, as the user of the tutorial."""
    browser = requests.Session()
    login = browser.get(address, timeout=PATIENCE_SECONDS)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', login.text)[1]
    credentials = {"username": "alice", "password": "correct-horse", "csrfmiddlewaretoken": token}
    consent = browser.post(login.url, credentials, timeout=PATIENCE_SECONDS)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', consent.text))
    assert "Greetings" in consent.text
    answer = browser.post(
        consent.url, {**fields, "allow": "Authorize"}, allow_redirects=False, timeout=PATIENCE_SECONDS
    )
    return answer.headers["Location"]


def test_page_after_the_tutorial(tmp_path):
    tutorial = [block for block in blocks_of(NEW_PROJECT) if block.language in {"python", "console"}]
    client = next(number for number, block in enumerate(tutorial) if block.text.startswith("# client.py"))
    with reserved_port() as port, reserved_port() as server_port:
        replaced = {
            "http://127.0.0.1:8000": f"http://127.0.0.1:{port}",
            "http://127.0.0.1:8001": f"http://127.0.0.1:{server_port}",
        }
        project = NewProject(tmp_path, port, settings="", urls="", replaced=replaced)
        try:
            project.follow(tutorial[1:client])
            printed = project.follow(blocks_of(MCP))
            assert "no issues" in printed["python manage.py check"]
            project.follow(block for block in blocks_of(MCP_SERVERS) if FASTMCP_SERVER in block.text)
            project._serve()
            with running(project, "mcp_server:app", server_port) as url:
                assert asyncio.run(called(url, "hello", "shout")) == (
                    ["hello", "hello shout"],
                    ["Hello, alice!", "HELLO, ALICE!"],
                )
            if find_spec("fastmcp"):
                with running(project, "mysite.fastmcp_server:app", server_port) as url:
                    assert asyncio.run(called(url, "hello")) == (["hello"], ["Hello, alice!"])
        finally:
            project.stop()


@contextmanager
def running(project, application, port):
    """Run an MCP server of the project, and yield its URL."""
    log = project.folder / "mcp.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", application, "--port", str(port)],
            cwd=project.folder,
            env=project._environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_it_listens(port, server, log)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


async def called(url, *tools):
    """Call tools, and return the scopes that the client requested and the results."""
    client = McpClient(url, agree=agree)
    async with client.connected() as connected:
        results = [await connected.call_tool(name) for name in tools]
    return [each["scope"] for each in client.asked], [each.structured_content["result"] for each in results]
