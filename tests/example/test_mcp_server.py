"""The example's MCP server, called by the protocol's Python SDK and by hand."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
import requests

from tests.conftest import decoded
from tests.patience import PATIENCE_SECONDS

pytest.importorskip("mcp", reason="the SDK of MCP is not installed")

from example_project.mcp_client import McpClient


def call(url, token, tool="read_notes", **arguments):
    """Call a tool with a token, without the SDK."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-06-18"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return requests.post(url, json=message, headers=headers, timeout=PATIENCE_SECONDS)


def challenge(answer):
    scheme, _, parameters = answer.headers["WWW-Authenticate"].partition(" ")
    assert scheme == "Bearer"
    return dict(re.findall(r'(\w+)="([^"]*)"', parameters))


@pytest.mark.compliance("6750-3", "9728-1")
def test_sdk_registers_reads_and_asks_for_the_scope_of_the_tool_that_writes(site, mcp_server):
    client = McpClient(mcp_server, agree=site.browser().agree)

    async def use():
        async with client.connected() as connected:
            tools = await connected.list_tools()
            notes = await connected.call_tool("read_notes")
            asked_before = len(client.asked)
            written = await connected.call_tool("write_note", {"text": "by a tool"})
            return [tool.name for tool in tools.tools], notes, asked_before, written

    names, notes, asked_before, written = asyncio.run(use())
    assert names == ["read_notes", "write_note"]
    assert notes.structured_content["result"][:2] == ["Water the plants", "Rotate the keys"]
    assert (asked_before, written.is_error) == (1, False)
    assert {each["client_id"] for each in client.asked} == {client.storage.registered.client_id}
    assert [each["scope"] for each in client.asked] == ["notes:read", "notes:read notes:write"]
    assert {each["resource"] for each in client.asked} == {mcp_server}
    header, claims = decoded(client.storage.tokens.access_token)
    assert (header["typ"], claims["aud"], claims["iss"]) == ("at+jwt", mcp_server, site.issuer)


@pytest.mark.compliance("9728-1")
def test_refusals_say_where_to_log_in(site, mcp_server):
    metadata = mcp_server.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")
    tokens = site.code_flow()["access_token"], site.service_token(site.reports), "a.b.c", None
    for token in tokens:
        answer = call(mcp_server, token)
        assert answer.status_code == 401
        assert challenge(answer)["resource_metadata"] == metadata
    document = requests.get(metadata, timeout=PATIENCE_SECONDS).json()
    assert document["resource"] == mcp_server
    assert document["authorization_servers"] == [site.issuer]
    assert document["scopes_supported"] == ["notes:read"]


@pytest.mark.compliance("6750-3")
def test_tool_that_writes_needs_its_scope(site, mcp_server):
    tokens = site.code_flow("spa", resource=mcp_server, scope="notes:read")
    assert call(mcp_server, tokens["access_token"]).status_code == 200
    refused = call(mcp_server, tokens["access_token"], "write_note", text="no")
    assert refused.status_code == 403
    assert challenge(refused) == {
        "error": "insufficient_scope",
        "scope": "notes:read notes:write",
        "resource_metadata": mcp_server.replace("/mcp", "/.well-known/oauth-protected-resource/mcp"),
    }
    assert "no" not in call(mcp_server, tokens["access_token"]).json()["result"]["structuredContent"]["result"]


def test_a_revoked_token_is_refused(site, mcp_server):
    tokens = site.code_flow("spa", resource=mcp_server, scope="notes:read")
    assert call(mcp_server, tokens["access_token"]).status_code == 200
    body = {"token": tokens["access_token"], "client_id": "example-spa"}
    revoked = requests.post(site.description["revocation_endpoint"], data=body, timeout=PATIENCE_SECONDS)
    assert revoked.status_code == 200
    # The deny list in the memory of the other process is a few seconds old.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while call(mcp_server, tokens["access_token"]).status_code == 200:
        assert time.monotonic() < deadline, "the token is still accepted"
        time.sleep(0.2)
    assert call(mcp_server, tokens["access_token"]).status_code == 401


def test_client_that_acts_for_itself_has_no_notes(site, mcp_server):
    token = site.client("service").token("client_credentials", resource=mcp_server, scope="notes:read")["access_token"]
    result = call(mcp_server, token).json()["result"]
    assert result["isError"] is True
    assert "has no notes" in result["content"][0]["text"]


def test_a_note_that_is_too_long_is_refused_by_name(site, mcp_server):
    token = site.code_flow("spa", resource=mcp_server, scope="notes:read notes:write")["access_token"]
    result = call(mcp_server, token, "write_note", text="x" * 201).json()["result"]
    assert result["isError"] is True
    assert "at most 200 characters" in result["content"][0]["text"]
