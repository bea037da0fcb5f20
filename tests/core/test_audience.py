"""The audience and scopes of a token (RFC 8707 and RFC 9068 section 3), as a table and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_at_jwt.core.audience import resolve_audience
from django_at_jwt.core.errors import InvalidScope, InvalidTarget, NoDefaultResource
from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers, TokenFormat

from .token_factory import API, REPORTS

MAIL = "https://mail.example.com/"
NEIGHBOUR = "https://neighbour.example.com/"
VAULT = "https://vault.example.com/"
CLOSED = "https://closed.example.com/"
OPAQUE = "https://opaque.example.com/"
ME, OTHER = "me", "other"

SERVERS = (
    # The default declares no scopes: it has those that no resource server declares.
    ResourceServerConfig(identifier=API),
    ResourceServerConfig(identifier=REPORTS, scopes={"reports": "Read reports", "shared": ""}, lifetime=60),
    ResourceServerConfig(identifier=MAIL, scopes={"mail": "Send mail", "shared": ""}, lifetime=30, algorithm=None),
    ResourceServerConfig(identifier=NEIGHBOUR, scopes={"secrets": ""}, client_ids=frozenset({OTHER})),
    ResourceServerConfig(identifier=VAULT, scopes={"open": ""}, isolated=True),
    ResourceServerConfig(identifier=CLOSED, scopes={"closed": ""}, enabled=False),
    ResourceServerConfig(identifier=OPAQUE, scopes={"old": ""}, token_format=TokenFormat.OPAQUE),
)
REGISTRY = ResourceServers.of(SERVERS, default=API)


def resolve(*resources, asked="", filled_in="read", granted=None, client=ME, registry=REGISTRY):
    asked_scopes = asked.split()
    return resolve_audience(
        registry,
        client_id=client,
        resources=resources,
        scopes=asked_scopes or filled_in.split(),
        asked_scopes=asked_scopes,
        granted=granted,
    )


@pytest.mark.compliance("9068-12", "9068-14", "9068-16", "9068-17", "8707-1")
@pytest.mark.parametrize(
    ("resources", "asked", "audience", "scopes"),
    [
        # No resource is implied: the default, with the scopes that have a meaning there.
        ([], "", [API], "read"),
        # A requested resource, with the scopes that have a meaning there.
        ([REPORTS], "reports", [REPORTS], "reports"),
        ([REPORTS], "read reports mail", [REPORTS], "reports"),
        ([REPORTS], "read", [REPORTS], ""),
        ([REPORTS], "", [REPORTS], ""),
        ([API], "reports anything", [API], "anything"),
        ([VAULT], "open", [VAULT], "open"),
        ([REPORTS, REPORTS], "reports", [REPORTS], "reports"),
        # Equivalent to the registered identifier (RFC 3986 section 6.2.3).
        ([API[:-1]], "", [API], "read"),
        ([API.upper(), REPORTS, REPORTS.replace("reports.", "REPORTS.")], "reports", [API, REPORTS], "reports"),
        # Several: each scope for one of them.
        ([REPORTS, API], "read reports", [REPORTS, API], "read reports"),
        ([API, MAIL], "mail", [API, MAIL], "mail"),
        # No resource, and scopes that imply one.
        ([], "reports", [REPORTS], "reports"),
        ([], "mail", [MAIL], "mail"),
        ([], "shared reports", [REPORTS], "shared reports"),
        ([], "read", [API], "read"),
        ([], "old", [OPAQUE], "old"),
        # The issuer's scopes imply no audience, and every token may have them.
        ([], "openid", [API], "openid"),
        ([], "openid reports", [REPORTS], "openid reports"),
        ([REPORTS], "openid reports", [REPORTS], "openid reports"),
        # An isolated resource server is never implied.
        ([], "open", [API], ""),
        ([], "open reports", [REPORTS], "reports"),
    ],
)
def test_the_audience_of_a_first_request(resources, asked, audience, scopes):
    resolved = resolve(*resources, asked=asked)
    assert resolved.identifiers == audience
    assert resolved.scopes == tuple(scopes.split())


@pytest.mark.compliance("8707-3")
@pytest.mark.parametrize(
    ("resources", "granted", "audience"),
    [
        ([], [REPORTS], [REPORTS]),
        ([], [REPORTS, API], [REPORTS, API]),
        ([API], [REPORTS, API], [API]),
        ([API, REPORTS], [REPORTS, API], [API, REPORTS]),
        ([REPORTS], [REPORTS], [REPORTS]),
    ],
)
def test_the_audience_of_a_later_request(resources, granted, audience):
    # The scopes were granted for all of them, so they do not imply a resource again.
    assert resolve(*resources, asked="", filled_in="read reports", granted=granted).identifiers == audience


@pytest.mark.compliance("8707-2", "8707-3")
@pytest.mark.parametrize(
    ("resources", "asked", "granted"),
    [
        # Malformed or unknown.
        (["https://unknown.example.com/"], "", None),
        ([API, "https://unknown.example.com/"], "", None),
        (["https://api.example"], "", None),
        ([f"{API}admin"], "", None),
        (["http://api.example.com/"], "", None),
        ([f"{API}#fragment"], "", None),
        (["/relative"], "", None),
        ([""], "", None),
        ([None], "", None),
        ([7], "", None),
        ([[API]], "", None),
        ([{"resource": API}], "", None),
        ([f"{API} {REPORTS}"], "", None),
        # Disabled, or for another client: by name, by scope, and granted before.
        ([CLOSED], "", None),
        ([], "closed", None),
        ([], "reports closed", None),
        ([], "", [CLOSED]),
        ([NEIGHBOUR], "", None),
        ([API, NEIGHBOUR], "", None),
        ([], "secrets", None),
        ([], "read secrets", None),
        ([], "", [NEIGHBOUR]),
        # More than was granted.
        ([API], "", [REPORTS]),
        ([API, REPORTS], "", [REPORTS]),
        ([REPORTS], "reports", [API]),
        # What cannot share a token.
        ([VAULT, API], "", None),
        ([], "", [VAULT, API]),
        ([OPAQUE, API], "", None),
    ],
)
def test_an_invalid_target(resources, asked, granted):
    with pytest.raises(InvalidTarget) as refused:
        resolve(*resources, asked=asked, granted=granted)
    assert (refused.value.code, refused.value.status) == ("invalid_target", 400)
    # The response does not repeat the client's text, which may end up in a page or a log.
    assert "unknown.example" not in refused.value.description


@pytest.mark.compliance("8707-2")
@pytest.mark.parametrize("resource", ["/relative", "", None, 7, [API], f"{API}#fragment", f"{API} {REPORTS}"])
def test_a_malformed_resource_is_named_as_such(resource):
    with pytest.raises(InvalidTarget, match="is not an absolute URI without a fragment"):
        resolve(API, resource)


def test_a_granted_resource_that_only_this_client_may_have():
    assert resolve(granted=[NEIGHBOUR], filled_in="secrets", client=OTHER).identifiers == [NEIGHBOUR]
    with pytest.raises(InvalidTarget):
        resolve(granted=[NEIGHBOUR], filled_in="secrets", client=ME)


@pytest.mark.parametrize(
    ("granted", "is_any_left"),
    [([CLOSED], False), ([API, CLOSED], True), (["https://unknown.example.com/", API], True), (["no uri"], False)],
)
def test_granted_resource_that_was_removed(granted, is_any_left):
    with pytest.raises(InvalidTarget, match="granted is no longer available to this client") as refused:
        resolve(granted=granted)
    assert ("Name one of the others" in refused.value.description) is is_any_left
    assert not is_any_left or resolve(API, granted=granted).identifiers == [API]


@pytest.mark.compliance("9068-15", "9068-30")
@pytest.mark.parametrize("asked", ["shared", "reports shared", "mail reports shared openid"])
def test_a_scope_that_means_two_things_is_for_two_tokens(asked):
    with pytest.raises(InvalidTarget, match="one token for each"):
        resolve(REPORTS, MAIL, asked=asked)
    assert resolve(REPORTS, asked=asked).identifiers == [REPORTS]


@pytest.mark.compliance("9068-18")
@pytest.mark.parametrize("asked", ["reports mail", "read reports", "read mail openid", "shared read", "shared"])
def test_scopes_of_different_resources(asked):
    with pytest.raises(InvalidScope) as refused:
        resolve(asked=asked)
    assert (refused.value.code, refused.value.status) == ("invalid_scope", 400)


@pytest.mark.compliance("9068-18")
def test_scopes_that_are_filled_in_imply_nothing():
    resolved = resolve(filled_in="reports mail read secrets")
    assert (resolved.identifiers, resolved.scopes) == ([API], ("read",))


def test_an_isolated_default_is_none():
    registry = ResourceServers.of(SERVERS, default=VAULT)
    assert (registry.default, registry.marked_default) == (None, VAULT)
    with pytest.raises(NoDefaultResource):
        resolve(registry=registry)
    assert resolve(VAULT, registry=registry).identifiers == [VAULT]


def test_the_default_is_taken_where_it_is_one_of_several():
    registry = ResourceServers.of(SERVERS, default=MAIL)
    assert resolve(asked="shared", registry=registry).identifiers == [MAIL]
    assert resolve(asked="shared reports", registry=registry).identifiers == [REPORTS]


@pytest.mark.compliance("9068-16")
def test_no_default():
    registry = ResourceServers.of(SERVERS)
    assert resolve(REPORTS, registry=registry).identifiers == [REPORTS]
    assert resolve(asked="mail", registry=registry).identifiers == [MAIL]
    with pytest.raises(NoDefaultResource):
        resolve(registry=registry)


def test_a_default_that_is_not_for_this_client():
    registry = ResourceServers.of(SERVERS, default=NEIGHBOUR)
    with pytest.raises(InvalidTarget):
        resolve(registry=registry)
    assert resolve(registry=registry, client=OTHER).identifiers == [NEIGHBOUR]


def test_a_client_cannot_tell_another_ones_api_from_none():
    told = []
    for resource in (NEIGHBOUR, CLOSED, "https://unknown.example.com/"):
        with pytest.raises(InvalidTarget) as refused:
            resolve(resource)
        told.append(refused.value.description)
    assert len(set(told)) == 1


def test_the_shortest_lifetime():
    assert resolve(API).lifetime(3600) == 3600
    assert resolve(REPORTS).lifetime(3600) == 60
    assert resolve(REPORTS, API).lifetime(3600) == 60
    assert resolve(REPORTS, API).lifetime(10) == 10
    assert resolve(MAIL, REPORTS).lifetime(3600) == 30


def test_what_the_token_looks_like():
    assert resolve(OPAQUE).token_format is TokenFormat.OPAQUE
    assert resolve(API).token_format is TokenFormat.AT_JWT
    registry = ResourceServers.of(
        [*SERVERS, ResourceServerConfig(identifier=CLOSED, scopes={}, algorithm="ES256")], default=API
    )
    assert resolve(CLOSED, registry=registry).algorithm == "ES256"
    with pytest.raises(InvalidTarget, match="different kinds"):
        resolve(CLOSED, API, registry=registry)


identifiers = st.sampled_from([server.identifier for server in SERVERS])
scope_names = st.sampled_from(["read", "reports", "mail", "shared", "secrets", "open", "closed", "old", "openid"])
scope_lists = st.lists(scope_names, max_size=4)


@st.composite
def registries(draw):
    servers = [
        ResourceServerConfig(
            identifier=identifier,
            scopes=draw(st.none() | st.dictionaries(scope_names, st.just(""), max_size=3)),
            client_ids=draw(st.none() | st.frozensets(st.sampled_from([ME, OTHER]))),
            lifetime=draw(st.none() | st.integers(1, 100)),
            isolated=draw(st.booleans()),
            enabled=draw(st.booleans()),
            token_format=draw(st.sampled_from(TokenFormat)),
        )
        for identifier in draw(st.lists(identifiers, unique=True))
    ]
    return ResourceServers.of(servers, default=draw(st.none() | identifiers))


@pytest.mark.compliance("8707-3", "9068-12", "9068-15")
@settings(max_examples=200)
@given(
    registry=registries(),
    resources=st.lists(identifiers | st.just("nonsense") | st.none(), max_size=3),
    scopes=scope_lists,
    asked=st.booleans(),
    granted=st.none() | st.lists(identifiers, min_size=1, max_size=3, unique=True),
)
def test_whatever_is_resolved(registry, resources, scopes, asked, granted):
    asked_scopes = scopes if asked else ()
    try:
        audience = resolve_audience(
            registry, client_id=ME, resources=resources, scopes=scopes, asked_scopes=asked_scopes, granted=granted
        )
    except (InvalidTarget, InvalidScope, NoDefaultResource):
        return
    assert audience.servers
    assert len(set(audience.identifiers)) == len(audience.servers)
    # No resource of another client, no more than was granted, and no new scopes.
    assert all(server.is_open_to(ME) for server in audience.servers)
    assert granted is None or set(audience.identifiers) <= set(granted)
    assert set(audience.scopes) <= set(scopes)
    if resources:
        assert set(audience.identifiers) == set(resources)
    for scope in audience.scopes:
        meanings = sum(registry.has_meaning(scope, server) for server in audience.servers)
        assert meanings == 1 or (scope in registry.issuer_scopes and meanings <= 1)
    assert len(audience.servers) == 1 or not any(server.isolated for server in audience.servers)
    assert audience.lifetime(50) == min([server.lifetime or 50 for server in audience.servers])
    # Narrowing again changes nothing.
    identifiers = audience.identifiers
    again = resolve_audience(registry, client_id=ME, resources=identifiers, scopes=audience.scopes, granted=identifiers)
    assert again == audience


def test_detail_for_the_log_says_which_resource_is_not_available_and_why():
    unknown = "https://unknown.example.com/?" + "x" * 200
    with pytest.raises(InvalidTarget) as refused:
        resolve(API, CLOSED, NEIGHBOUR, unknown)
    assert refused.value.description == (
        "A requested resource is not registered with this authorization server for this client."
    )
    assert refused.value.detail == (
        f"{CLOSED} is disabled, {NEIGHBOUR} is not for this client, {ascii(unknown)[:100]}... is not registered"
    )
