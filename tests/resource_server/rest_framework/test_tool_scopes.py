"""Which scopes a message to an MCP server needs."""

from __future__ import annotations

import base64

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.request import Request

from django_at_jwt.rest_framework import HasToolScopes

PERMISSION = HasToolScopes({"write": ["w"], "delete": ["w", "d"], "free": []})
ALL = {"w", "d"}


def call(name):
    return f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {{"name": {name}}}}}'


def needed(rf, body, method="POST"):
    request = Request(rf.generic(method, "/", body, content_type="application/json"), parsers=[JSONParser()])
    [scopes] = PERMISSION.alternatives(request, None)
    return set(scopes)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (call('"write"'), {"w"}),
        (call('"delete"'), ALL),
        (call('"free"'), set()),
        (call('"not listed"'), set()),
        (f"[{call(chr(34) + 'free' + chr(34))}, {call(chr(34) + 'write' + chr(34))}]", {"w"}),
        ('{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}', set()),
        ('{"jsonrpc": "2.0", "id": 1, "result": {}}', set()),
        # Not understood.
        ("", ALL),
        ("{", ALL),
        ("1", ALL),
        ("[[]]", ALL),
        (call("7"), ALL),
        ('{"method": "tools/call"}', ALL),
        ('{"method": "tools/call", "params": []}', ALL),
        ("[" * 100_000, ALL),
        (b"\xff\xfe", ALL),
    ],
)
def test_scopes_follow_from_the_called_tool(rf, body, expected):
    assert needed(rf, body) == expected


def test_body_that_the_view_may_read_differently(rf):
    # In UTF-7, which REST framework's parser reads if the header says so, it calls "write".
    quote = b"+" + base64.b64encode('"'.encode("utf-16-be")).rstrip(b"=") + b"-"
    body = b'{"method": "tools/call", "params": {"name": "free~,~name~:~write"}}'.replace(b"~", quote)
    request = Request(
        rf.generic("POST", "/", body, content_type="application/json; charset=utf-7"), parsers=[JSONParser()]
    )
    assert request.data["params"] == {"name": "write"}
    [scopes] = PERMISSION.alternatives(request, None)
    assert set(scopes) == ALL


def test_message_in_a_form(rf):
    body = '{"x": "&method=tools/call&name=write&"}'
    request = Request(
        rf.generic("POST", "/", body, content_type="application/x-www-form-urlencoded"), parsers=[FormParser()]
    )
    assert request.data["method"] == "tools/call"
    [scopes] = PERMISSION.alternatives(request, None)
    assert set(scopes) == ALL


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8"])
def test_body_in_utf_8(rf, charset):
    request = Request(rf.generic("POST", "/", call('"write"'), content_type=f"Application/JSON; charset={charset}"))
    [scopes] = PERMISSION.alternatives(request, None)
    assert set(scopes) == {"w"}


def test_requests_that_call_nothing(rf):
    assert needed(rf, "", method="GET") == set()
    assert PERMISSION.alternatives(None, None) == [()]


def test_view_can_still_read_the_message(rf):
    request = Request(rf.post("/", {"method": "x"}, content_type="application/json"), parsers=[JSONParser()])
    PERMISSION.alternatives(request, None)
    assert request.data == {"method": "x"}


def test_body_that_was_read_before(rf):
    request = Request(rf.post("/", {"method": "x"}, content_type="application/json"), parsers=[JSONParser()])
    request._request.read(1)
    [scopes] = PERMISSION.alternatives(request, None)
    assert set(scopes) == ALL


def test_scopes_that_are_not_a_list_are_an_error():
    with pytest.raises(ImproperlyConfigured, match=r"HasToolScopes\['write'\] must be a list of scopes"):
        HasToolScopes({"write": "w"})
