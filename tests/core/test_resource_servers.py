"""Resource identifiers, the meaning of scopes, and declarations in settings."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.resource_servers import (
    ResourceServerConfig,
    ResourceServers,
    TokenFormat,
    canonical_identifier,
    declared_resource_servers,
    is_resource_identifier,
)

from .token_factory import API, REPORTS

_HOSTS = st.one_of(
    st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?(\.[A-Za-z]{1,4})?", fullmatch=True),
    st.sampled_from(["[::1]", "[2001:DB8::443]", "127.0.0.1"]),
)
IDENTIFIERS = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["https", "http", "HTTPS", "hTTp", "app", "a+b"]),
    _HOSTS,
    st.sampled_from(["", ":", ":443", ":80", ":8443", ":0443"]),
    st.one_of(
        st.just(""),
        st.from_regex(r"[/?]([A-Za-z0-9%:@~./?-]|%[0-9A-Fa-f]{2}){0,12}", fullmatch=True),
    ),
).filter(is_resource_identifier)


def test_who_may_ask():
    server = ResourceServerConfig(identifier=API, client_ids=frozenset({"one"}))
    assert server.is_open_to("one")
    assert not server.is_open_to("two")
    assert ResourceServerConfig(identifier=API).is_open_to("two")
    assert not ResourceServerConfig(identifier=API, enabled=False).is_open_to("two")


@pytest.mark.compliance("7591-2")
@pytest.mark.parametrize(
    ("options", "one", "two"),
    [
        ({}, False, False),
        ({"clients": ["one"]}, True, False),
        ({"registered_clients": True}, True, True),
        ({"clients": ["one"], "registered_clients": True}, True, True),
        ({"clients": [], "registered_clients": True}, True, True),
        ({"enabled": False, "registered_clients": True}, False, False),
    ],
)
def test_clients_that_registered_themselves(options, one, two):
    [server] = declared_resource_servers({API: options})
    registry = ResourceServers.of([server], default=API).for_registered_clients()
    seen = registry.by_identifier[API]
    assert (seen.is_open_to("one"), seen.is_open_to("two")) == (one, two)
    assert registry.default == API
    # Clients of administrators are not affected.
    assert server.is_open_to("two") == ("clients" not in options and options.get("enabled", True))


def test_a_default_that_is_registered_nowhere_is_closed_to_them():
    registry = ResourceServers.of([], default=API).for_registered_clients()
    assert not registry.by_identifier[API].is_open_to("one")


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


@pytest.mark.parametrize("resources", [None, []])
def test_a_row_without_resources_is_for_the_default(resources):
    registry = ResourceServers.of((), default=API)
    assert registry.or_default(resources) == [API]
    assert registry.or_default([REPORTS]) == [REPORTS]
    assert ResourceServers().or_default(resources) == []


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
        ([API + "x" * 255], "has an identifier of more than 255 characters"),
        ({API: {"aliases": [API + "x" * 255]}}, "has an identifier of more than 255 characters"),
        ({API: []}, f"must have a dict of options for {API}"),
        ({API: {"scope": []}}, "'scope' for"),
        ({API: {"name": 7}}, "is not a string"),
        ({API: {"scopes": "read"}}, "neither a dict"),
        ({API: {"scopes": ["read write"]}}, "invalid scope"),
        ({API: {"scopes": ['quo"te']}}, "invalid scope"),
        ({API: {"scopes": [7]}}, "invalid scope"),
        ({API: {"scopes": {"read": None}}}, "has a description of the scope read"),
        ({API: {"scopes": {"read": "a\x00b"}}}, "has a description of the scope read with NUL characters"),
        ({API: {"scopes": {"read": "a\ud800b"}}}, "has a description of the scope read with NUL characters"),
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
def test_what_is_not_a_resource_identifier(value):
    assert not is_resource_identifier(value)


@given(st.text() | st.text().map(lambda text: f"https://{text}") | st.integers() | st.binary())
def test_any_value_is_an_identifier_or_not(value):
    told = is_resource_identifier(value)
    assert type(told) is bool
    assert not told or (value.isascii() and "#" not in value and "://" in value)


class TestEquivalentIdentifiers:
    """RFC 3986 section 6.2.2.1 and 6.2.3."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("https://api.example.com", "https://api.example.com/"),
            ("https://api.example.com", "HTTPS://API.Example.COM"),
            ("https://api.example.com/mcp", "https://API.example.com:443/mcp"),
            ("https://api.example.com:443", "https://api.example.com/"),
            ("https://api.example.com:/a", "https://api.example.com/a"),
            ("http://localhost:80/a", "http://localhost/a"),
            ("https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a"),
            ("https://api.example.com?a=B", "https://api.example.com/?a=B"),
            ("urn+x://API/a", "urn+x://api/a"),
        ],
    )
    def test_are_the_same(self, one, other):
        assert is_resource_identifier(one)
        assert is_resource_identifier(other)
        assert canonical_identifier(one) == canonical_identifier(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("https://api.example.com/mcp", "https://api.example.com/mcp/"),
            ("https://api.example.com/mcp", "https://api.example.com/MCP"),
            ("https://api.example.com/%7euser", "https://api.example.com/~user"),
            ("https://api.example.com/%7e", "https://api.example.com/%7E"),
            ("https://api.example.com/a/../b", "https://api.example.com/b"),
            ("https://api.example.com/", "https://api.example.com/?"),
            ("https://api.example.com/?a=B", "https://api.example.com/?a=b"),
            ("https://api.example.com/", "http://api.example.com/"),
            ("https://api.example.com:8443/", "https://api.example.com/"),
            ("https://api.example.com:80/", "https://api.example.com/"),
            ("https://api.example.com./", "https://api.example.com/"),
            ("https://[2001:db8::80]/", "https://[2001:db8::]/"),
            # Only http and https have a default port, and a root that is the same as no path.
            ("app://api", "app://api/"),
            ("app://api:443/", "app://api/"),
        ],
    )
    def test_are_different(self, one, other):
        assert is_resource_identifier(one)
        assert is_resource_identifier(other)
        assert canonical_identifier(one) != canonical_identifier(other)

    @given(IDENTIFIERS)
    def test_the_canonical_form_is_an_identifier_and_its_own(self, identifier):
        canonical = canonical_identifier(identifier)
        assert is_resource_identifier(canonical)
        assert canonical_identifier(canonical) == canonical

    @given(IDENTIFIERS)
    def test_the_path_after_the_authority_is_kept(self, identifier):
        path = re.sub(r"^[^:]*://[^/?]*", "", identifier)
        kept = re.sub(r"^[^:]*://[^/?]*", "", canonical_identifier(identifier))
        assert kept in {path, f"/{path}"}
        assert kept == path or not path.startswith("/")

    @given(IDENTIFIERS, st.sampled_from(["/", "%2F", "/a", "?", "a"]))
    def test_a_longer_path_is_another_identifier(self, identifier, suffix):
        longer = canonical_identifier(identifier) + suffix
        assert canonical_identifier(longer) != canonical_identifier(identifier)

    @given(IDENTIFIERS, st.data())
    def test_case_of_scheme_and_host_does_not_matter(self, identifier, data):
        length = re.match(r"[^:]*://[^/?]*", identifier).end()
        upper = data.draw(st.lists(st.booleans(), min_size=length, max_size=length))
        start = "".join(each.upper() if up else each.lower() for each, up in zip(identifier, upper, strict=False))
        assert canonical_identifier(start + identifier[length:]) == canonical_identifier(identifier)


class TestNames:
    MOVED = ResourceServerConfig(identifier="https://api.example.com/v2", aliases=("https://old.example.com",))
    ROOT = ResourceServerConfig(identifier="https://mcp.example.com")

    @pytest.mark.parametrize(
        ("name", "identifier"),
        [
            ("https://api.example.com/v2", MOVED.identifier),
            ("https://old.example.com", MOVED.identifier),
            ("https://OLD.example.com:443/", MOVED.identifier),
            ("https://mcp.example.com/", ROOT.identifier),
            ("https://mcp.example.com", ROOT.identifier),
            ("https://api.example.com/v2/", None),
            ("https://mcp.example.com/mcp", None),
            ("not an identifier", None),
        ],
    )
    def test_a_name_finds_its_server(self, name, identifier):
        found = ResourceServers.of([self.MOVED, self.ROOT]).named(name)
        assert (None if found is None else found.identifier) == identifier

    def test_an_identifier_in_use_takes_precedence_over_a_former_one(self):
        moved = ResourceServerConfig(identifier=API, aliases=(REPORTS, f"{REPORTS}x"))
        used = ResourceServerConfig(identifier=REPORTS)
        registry = ResourceServers.of([moved, used])
        assert registry.named(REPORTS) is used
        assert registry.named(REPORTS.upper().replace("/REPORTS", "/reports")) is used
        assert registry.named(f"{REPORTS}x") is moved

    def test_names_are_replaced_by_registered_ones(self):
        registry = ResourceServers.of([self.MOVED, self.ROOT])
        names = ["https://old.example.com", "https://gone.example.com/", "https://api.example.com/v2"]
        assert registry.registered(names) == [self.MOVED.identifier, "https://gone.example.com/"]

    @pytest.mark.parametrize(
        "value",
        [
            ["https://api.example.com", "https://api.example.com/"],
            {"https://api.example.com": {"aliases": ["HTTPS://api.example.com/"]}},
            {
                "https://a.example.com": {"aliases": ["https://old/"]},
                "https://b.example.com": {"aliases": ["https://old"]},
            },
            {"https://a.example.com/x": {"aliases": ["https://old/", "https://old"]}},
        ],
    )
    def test_equivalent_names_cannot_be_declared(self, value):
        with pytest.raises(ValueError, match=r"the same identifier \(RFC 3986 section 6\.2\.3\)"):
            declared_resource_servers(value)

    @pytest.mark.parametrize(
        "value",
        [
            {"https://old/": {"aliases": ["https://old/"]}},
            {"https://api.example.com/": {"aliases": ["https://old/", "https://old/"]}},
            {"https://api.example.com/": {"aliases": ["https://old/"]}, "https://old/": {}},
            {"https://a/": {"aliases": ["https://old/"]}, "https://b/": {"aliases": ["https://old/"]}},
        ],
    )
    def test_name_that_is_declared_twice_is_named_once(self, value):
        with pytest.raises(ValueError, match=r"^has 'https://old/' as an identifier or alias more than once$"):
            declared_resource_servers(value)

    @pytest.mark.parametrize("aliases", ["https://old.example.com/", 1, ["old"], [None], {"https://old/": 1}])
    def test_aliases_must_be_a_list_of_identifiers(self, aliases):
        with pytest.raises(ValueError, match=rf"has a 'aliases' for {API} that"):
            declared_resource_servers({API: {"aliases": aliases}})
