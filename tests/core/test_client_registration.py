"""Client metadata is narrowed to what a server offers."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.client_metadata import (
    LONGEST_NAME,
    MOST_REDIRECT_URIS,
    RegistrationOffer,
    UnacceptableClient,
    read_registration_request,
)
from django_at_jwt.core.quotation import is_storable
from django_at_jwt.core.redirect_uris import problem_with_redirect_uri

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
HTTPS = "https://client.example.com/callback"
OFFER = RegistrationOffer(
    grant_types={"authorization_code", "refresh_token", "client_credentials", DEVICE},
    scopes={"read"},
    problem_with_uri=partial(problem_with_redirect_uri, schemes={"https", "http"}),
)


def narrowed(**document):
    return read_registration_request(document, OFFER)


def refused(**document):
    with pytest.raises(UnacceptableClient) as error:
        narrowed(**document)
    return error.value.code, error.value.description


class TestGrantTypes:
    @pytest.mark.parametrize(
        ("asked", "registered"),
        [
            (["authorization_code"], ["authorization_code", "refresh_token"]),
            (["refresh_token", "authorization_code"], ["authorization_code", "refresh_token"]),
            ([DEVICE, "authorization_code", "refresh_token"], ["authorization_code", "refresh_token"]),
            (["client_credentials", "authorization_code"], ["authorization_code", "refresh_token"]),
            (["password", "implicit", "authorization_code"], ["authorization_code", "refresh_token"]),
            (["urn:x:token-exchange", DEVICE], [DEVICE, "refresh_token"]),
            (["client_credentials", "refresh_token"], ["client_credentials"]),
            (None, ["authorization_code", "refresh_token"]),
        ],
    )
    def test_first_that_the_server_offers(self, asked, registered):
        assert list(narrowed(grant_types=asked, redirect_uris=[HTTPS]).grant_types) == registered

    def test_without_redirect_uris_the_code_grant_is_not_the_first(self):
        assert narrowed(grant_types=["authorization_code", DEVICE]).grant_type == DEVICE

    def test_refresh_tokens_that_the_server_does_not_offer(self):
        offer = RegistrationOffer(grant_types={"authorization_code"}, problem_with_uri=lambda _uri: None)
        assert read_registration_request({"redirect_uris": [HTTPS]}, offer).grant_types == ("authorization_code",)

    @pytest.mark.parametrize("asked", [[], ["refresh_token"], ["password"], ["AUTHORIZATION_CODE"]])
    def test_no_grant_is_left(self, asked):
        code, description = refused(grant_types=asked, redirect_uris=[HTTPS])
        offered = f"authorization_code, {DEVICE}, client_credentials, refresh_token"
        assert code == "invalid_client_metadata"
        assert description == f"None of grant_types can be registered here. Use one of: {offered}."

    def test_client_credentials_need_a_secret(self):
        code, description = refused(grant_types=["client_credentials"], token_endpoint_auth_method="none")
        assert code == "invalid_client_metadata"
        assert description == "A client without a secret cannot use client_credentials."


class TestOtherMembers:
    @pytest.mark.parametrize(
        ("asked", "registered"),
        [
            ("none", "none"),
            ("client_secret_post", "client_secret_post"),
            ("client_secret_basic", "client_secret_basic"),
            ("private_key_jwt", "client_secret_basic"),
            (None, "client_secret_basic"),
        ],
    )
    def test_authentication_method(self, asked, registered):
        assert narrowed(redirect_uris=[HTTPS], token_endpoint_auth_method=asked).auth_method == registered

    @pytest.mark.parametrize("asked", [None, [], ["code"], ["code", "token"], ["id_token"]])
    def test_response_types_follow_the_grant_type(self, asked):
        assert narrowed(redirect_uris=[HTTPS], response_types=asked).response_types == ("code",)

    @pytest.mark.parametrize(
        ("asked", "registered"), [("read write", ("read",)), ("write", ()), ("", None), (None, None)]
    )
    def test_scopes_are_narrowed_to_those_on_offer(self, asked, registered):
        assert narrowed(redirect_uris=[HTTPS], scope=asked).scopes == registered

    @pytest.mark.parametrize(
        ("sent", "registered"),
        [
            ("Claude Code (orders)", "Claude Code (orders)"),
            ("  two\n\tlines ", "two lines"),
            ("safe\u202egnp.exe", "safe gnp.exe"),
            ("\u200b\u2060\ufeff", ""),
            ("\u3164 \u2800", ""),
            ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
            ("x" * 10_000, "x" * LONGEST_NAME),
            (None, ""),
        ],
    )
    def test_name_is_printable(self, sent, registered):
        assert narrowed(redirect_uris=[HTTPS], client_name=sent).client_name == registered

    def test_unknown_members_are_ignored(self):
        sent = {"client_uri": 5, "jwks": None, "application_type": [], "x": {"y": 1}, "software_statement": "a.b.c"}
        assert narrowed(redirect_uris=[HTTPS], **sent) == narrowed(redirect_uris=[HTTPS])

    @pytest.mark.parametrize("member", ["grant_types", "redirect_uris", "response_types"])
    @pytest.mark.parametrize("value", ["code", [1], [None], {}, 5, True, [["code"]]])
    def test_lists_of_the_wrong_type(self, member, value):
        assert refused(**{member: value}) == ("invalid_client_metadata", f"{member} must be an array of strings.")

    @pytest.mark.parametrize("member", ["scope", "client_name", "token_endpoint_auth_method"])
    @pytest.mark.parametrize("value", [["read"], 5, {}, False])
    def test_texts_of_the_wrong_type(self, member, value):
        sent = {"redirect_uris": [HTTPS], member: value}
        assert refused(**sent) == ("invalid_client_metadata", f"{member} must be a string.")


class TestRedirectUris:
    def test_those_that_are_allowed_stay_in_order(self):
        sent = ["app://callback", HTTPS, "http://localhost:8787/cb", "http://[::1]/", HTTPS, "http://example.com/cb"]
        assert narrowed(redirect_uris=sent).redirect_uris == (HTTPS, "http://localhost:8787/cb", "http://[::1]/")

    @pytest.mark.parametrize(
        "uri",
        [
            "javascript:alert(1)",
            "data:text/html,x",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "http://client.example.com/callback",
            "https://*.example.com/callback",
            "HTTP://client.example.com/",
            # For browsers, the host is good.example.evil.example.
            "https://good.example%2eevil.example/",
        ],
    )
    def test_none_is_left(self, uri):
        code, description = refused(redirect_uris=[uri])
        assert code == "invalid_redirect_uri"
        assert description.startswith("None of redirect_uris is allowed here.")
        assert uri not in description

    @pytest.mark.parametrize("sent", [None, []])
    def test_none_is_sent(self, sent):
        assert refused(redirect_uris=sent) == (
            "invalid_redirect_uri",
            "redirect_uris is required for authorization_code.",
        )

    @pytest.mark.parametrize(
        "uri",
        [
            "",
            "https://a.example/ https://b.example/",
            "https://[/",
            "http://localhost:99999999/",
            "https://é.example/",
            "https://a.example/\x7f",
            "https://a.example\\@b.example/",
            # For browsers, the host is evil.example.
            "https://evil.example\\.good.example/",
            f"https://client.example.com/{'x' * 2000}",
        ],
        ids=lambda uri: ascii(uri[:40]),
    )
    def test_malformed_ones_are_refused_as_a_whole(self, uri):
        code, description = refused(redirect_uris=[HTTPS, uri])
        assert code == "invalid_redirect_uri"
        assert description.startswith("Each of redirect_uris must be an ASCII URI")

    def test_user_information(self):
        code, description = refused(redirect_uris=[HTTPS, "https://user:hidden@client.example.com/"])
        assert (code, "hidden" in description) == ("invalid_redirect_uri", False)

    def test_number_of_redirect_uris_is_limited(self):
        uris = [f"{HTTPS}/{number}" for number in range(MOST_REDIRECT_URIS + 1)]
        assert len(narrowed(redirect_uris=uris[1:]).redirect_uris) == MOST_REDIRECT_URIS
        assert refused(redirect_uris=uris)[0] == "invalid_redirect_uri"


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)
members = st.sampled_from(
    ["grant_types", "redirect_uris", "response_types", "scope", "client_name", "token_endpoint_auth_method", "x"]
)
plausible = st.sampled_from([["authorization_code"], ["password", DEVICE], "none", "read write", [HTTPS], ["code"]])


@given(st.dictionaries(members, plausible | json_values))
@pytest.mark.compliance("7591-2")
def test_whatever_is_registered_was_offered(document):
    try:
        registered = read_registration_request(document, OFFER)
    except UnacceptableClient:
        return
    assert set(registered.grant_types) <= OFFER.grant_types
    assert set(registered.scopes or ()) <= OFFER.scopes
    assert not any(map(OFFER.problem_with_uri, registered.redirect_uris))
    assert set(registered.redirect_uris) <= set(document.get("redirect_uris") or ())
    assert is_storable(registered.client_name)
    assert len(registered.client_name.splitlines()) <= 1
    assert not (registered.grant_type == "client_credentials" and registered.auth_method == "none")
