from __future__ import annotations

import json

import pytest

from django_at_jwt.core.metadata import (
    Offer,
    authorization_server_metadata,
    place_of_metadata,
    protected_resource_metadata,
    with_path,
)

from .token_factory import API, ISSUER

JWKS_URI = f"{ISSUER}/.well-known/jwks.json"
OAUTH = {
    "issuer": "https://what-the-host-header-said.example/",
    "authorization_endpoint": f"{ISSUER}/authorize/",
    "token_endpoint": f"{ISSUER}/token/",
    "scopes_supported": ["write", "read"],
    "response_types_supported": ["code"],
}
OPENID = {
    "issuer": "https://another.example/",
    "jwks_uri": "https://another.example/jwks.json",
    "userinfo_endpoint": f"{ISSUER}/userinfo/",
    "claims_supported": {"sub", "email"},
    "id_token_signing_alg_values_supported": ["RS256", "HS256"],
    "scopes_supported": ["openid", "write", "read"],
}


def metadata(oauth=OAUTH, openid=None, **options):
    return authorization_server_metadata(
        oauth, openid, **{"issuer": ISSUER, "jwks_uri": JWKS_URI, "signing_algorithms": ["ES256"], **options}
    )


@pytest.mark.compliance("9068-20", "8414-1")
@pytest.mark.parametrize("openid", [None, OPENID])
def test_issuer_and_jwk_set_are_the_given_ones(openid):
    document = metadata(openid=openid)
    assert document["issuer"] == ISSUER
    assert document["jwks_uri"] == JWKS_URI


def test_what_the_server_says_is_kept():
    document = metadata()
    assert document["token_endpoint"] == f"{ISSUER}/token/"
    assert document["response_types_supported"] == ["code"]
    assert document["scopes_supported"] == ["read", "write"]
    assert "id_token_signing_alg_values_supported" not in document
    assert "userinfo_endpoint" not in document


@pytest.mark.compliance("9068-20")
def test_both_documents_are_one():
    document = metadata(openid=OPENID)
    assert document.keys() == {*OAUTH, *OPENID}
    assert document["scopes_supported"] == ["openid", "read", "write"]
    assert document["claims_supported"] == ["email", "sub"]
    assert json.loads(json.dumps(document)) == document


@pytest.mark.compliance("9068-2", "9068-20")
@pytest.mark.parametrize(
    ("told", "signing", "expected"),
    [
        (["RS256", "HS256"], ["ES256"], ["RS256", "HS256", "ES256"]),
        (["RS256"], ["RS256", "EdDSA"], ["RS256", "EdDSA"]),
        ([], ["RS256"], ["RS256"]),
        (None, ["ES256", "RS256"], ["ES256", "RS256"]),
    ],
)
def test_the_permitted_algorithms_include_those_of_access_tokens(told, signing, expected):
    openid = {name: value for name, value in OPENID.items() if name != "id_token_signing_alg_values_supported"}
    if told is not None:
        openid["id_token_signing_alg_values_supported"] = told
    document = metadata(openid=openid, signing_algorithms=signing)
    assert document["id_token_signing_alg_values_supported"] == expected


@pytest.mark.compliance("8414-2")
def test_empty_lists_and_nothing_are_left_out():
    empty = {"scopes_supported": [], "response_modes_supported": [], "service_documentation": None}
    document = metadata(
        {**OAUTH, **empty, "require_request_uri_registration": False},
        {**OPENID, "claims_supported": set(), "id_token_signing_alg_values_supported": [], "scopes_supported": []},
        signing_algorithms=[],
    )
    assert document.keys().isdisjoint({*empty, "claims_supported", "id_token_signing_alg_values_supported"})
    # False is a value and is kept.
    assert document["require_request_uri_registration"] is False


def test_what_is_not_published_is_left_out():
    assert "jwks_uri" not in metadata(jwks_uri=None)
    assert "acr_values_supported" not in metadata()
    assert metadata(authentication_contexts=("gold", "silver"))["acr_values_supported"] == ["gold", "silver"]


@pytest.mark.parametrize(
    ("endpoint", "member"),
    [
        ("authorization_endpoint", "code_challenge_methods_supported"),
        ("token_endpoint", "token_endpoint_auth_methods_supported"),
    ],
)
def test_what_an_endpoint_supports_is_left_out_without_it(endpoint, member):
    oauth = {**OAUTH, member: ["x"]}
    assert metadata(oauth)[member] == ["x"]
    assert member not in metadata({**oauth, endpoint: None})
    assert member not in metadata({name: value for name, value in oauth.items() if name != endpoint})


def test_what_is_given_is_not_changed():
    before = json.dumps(OAUTH), sorted(OPENID)
    metadata(openid=OPENID)
    assert (json.dumps(OAUTH), sorted(OPENID)) == before
    assert OPENID["id_token_signing_alg_values_supported"] == ["RS256", "HS256"]


DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EVERYTHING = {
    **OAUTH,
    "response_types_supported": [
        "code",
        "token",
        "id_token token",
        "code token",
        "code id_token",
        "token id_token code",
    ],
    "grant_types_supported": ["authorization_code", "implicit", "password", "refresh_token", DEVICE],
    "device_authorization_endpoint": f"{ISSUER}/device-authorization/",
}
SERVER = {
    "response_types": ["code", "token", "id_token token", "code token", "code id_token", "code id_token token", "none"],
    "grant_types": ["authorization_code", "password", "client_credentials", "refresh_token", DEVICE],
}


class TestOffer:
    def offered(self, oauth=EVERYTHING, openid=None, **offer):
        return metadata(oauth, openid, offer=Offer(**{**SERVER, **offer}))

    def test_all_that_there_is(self):
        document = self.offered(openid={**OPENID, "scopes_supported": ["read"]})
        assert document["response_types_supported"] == EVERYTHING["response_types_supported"]
        assert document["grant_types_supported"] == EVERYTHING["grant_types_supported"]
        assert document["id_token_signing_alg_values_supported"] == ["RS256", "HS256", "ES256"]
        assert "device_authorization_endpoint" in document

    def test_no_hybrid_response_types(self):
        assert self.offered(hybrid=False)["response_types_supported"] == ["code", "token", "id_token token"]

    def test_no_hmac(self):
        document = self.offered(openid=OPENID, hmac=False)
        assert document["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]

    @pytest.mark.parametrize(
        ("left_out", "types"),
        [
            ("implicit", ["code", "code token", "code id_token", "token id_token code"]),
            ("authorization_code", ["token", "id_token token"]),
        ],
    )
    def test_response_types_follow_the_grants(self, left_out, types):
        grants = [each for each in EVERYTHING["grant_types_supported"] if each != left_out]
        document = self.offered({**EVERYTHING, "grant_types_supported": grants})
        assert (document["grant_types_supported"], document["response_types_supported"]) == (grants, types)

    @pytest.mark.parametrize(("types", "missing"), [(["code"], "implicit"), (["token"], "authorization_code")])
    def test_grants_follow_the_response_types(self, types, missing):
        document = self.offered({**EVERYTHING, "response_types_supported": types})
        assert missing not in document["grant_types_supported"]
        assert document["response_types_supported"] == types

    def test_server_for_one_grant(self):
        document = self.offered(response_types=(), grant_types=["password"])
        assert document["grant_types_supported"] == ["password"]
        assert document.keys().isdisjoint({"response_types_supported", "device_authorization_endpoint"})

    def test_server_of_which_nothing_is_known(self):
        document = self.offered(response_types=None, grant_types=None)
        assert document == metadata(EVERYTHING)

    def test_document_without_response_types(self):
        silent = {name: value for name, value in OAUTH.items() if name != "response_types_supported"}
        assert self.offered(silent) == metadata(silent)

    def test_all_that_is_not_restricted_is_offered(self):
        assert Offer().restrict(EVERYTHING) == EVERYTHING

    @pytest.mark.parametrize("grants", [["authorization_code", DEVICE], ["authorization_code"]])
    def test_device_endpoint_follows_its_grant(self, grants):
        document = self.offered(grant_types=grants)
        assert ("device_authorization_endpoint" in document) is (DEVICE in grants)
        # The implicit grant needs no token endpoint.
        assert document["grant_types_supported"] == [
            each for each in EVERYTHING["grant_types_supported"] if each in {*grants, "implicit"}
        ]

    @pytest.mark.parametrize("endpoint", [{}, {"device_authorization_endpoint": None}])
    def test_device_grant_follows_its_endpoint(self, endpoint):
        without = {name: value for name, value in EVERYTHING.items() if name != "device_authorization_endpoint"}
        assert DEVICE not in self.offered({**without, **endpoint})["grant_types_supported"]


# Protected resources (RFC 9728)


def test_metadata_of_a_protected_resource():
    description = {"resource_name": "Reports", "scopes_supported": ["read"]}
    assert protected_resource_metadata(API, authorization_servers=(ISSUER,), description=description) == {
        "resource_name": "Reports",
        "scopes_supported": ["read"],
        "resource": API,
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
    }


@pytest.mark.parametrize("nothing", ["", None, [], ()])
def test_empty_members_of_a_protected_resource_are_left_out(nothing):
    document = protected_resource_metadata(API, authorization_servers=(), description={"resource_name": nothing})
    assert document == {"resource": API, "bearer_methods_supported": ["header"]}


def test_no_description_replaces_what_the_protocol_says():
    others = {"resource": "x", "authorization_servers": ["x"], "bearer_methods_supported": ["body"]}
    document = protected_resource_metadata(API, authorization_servers=[ISSUER], description=others)
    assert document == protected_resource_metadata(API, authorization_servers=[ISSUER], description={})


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ("https://api.example.com", ("", "")),
        ("https://api.example.com/", ("", "")),
        ("https://api.example.com/v1", ("/v1", "")),
        ("https://api.example.com/v1/", ("/v1/", "")),
        ("https://api.example.com/v1?tenant=a&b", ("/v1", "tenant=a&b")),
    ],
)
def test_place_of_the_metadata_of_a_protected_resource(resource, place):
    assert place_of_metadata(resource) == place


def test_a_url_with_another_path():
    assert with_path("https://as.example.com:8443/o?x=1#y", "/a/b") == "https://as.example.com:8443/a/b"
