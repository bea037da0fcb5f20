"""The guides on other frameworks and on MCP servers: their blocks, run with the real packages."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from django.urls import path

from tests.patience import PATIENCE_SECONDS
from tests.resource_server.signed_tokens import bearer, token
from tests.site.urls_of_apis import urlpatterns as site_urls

from .blocks import MCP_SERVERS, OTHER_FRAMEWORKS, blocks_of

BLOCKS = {
    block.file: block
    for topic in (OTHER_FRAMEWORKS, MCP_SERVERS)
    for block in blocks_of(topic)
    if block.language == "python"
}


@pytest.fixture
def run(monkeypatch):
    """Run the block of a file as a module, and return its names."""

    def run(file, **replaced):
        text = BLOCKS[file].text
        for old, new, *count in replaced.values():
            assert old in text
            text = text.replace(old, new, *count)
        module = ModuleType(file.removesuffix(".py").replace("/", "_"))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(text, file, "exec"), vars(module))
        return vars(module)

    return run


def test_fastapi(run, issuer):
    pytest.importorskip("fastapi", reason="FastAPI is not installed")
    from fastapi.testclient import TestClient

    loopback = ('"https://as.example.com/o",', f'"{issuer.issuer}", allow_loopback_http=True, timeout=60,')
    with TestClient(run("fastapi_app.py", issuer=loopback)["app"]) as client:

        def get(credentials=None):
            headers = {"Authorization": f"Bearer {credentials}"} if credentials else {}
            answer = client.get("/orders", headers=headers)
            return answer.status_code, answer.headers.get("WWW-Authenticate") or answer.json()

        assert get() == (401, "Bearer")
        assert get("a.b.c") == (401, 'Bearer error="invalid_token"')
        assert get(issuer.token()) == (403, 'Bearer error="insufficient_scope", scope="orders:read"')
        accepted = {"client": "a-client-of-the-tests", "subject": "subject-0f9d3c"}
        assert get(issuer.token(scope="orders:read")) == (200, accepted)
        issuer.stop()
        assert get(issuer.token(scope="orders:read")) == (200, accepted)


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
def test_outside_a_view(run, user):
    module = run("mysite/tokens.py")
    reader = {"sub": str(user.pk), "aud": "https://www.example.com/reports/"}
    assert module["reader"](token("reports:read", **reader)) == user
    assert module["reader"](token("other", **reader)) is None
    assert module["reader"]("a.b.c") is None
    assert async_to_sync(module["areader"])(token("reports:read", **reader)) == user


@pytest.mark.parametrize(("package", "file"), [("mcp", "mcp_server.py"), ("fastmcp", "fastmcp_server.py")])
def test_mcp_server(run, issuer, package, file):
    pytest.importorskip(package, reason=f"{package} is not installed")
    from starlette.testclient import TestClient

    url = "https://mcp.example.com/mcp"
    replaced = {
        "issuer": ('"https://as.example.com/o"', f'"{issuer.issuer}"'),
        "options": ("audience=SERVER)", "audience=SERVER, allow_loopback_http=True, timeout=60)", 1),
        "json": ("stateless_http=True", "stateless_http=True, json_response=True"),
    }
    if package == "mcp":
        replaced["host"] = ("json_response=True", 'json_response=True, host="mcp.example.com"')
    with TestClient(run(file, **replaced)["app"], base_url="https://mcp.example.com") as client:

        def call(credentials=None, tool="count", **arguments):
            headers = {"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-06-18"}
            if credentials:
                headers["Authorization"] = f"Bearer {credentials}"
            params = {"name": tool, "arguments": arguments}
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            return client.post("/mcp", json=message, headers=headers)

        metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
        for refused in call(), call("a.b.c"), call(issuer.token(scope="notes:read")):
            assert refused.status_code == 401
            assert f'resource_metadata="{metadata}"' in refused.headers["WWW-Authenticate"]
        described = client.get(metadata).json()
        assert (described["resource"], described["authorization_servers"]) == (url, [issuer.issuer])
        assert described["scopes_supported"] == ["notes:read"]
        lacking = call(issuer.token(aud=url))
        assert (lacking.status_code, "insufficient_scope" in lacking.headers["WWW-Authenticate"]) == (403, True)
        reader, writer = (issuer.token(aud=url, scope=scope) for scope in ("notes:read", "notes:read notes:write"))
        assert call(reader).json()["result"]["structuredContent"] == {"result": 3}
        refused = call(reader, "add", text="x")
        assert refused.status_code == 403
        assert refused.headers["WWW-Authenticate"] == (
            f'Bearer error="insufficient_scope", scope="notes:read notes:write", resource_metadata="{metadata}"'
        )
        assert call(writer, "add", text="x").json()["result"]["structuredContent"] == {"result": 4}


def serve(settings, *patterns):
    """Replace the URLs of the site."""
    settings.ROOT_URLCONF = ModuleType("urls")
    settings.ROOT_URLCONF.urlpatterns = [*patterns, *site_urls]


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
def test_ninja(run, client, settings, monkeypatch):
    pytest.importorskip("ninja", reason="django-ninja is not installed")
    run("mysite/ninja_api.py")
    monkeypatch.setitem(sys.modules, "mysite.ninja_api", sys.modules["mysite_ninja_api"])
    urls = {"__package__": "mysite", "path": path, "urlpatterns": []}
    exec(BLOCKS["mysite/urls.py"].text, urls)
    serve(settings, *urls["urlpatterns"])
    for address in "/api/orders", "/api/stock":
        refused = client.get(address)
        assert (refused.status_code, 'scope="read"' in refused["WWW-Authenticate"]) == (401, True)
        assert client.get(address, headers=bearer("read")).json() == {"client": "a client"}


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
def test_scopes_of_tools(run, client, settings):
    serve(settings, path("tools/", run("mysite/mcp_views.py")["endpoint"]))

    def call(name, scope):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}}
        return client.post("/tools/", message, content_type="application/json", headers=bearer(scope))

    assert call("read_note", "read").json() == {"called": "read_note"}
    refused = call("write_note", "read")
    assert refused.status_code == 403
    assert refused["WWW-Authenticate"].startswith('Bearer error="insufficient_scope", scope="read write", resource_met')
    assert call("write_note", "read write").json() == {"called": "write_note"}


async def sent_async(method, address, **options):
    return await getattr(AsyncClient(), method)(address, **options)


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
def test_strawberry(run, settings):
    pytest.importorskip("strawberry", reason="Strawberry is not installed")
    serve(settings, path("graphql/", run("mysite/graphql.py")["endpoint"]))
    query = {"data": {"query": "{ client }"}, "content_type": "application/json"}
    send = async_to_sync(sent_async)
    assert send("post", "/graphql/", headers=bearer("read"), **query).json()["data"] == {"client": "a client"}
    refused = send("post", "/graphql/", **query)
    assert (refused.status_code, 'scope="read"' in refused["WWW-Authenticate"]) == (401, True)


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
def test_graphene(run, client, settings):
    pytest.importorskip("graphene_django", reason="Graphene is not installed")
    serve(settings, path("graphql/", run("mysite/graphene_view.py")["endpoint"]))
    query = {"data": {"query": "{ client }"}, "content_type": "application/json"}
    assert client.post("/graphql/", headers=bearer("read"), **query).json()["data"] == {"client": "a client"}
    refused = client.post("/graphql/", **query)
    assert (refused.status_code, 'scope="read"' in refused["WWW-Authenticate"]) == (401, True)


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
def test_channels(run):
    pytest.importorskip("channels", reason="Channels is not installed")
    from channels.testing import WebsocketCommunicator

    application = run("mysite/asgi.py")["application"]

    async def first_message(credentials):
        headers = [(b"authorization", f"Bearer {credentials}".encode())]
        communicator = WebsocketCommunicator(application, "/orders/", headers)
        accepted, code = await communicator.connect(timeout=PATIENCE_SECONDS)
        if not accepted:
            return code
        message = await communicator.receive_json_from(timeout=PATIENCE_SECONDS)
        await communicator.disconnect()
        return message

    connect = async_to_sync(first_message)
    assert connect(token("orders:read")) == {"client": "a client"}
    assert [connect(token("other")), connect("a.b.c")] == [3003, 3000]


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
def test_adrf(run, settings):
    pytest.importorskip("adrf", reason="adrf is not installed")
    serve(settings, path("orders/", run("mysite/adrf_views.py")["Orders"].as_view()))
    send = async_to_sync(sent_async)
    assert send("get", "/orders/", headers=bearer("read")).json() == {"client": "a client"}
    refused = [send("get", "/orders/", headers=headers) for headers in ({}, bearer("other"))]
    assert [answer.status_code for answer in refused] == [401, 403]
    assert all("resource_metadata" in answer["WWW-Authenticate"] for answer in refused)
