"""What a client gets of its metadata document."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.client_metadata import (
    RegistrationOffer,
    UnacceptableClient,
    problem_with_client_id,
    read_metadata_document,
)
from django_at_jwt.core.quotation import is_storable
from django_at_jwt.core.redirect_uris import is_remote_http, problem_with_redirect_uri

URL = "https://client.example.com/client.json"
SCHEMES = {"https", "http", "cursor"}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
uris = (
    st.sampled_from(["http://127.0.0.1/", "http://[::1]:1/", "http://[::1/", "https://a.example/", "http://a.example/"])
    | st.sampled_from(["cursor://x", "x:"])
    | st.text(max_size=10)
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "client_id": st.just(URL) | values,
        "client_name": st.text(max_size=10) | values,
        "redirect_uris": st.lists(uris | scalars, max_size=4) | values,
        "grant_types": st.lists(st.sampled_from(["authorization_code", "refresh_token", "implicit"])) | values,
        "response_types": st.lists(st.sampled_from(["code", "token"])) | values,
        "token_endpoint_auth_method": st.sampled_from(["none", "private_key_jwt"]) | values,
        "token_endpoint_auth_methods_supported": st.lists(st.sampled_from(["none", "private_key_jwt"])) | values,
        "client_secret": values,
    },
)


def read(document):
    offer = RegistrationOffer(
        grant_types=["authorization_code", "refresh_token"],
        problem_with_uri=partial(problem_with_redirect_uri, schemes=SCHEMES),
    )
    return read_metadata_document(document, offer, client_id=URL)


def complete(**changes):
    return {"client_id": URL, "client_name": "A client", "redirect_uris": ["http://127.0.0.1/"], **changes}


@given(documents)
def test_any_document_is_refused_or_yields_what_a_public_client_may_have(document):
    try:
        found = read(document)
    except UnacceptableClient:
        return
    assert document["client_id"] == URL
    assert found.client_name.strip() == found.client_name != ""
    assert is_storable(found.client_name)
    assert found.auth_method == "none"
    assert "authorization_code" in found.grant_types
    assert set(found.grant_types) <= {"authorization_code", "refresh_token"}
    assert set(found.redirect_uris) <= set(document["redirect_uris"])
    assert found.redirect_uris
    for uri in found.redirect_uris:
        assert not set(uri) & set(" #\\*@")
        assert urlsplit(uri).scheme in SCHEMES
        assert not is_remote_http(uri)


@given(documents.map(lambda document: complete(logo_uri=document)))
def test_unknown_members_change_nothing(document):
    assert read(document) == read(complete())


def test_names_what_the_client_does_not_get():
    found = read(
        complete(
            grant_types=["authorization_code", "urn:example:grant"],
            redirect_uris=["http://client.example.com/", "https://client.example.com/", "https://client.example.com/"],
        )
    )
    assert found.redirect_uris == ("https://client.example.com/",)
    assert found.grant_types == ("authorization_code", "refresh_token")
    grant, uri = found.dropped
    assert grant == "grant type 'urn:example:grant'"
    assert uri.startswith("redirect URI 'http://client.example.com/', which has the scheme http, which is allowed for ")


@given(st.text(max_size=30) | st.builds("https://{}".format, st.text(max_size=20)))
def test_any_text_is_a_client_id_or_has_a_problem(text):
    problem = problem_with_client_id(text, max_length=255)
    if problem is None:
        parts = urlsplit(text)
        assert (parts.scheme, bool(parts.hostname), bool(parts.path)) == ("https", True, True)


@pytest.mark.parametrize(
    "client_id",
    [URL, "https://claude.ai/", "https://[2001:db8::1]:8443/a", "https://a.example/b?c=d", "HTTPS://a.example/b"],
)
def test_client_ids(client_id):
    assert problem_with_client_id(client_id, max_length=255) is None
