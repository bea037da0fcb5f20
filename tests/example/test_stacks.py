"""Every adapter, in projects that know the running example by its URL only: tokens, refusals and revocation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import requests

from example_project.server_process import ROOT
from tests.patience import PATIENCE_SECONDS

from .conftest import Site
from .test_mcp_server import challenge

pytest.importorskip("websockets", reason="websockets is not installed")

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

for package in "adrf", "channels", "fastapi", "fastmcp", "graphene_django", "mcp", "ninja", "strawberry", "uvicorn":
    pytest.importorskip(package, reason=f"{package} is not installed")

pytestmark = pytest.mark.ci

SCOPE = "api:read"
PROJECT, WITHOUT_SETTINGS = "tests.example.stacks.project", "tests.example.stacks.without_settings"


def get(address, headers):
    return requests.get(address, headers=headers, timeout=PATIENCE_SECONDS)


def query(address, headers):
    return requests.post(address, json={"query": "{ client }"}, headers=headers, timeout=PATIENCE_SECONDS)


def call_tool(address, headers):
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "client", "arguments": {}}}
    accepted = {"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-06-18"}
    return requests.post(address, json=message, headers=headers | accepted, timeout=PATIENCE_SECONDS)


def open_socket(address, headers):
    """Connect to a WebSocket, and return its first message like a response."""
    options = {"additional_headers": headers, "proxy": None, "open_timeout": PATIENCE_SECONDS}
    try:
        with connect(address.replace("http://", "ws://"), **options) as connection:
            text = connection.recv(PATIENCE_SECONDS)
    except InvalidStatus as refused:
        response = refused.response
        return SimpleNamespace(status_code=response.status_code, headers=response.headers, text=response.body.decode())
    return SimpleNamespace(status_code=200, headers={}, text=text)


# The application, the path, and how a client uses it.
STACKS = {
    "Django REST framework": ("project", "/rest-framework", get),
    "adrf": ("project", "/adrf", get),
    "decorator": ("project", "/plain", get),
    "decorator of an async view": ("project", "/plain-async", get),
    "mixin": ("project", "/mixin", get),
    "HasToolScopes": ("project", "/tools", call_tool),
    "django-ninja": ("project", "/ninja/sync", get),
    "django-ninja, async": ("project", "/ninja/async", get),
    "Strawberry": ("project", "/strawberry", query),
    "Graphene": ("project", "/graphene", query),
    "Channels": ("project", "/socket", open_socket),
    "Starlette": ("starlette", "/", get),
    "FastAPI": ("fastapi", "/", get),
    "MCP SDK": ("sdk", "/", call_tool),
    "FastMCP": ("fastmcp", "/api/", call_tool),
}
# Their challenges are written in the application.
WITHOUT_METADATA = {"Starlette", "FastAPI"}
# Its challenges have an error for a request without a token, and name no scope.
SDK = "MCP SDK"
every_stack = pytest.mark.parametrize("stack", STACKS)


@contextmanager
def serving(module, **variables):
    """Run the applications of a module, and yield their addresses by name."""
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "tests.example.stacks.serve", module]
    with subprocess.Popen(command, cwd=ROOT, env=inherited | variables, **pipes) as process:
        yield process
        process.stdin.close()


class Stacks:
    """The APIs, all with the identifier of the example's first one, and the client that calls them."""

    def __init__(self, site, addresses):
        self.site = site
        self._addresses = addresses

    def use(self, stack, token):
        application, path, use = STACKS[stack]
        return self.use_at(f"{self._addresses[application]}{path}", token, use)

    def use_offline(self, token):
        return self.use_at(f"{self._addresses['project']}/offline", token)

    @staticmethod
    def use_at(address, token, use=get):
        return use(address, {"Authorization": f"Bearer {token}"} if token else {})


@pytest.fixture(scope="module")
def stacks(running_example, tmp_path_factory):
    settings = {"DJANGO_SETTINGS_MODULE": "tests.example.publishing_settings"}
    with running_example(tmp_path_factory.mktemp("issuer of stacks"), **settings) as server:
        site = Site(server)
        remote = {"REMOTE_API_ISSUER": site.issuer, "REMOTE_API_AUDIENCE": site.notes["identifier"]}
        in_django = {"DJANGO_SETTINGS_MODULE": "tests.example.stacks.project_settings", **remote}
        # Both start at the same time.
        with serving(PROJECT, **in_django) as project, serving(WITHOUT_SETTINGS, **remote) as others:
            lines = [process.stdout.readline() for process in (project, others)]
            assert all(lines), "an application did not start; its error is above"
            yield Stacks(site, json.loads(lines[0]) | json.loads(lines[1]))


def assert_names_the_metadata(stack, answer, site):
    """Check that the challenge leads to the issuer (RFC 9728 section 5.1)."""
    named = challenge(answer).get("resource_metadata")
    if stack in WITHOUT_METADATA:
        assert named is None
        return
    parts = urlsplit(site.notes["identifier"])
    assert named == f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
    document = requests.get(named, timeout=PATIENCE_SECONDS).json()
    assert (document["resource"], document["authorization_servers"]) == (site.notes["identifier"], [site.issuer])


@every_stack
def test_valid_token(stack, stacks):
    answer = stacks.use(stack, stacks.site.service_token(stacks.site.notes))
    assert answer.status_code == 200, answer.text
    assert "example-service" in answer.text


@pytest.mark.compliance("6750-2", "9728-1")
@every_stack
def test_no_token(stack, stacks):
    answer = stacks.use(stack, None)
    assert answer.status_code == 401, answer.text
    assert ("error" in challenge(answer)) is (stack == SDK)
    assert_names_the_metadata(stack, answer, stacks.site)


@pytest.mark.compliance("9068-24", "9068-27")
@every_stack
def test_token_for_another_api(stack, stacks):
    answer = stacks.use(stack, stacks.site.service_token(stacks.site.reports))
    assert (answer.status_code, challenge(answer)["error"]) == (401, "invalid_token")
    assert_names_the_metadata(stack, answer, stacks.site)


@pytest.mark.compliance("6750-3")
@every_stack
def test_token_without_the_scope(stack, stacks):
    answer = stacks.use(stack, stacks.site.service_token(stacks.site.notes, scope="reports:read"))
    assert (answer.status_code, challenge(answer)["error"]) == (403, "insufficient_scope")
    assert challenge(answer).get("scope") == (None if stack == SDK else SCOPE)


@pytest.mark.compliance("7009-2")
def test_revoked_token(stacks):
    site = stacks.site
    token = site.service_token(site.notes)
    assert {stack: stacks.use(stack, token).status_code for stack in STACKS} == dict.fromkeys(STACKS, 200)
    client = site.description["clients"]["service"]
    body = {"token": token, "client_id": client["client_id"], "client_secret": client["client_secret"]}
    revoked = requests.post(site.description["revocation_endpoint"], data=body, timeout=PATIENCE_SECONDS)
    assert revoked.status_code == 200
    deadline = time.monotonic() + PATIENCE_SECONDS
    for stack in STACKS:
        while (answer := stacks.use(stack, token)).status_code == 200:
            assert time.monotonic() < deadline, f"{stack} still accepts the token"
            time.sleep(0.1)
        assert (answer.status_code, challenge(answer)["error"]) == (401, "invalid_token"), stack
    # This view does not ask, as documented.
    assert stacks.use_offline(token).status_code == 200
