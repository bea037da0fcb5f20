"""Resource identifiers, the meaning of scopes, and declarations in settings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_at_jwt.core.resource_servers import (
    ResourceServerConfig,
    ResourceServers,
    TokenFormat,
    declared_resource_servers,
    is_resource_identifier,
)

from .token_factory import API, REPORTS


def test_who_may_ask():
    server = ResourceServerConfig(identifier=API, client_ids=frozenset({"one"}))
    assert server.is_open_to("one")
    assert not server.is_open_to("two")
    assert ResourceServerConfig(identifier=API).is_open_to("two")
    assert not ResourceServerConfig(identifier=API, enabled=False).is_open_to("two")


def test_undeclared_scopes_belong_to_servers_that_declare_none():
    first, second = (
        ResourceServerConfig(identifier=API),
        ResourceServerConfig(identifier=REPORTS, scopes={"reports": "Read them"}),
    )
    registry = ResourceServers.of([first, second], default=API)
    assert registry.has_meaning("read", first)
    assert not registry.has_meaning("read", second)
    assert registry.has_meaning("reports", second)
    assert not registry.has_meaning("reports", first)
    assert not registry.has_meaning("openid", first)
    # A disabled API keeps its scopes.
    closed = ResourceServerConfig(identifier=REPORTS, scopes={"reports": ""}, enabled=False)
    assert not ResourceServers.of([first, closed]).has_meaning("reports", first)


def test_the_default_need_not_be_described():
    registry = ResourceServers.of([], default=API)
    assert registry.by_identifier == {API: ResourceServerConfig(identifier=API)}
    assert str(registry.by_identifier[API]) == API


def test_declared():
    everything = {
        "name": "Reports",
        "description": "Figures.",
        "scopes": {"reports:read": "Read reports"},
        "lifetime": timedelta(minutes=5),
        "algorithm": "ES256",
        "format": "opaque",
        "clients": ["one", "two"],
        "isolated": True,
        "enabled": False,
    }
    assert declared_resource_servers({API: {}, REPORTS: everything}) == (
        ResourceServerConfig(identifier=API),
        ResourceServerConfig(
            identifier=REPORTS,
            name="Reports",
            description="Figures.",
            scopes={"reports:read": "Read reports"},
            lifetime=300,
            algorithm="ES256",
            token_format=TokenFormat.OPAQUE,
            client_ids=frozenset({"one", "two"}),
            isolated=True,
            enabled=False,
        ),
    )
    assert declared_resource_servers([API, REPORTS]) == declared_resource_servers({API: {}, REPORTS: {}})
    assert declared_resource_servers({API: {"scopes": ["a", "b"]}})[0].scopes == {"a": "", "b": ""}
    assert declared_resource_servers({API: {"scopes": []}})[0].scopes == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (API, "a list of identifiers"),
        (7, "a list of identifiers"),
        (["/api/"], "(got '/api/')"),
        ({"/api/": {}}, "(got '/api/')"),
        ([None], "(got None)"),
        ({API: []}, f"must have a dict of options for {API}"),
        ({API: {"scope": []}}, "'scope' for"),
        ({API: {"name": 7}}, "is not a string"),
        ({API: {"scopes": "read"}}, "neither a dict"),
        ({API: {"scopes": ["read write"]}}, "invalid scope"),
        ({API: {"scopes": ['quo"te']}}, "invalid scope"),
        ({API: {"scopes": [7]}}, "invalid scope"),
        ({API: {"scopes": {"read": None}}}, "has a description of the scope read"),
        ({API: {"lifetime": 0}}, "positive integer"),
        ({API: {"lifetime": True}}, "positive integer"),
        ({API: {"lifetime": 1.5}}, "positive integer"),
        ({API: {"lifetime": "5"}}, "positive integer"),
        ({API: {"algorithm": "HS256"}}, "is not one of RS256"),
        ({API: {"format": "jwt"}}, "is not one of at+jwt, opaque"),
        ({API: {"clients": "one"}}, "not a list of client ids"),
        ({API: {"clients": [1]}}, "not a list of client ids"),
        ({API: {"isolated": 1}}, "neither True nor False"),
    ],
)
def test_what_cannot_be_declared(value, expected):
    with pytest.raises(ValueError) as refused:
        declared_resource_servers(value)
    assert expected in str(refused.value)


@pytest.mark.compliance("8707-1")
@pytest.mark.parametrize(
    "value",
    [
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com:8443/v1?tenant=a",
        "http://localhost:8000/api/",
        "https://[2001:db8::1]/",
        "https://192.0.2.1/",
        "app+custom://host/path",
        "https://api.example.com/%C3%A9",
    ],
)
def test_resource_identifiers(value):
    assert is_resource_identifier(value)


@pytest.mark.compliance("8707-1")
@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            " ",
            "api",
            "/api",
            "//api.example.com/",
            "api.example.com",
            "https:",
            "https:///path",
            "https:/path",
            "://x",
        ),
        *("https://api.example.com/#", "https://api.example.com/#a", "#https://api.example.com/"),
        *("https://user@api.example.com/", "https://user:secret@api.example.com/", "https://@api.example.com/"),
        *("https://api.example.com:port/", "https://api.example.com:65536/", "https://api.example.com:0/"),
        *(
            "https://[::1",
            "https://]/",
            " https://api.example.com/",
            "https://api.example.com/ ",
            "https://api example/",
        ),
        *("https://api.example.com/\n", "\thttps://api.example.com/", "ht\ntps://api.example.com/", "https://a\x00b/"),
        *("https://\u00e9.example.com/", "https://api.example.com/\u00e9", "\uff48ttps://api.example.com/"),
        *("mailto:a@example.com", "urn:example:api", "data:,x", "1https://api.example.com/"),
        *(None, 7, True, b"https://api.example.com/", ["https://api.example.com/"], {}),
    ],
    ids=ascii,
)
def test_what_is_no_resource_identifier(value):
    assert not is_resource_identifier(value)


@settings(max_examples=200)
@given(st.text() | st.text().map(lambda text: f"https://{text}") | st.integers() | st.binary())
def test_any_value_is_an_identifier_or_not(value):
    told = is_resource_identifier(value)
    assert type(told) is bool
    assert not told or (value.isascii() and "#" not in value and "://" in value)
