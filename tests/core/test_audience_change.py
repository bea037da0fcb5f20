"""Which requests change with the resource servers, and why: a table and properties."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.audience import resolve_audience
from django_at_jwt.core.audience_change import Cause, ClientRequest, Effect, changed_requests
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers, TokenFormat

NOTES, ORDERS = "https://notes.example.com/", "https://orders.example.com/"
ME, OTHER = "me", "other"
WITHOUT_SCOPES = ResourceServerConfig(identifier=NOTES)
WITH_READ = ResourceServerConfig(identifier=ORDERS, scopes={"read": ""})
BOTH = (WITHOUT_SCOPES, WITH_READ)


def request(asked="", *, filled_in="read write", **values):
    scopes = tuple(asked.split())
    return ClientRequest(**{"clients": (ME,), "asked": scopes, "scopes": scopes or tuple(filled_in.split()), **values})


def refresh(*granted, scopes="read write", **values):
    return request(filled_in=scopes, granted=granted, tokens=1, **values)


def causes(before, after, *requests, default=NOTES, default_after=NOTES):
    registries = ResourceServers.of(before, default=default), ResourceServers.of(after, default=default_after)
    return [change.cause for change in changed_requests(*registries, requests, lifetime=300)]


@pytest.mark.parametrize(
    ("before", "after", "changed", "expected"),
    [
        # Another API takes a scope.
        (BOTH[:1], BOTH, request("read"), Cause(effect=Effect.OTHER_AUDIENCE, before=(NOTES,), after=(ORDERS,))),
        (
            BOTH[:1],
            BOTH,
            request(),
            Cause(effect=Effect.LOST_SCOPES, before=(NOTES,), after=(NOTES,), former=("read",)),
        ),
        (
            BOTH[:1],
            BOTH,
            request("read", resources=(NOTES,)),
            Cause(effect=Effect.LOST_SCOPES, named=(NOTES,), before=(NOTES,), after=(NOTES,), former=("read",)),
        ),
        (
            BOTH[:1],
            BOTH,
            refresh(NOTES),
            Cause(effect=Effect.LOST_SCOPES, is_refresh=True, before=(NOTES,), after=(NOTES,), former=("read",)),
        ),
        # The other way round, the first API gets it back.
        (BOTH, BOTH[:1], request(), Cause(effect=Effect.ADDED_SCOPES, before=(NOTES,), after=(NOTES,), new=("read",))),
        (BOTH, BOTH[:1], request("read write"), Cause(effect=Effect.ISSUED, after=(NOTES,))),
        # Other kinds of token.
        (
            BOTH,
            (WITHOUT_SCOPES, replace(WITH_READ, token_format=TokenFormat.OPAQUE)),
            request("read"),
            Cause(effect=Effect.OTHER_FORMAT, before=(ORDERS,), after=(ORDERS,), former=("at+jwt",), new=("opaque",)),
        ),
        (
            BOTH,
            (WITHOUT_SCOPES, replace(WITH_READ, algorithm="ES256")),
            refresh(ORDERS),
            Cause(effect=Effect.OTHER_ALGORITHM, before=(ORDERS,), after=(ORDERS,), former=("",), new=("ES256",)),
        ),
        (
            BOTH,
            (WITHOUT_SCOPES, replace(WITH_READ, lifetime=60)),
            request("read", resources=(ORDERS,)),
            Cause(effect=Effect.OTHER_LIFETIME, before=(ORDERS,), after=(ORDERS,), former=("300",), new=("60",)),
        ),
    ],
)
def test_change_has_the_cause(before, after, changed, expected):
    assert causes(before, after, changed) == [expected]


@pytest.mark.parametrize(
    ("after", "changed", "code", "text"),
    [
        (BOTH, request("read write"), "invalid_scope", "belong to different resources"),
        ((WITHOUT_SCOPES,), request(resources=(ORDERS,)), "invalid_target", "not registered"),
        ((WITHOUT_SCOPES,), refresh(ORDERS), "invalid_target", "no longer available"),
        (
            (WITHOUT_SCOPES, replace(WITH_READ, client_ids=frozenset({OTHER}))),
            request("read"),
            "invalid_target",
            "not available to this client",
        ),
        (
            (replace(WITHOUT_SCOPES, isolated=True), WITH_READ),
            refresh(NOTES, ORDERS),
            "invalid_target",
            "isolated",
        ),
    ],
)
def test_refusals_have_the_code_and_the_description_of_the_response(after, changed, code, text):
    before = (WITHOUT_SCOPES, replace(WITH_READ, scopes={} if changed.asked == ("read", "write") else {"read": ""}))
    [cause] = causes(before, after, changed)
    assert (cause.effect, cause.code) == (Effect.REFUSED, code)
    assert text in cause.description


def test_refresh_without_a_stored_resource_is_for_the_default():
    [cause] = causes(BOTH, BOTH, refresh(scopes="write"), default_after=ORDERS)
    assert (cause.effect, cause.before, cause.after) == (Effect.OTHER_AUDIENCE, (NOTES,), (ORDERS,))
    [cause] = causes(BOTH, BOTH, refresh(scopes="write"), default_after=None)
    assert (cause.effect, cause.code, cause.before) == (Effect.REFUSED, "server_error", (NOTES,))


def test_requests_of_one_cause_are_counted_together_and_the_worst_come_first():
    requests = [
        request("read", clients=("a", "b")),
        request("read", clients=("b",), tokens=2),
        request("read write", clients=("a", "b")),
        request("read other", clients=("b", "c")),
        request("read write other", clients=("c",)),
        refresh(NOTES, clients=("d",)),
        refresh(NOTES, clients=("d",), scopes="read other"),
    ]
    registries = ResourceServers.of(BOTH[:1], default=NOTES), ResourceServers.of(BOTH, default=NOTES)
    refused, moved, narrowed = changed_requests(*registries, requests, lifetime=300)
    assert (refused.cause.effect, refused.clients, refused.seen_clients) == (Effect.REFUSED, ("a", "b", "c"), ())
    assert refused.scopes == (("read", "other"), ("read", "write"))
    assert (moved.clients, moved.seen_clients, moved.scopes) == (("a", "b"), ("b",), (("read",),))
    assert (narrowed.cause.is_refresh, narrowed.refresh_tokens, narrowed.clients) == (True, 2, ("d",))
    assert (moved.refresh_tokens, narrowed.seen_clients) == (0, ())


def test_scopes_that_a_stored_token_shows_are_named_although_fewer_would_break_too():
    registries = ResourceServers.of(BOTH[:1], default=NOTES), ResourceServers.of(BOTH, default=NOTES)
    requests = [request("read write"), request("read write other", tokens=1)]
    [refused] = changed_requests(*registries, requests, lifetime=300)
    assert refused.scopes == (("read", "write"), ("read", "write", "other"))


_identifiers = st.sampled_from([NOTES, ORDERS, "https://mail.example.com/"])
_scopes = st.lists(st.sampled_from(["read", "write", "openid"]), unique=True).map(tuple)
_servers = st.builds(
    ResourceServerConfig,
    identifier=_identifiers,
    scopes=st.none() | _scopes.map(lambda scopes: dict.fromkeys(scopes, "")),
    lifetime=st.sampled_from([None, 60]),
    token_format=st.sampled_from(TokenFormat),
    client_ids=st.sampled_from([None, frozenset({ME}), frozenset({OTHER})]),
    isolated=st.booleans(),
    enabled=st.booleans(),
)
_registries = st.builds(
    ResourceServers.of,
    st.lists(_servers, unique_by=lambda server: server.identifier),
    default=st.none() | _identifiers,
)
_requests = st.builds(
    ClientRequest,
    clients=st.just((ME,)),
    asked=_scopes,
    scopes=_scopes,
    resources=st.lists(_identifiers, max_size=2).map(tuple),
    granted=st.none() | st.lists(_identifiers, min_size=1, max_size=2, unique=True).map(tuple),
)


def answer(registry, request_):
    """Return everything that the client and the API see of the token, as issuing decides it."""
    try:
        audience = resolve_audience(
            registry,
            client_id=ME,
            resources=request_.resources,
            scopes=request_.scopes,
            asked_scopes=request_.asked,
            granted=request_.granted,
        )
    except IssuanceError:
        return None
    return (
        {*audience.identifiers},
        {*audience.scopes},
        audience.token_format,
        audience.algorithm,
        audience.lifetime(300),
    )


@given(before=_registries, after=_registries, request_=_requests)
def test_a_change_is_reported_exactly_if_the_answer_differs(before, after, request_):
    old, new = answer(before, request_), answer(after, request_)
    changes = changed_requests(before, after, [request_], lifetime=300)
    assert bool(changes) == (old != new)
    refused = old is not None and new is None
    assert any(change.cause.effect is Effect.REFUSED for change in changes) == refused


@given(registry=_registries, request_=_requests)
def test_no_change_breaks_nothing(registry, request_):
    assert changed_requests(registry, registry, [request_], lifetime=300) == ()


@pytest.mark.parametrize(
    ("before", "after", "itself", "effects"),
    [
        (True, False, True, [Effect.REFUSED]),
        (False, True, True, [Effect.ISSUED]),
        (True, False, False, []),
        (False, True, False, []),
    ],
)
def test_clients_that_registered_themselves(before, after, itself, effects):
    servers = ([replace(WITHOUT_SCOPES, registered_clients=value)] for value in (before, after))
    asked = request("read", registered_itself=itself)
    assert [cause.effect for cause in causes(*servers, asked)] == effects
