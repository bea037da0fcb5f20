from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.bearer import (
    INSUFFICIENT_SCOPE,
    INSUFFICIENT_USER_AUTHENTICATION,
    INVALID_REQUEST,
    INVALID_TOKEN,
    Challenge,
    MalformedCredentials,
    bearer_token,
    is_scope,
)


@pytest.mark.compliance("6750-1")
@pytest.mark.parametrize(
    "header",
    [
        "Bearer abc.def.ghi",
        "bearer abc.def.ghi",
        "BEARER abc.def.ghi",
        "bEaReR abc.def.ghi",
        "Bearer   abc.def.ghi",
        "  Bearer abc.def.ghi  ",
    ],
)
def test_the_token_after_bearer(header):
    assert bearer_token(header) == "abc.def.ghi"


@pytest.mark.compliance("6750-1", "6750-2")
@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Basic dXNlcjpwYXNz",
        "DPoP abc.def.ghi",
        "Bearertoken",
        "Bearers abc",
        "Bearer: abc",
        "Bearer,abc",
        "Token Bearer abc",
        "abc.def.ghi",
        "\u0412earer abc",
        "\uff22earer abc",
    ],
)
def test_missing_credentials_and_other_schemes_are_ignored(header):
    assert bearer_token(header) is None


@pytest.mark.compliance("6750-3")
@pytest.mark.parametrize(
    "header", ["Bearer", "bearer ", "Bearer    ", "Bearer a b", "Bearer a b c", "Bearer a, Bearer b", "Bearer a\tb"]
)
def test_bearer_without_exactly_one_token_is_malformed(header):
    with pytest.raises(MalformedCredentials) as malformed:
        bearer_token(header)
    assert not any(part in str(malformed.value).split() for part in ("a,", "b", "c"))


@pytest.mark.parametrize("character", ["\xa0", "\x85", "\x1c", "\u2003", "\x0b"])
def test_white_space_of_other_kinds_is_part_of_the_token(character):
    assert bearer_token(f"Bearer {character}a.b.c{character}") == f"{character}a.b.c{character}"


@given(st.text() | st.text().map(lambda text: f"Bearer {text}") | st.binary().map(lambda data: data.decode("latin-1")))
def test_a_header_is_a_token_or_not_bearer_or_malformed(header):
    try:
        token = bearer_token(header)
    except MalformedCredentials:
        return
    assert token is None or (token in header and token and not {" ", "\t"} & set(token))


@pytest.mark.parametrize("scope", ["a", "!", "#", "[", "]", "~", "https://api.example.com/read:all"])
def test_a_scope_is_printable_ascii(scope):
    assert is_scope(scope)


@pytest.mark.parametrize(
    "value", ["", " ", "a b", "a\n", '"', "\\", "\x7f", "\x1f", "\u00e9", None, 7, b"read", ["read"]]
)
def test_what_is_not_a_scope(value):
    assert not is_scope(value)


def parameters_of(challenge: str) -> dict[str, str]:
    """Parse a challenge by the grammar of RFC 9110 section 11.2."""
    assert challenge.isascii()
    assert challenge.isprintable()
    scheme, _, rest = challenge.partition(" ")
    assert scheme == "Bearer"
    parameters = {}
    while rest:
        match = re.match(r'([a-z_]+)="((?:[^"\\]|\\.)*)"(?:, |$)', rest)
        assert match, rest
        assert match[1] not in parameters
        parameters[match[1]] = re.sub(r"\\(.)", r"\1", match[2])
        rest = rest[match.end() :]
    return parameters


@pytest.mark.compliance("6750-2")
def test_a_challenge_without_an_error_is_the_scheme_alone():
    assert str(Challenge()) == "Bearer"
    assert str(Challenge(error="", description="", scopes=[])) == "Bearer"


@pytest.mark.compliance("6750-3", "9068-27")
@pytest.mark.parametrize(
    ("challenge", "text"),
    [
        (Challenge(error=INVALID_TOKEN), 'Bearer error="invalid_token"'),
        (
            Challenge(error=INVALID_TOKEN, description="The access token expired"),
            'Bearer error="invalid_token", error_description="The access token expired"',
        ),
        (
            Challenge(error=INSUFFICIENT_SCOPE, scopes=["read", "write"]),
            'Bearer error="insufficient_scope", scope="read write"',
        ),
        (Challenge(error=INVALID_REQUEST, description=None, scopes=()), 'Bearer error="invalid_request"'),
        (Challenge(scopes=["read"]), 'Bearer scope="read"'),
        (
            Challenge(error=INSUFFICIENT_USER_AUTHENTICATION, acr_values=["gold", "silver"], max_age=0),
            'Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age="0"',
        ),
        (
            Challenge(resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"),
            'Bearer resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"',
        ),
    ],
)
def test_a_challenge_as_text(challenge, text):
    assert str(challenge) == text


@pytest.mark.compliance("6750-3")
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('a "quoted" word', 'a "quoted" word'),
        ("back\\slash", "back\\slash"),
        ('\\"', '\\"'),
        ("ends with \\", "ends with \\"),
        ('", error="none', '", error="none'),
        ("a\r\nSet-Cookie: x=1", "a??Set-Cookie: x=1"),
        ("a\nb", "a?b"),
        ("tab\tNUL\x00DEL\x7f", "tab?NUL?DEL?"),
        ("caf\u00e9 \U0001f511 \ud800", "caf? ? ?"),
        ("line\u2028separator\u0085", "line?separator?"),
    ],
)
def test_no_value_ends_the_challenge(value, said):
    assert parameters_of(str(Challenge(error=INVALID_TOKEN, description=value))) == {
        "error": INVALID_TOKEN,
        "error_description": said,
    }
    assert parameters_of(str(Challenge(scopes=["read", value]))) == {"scope": f"read {said}"}


@given(error=st.text(), description=st.text(), scopes=st.lists(st.text(), max_size=3))
def test_a_challenge_is_one_line_of_ascii_whatever_it_says(error, description, scopes):
    written = parameters_of(str(Challenge(error=error, description=description, scopes=scopes)))
    assert written.keys() == {
        name
        for name, value in (("error", error), ("error_description", description), ("scope", " ".join(scopes)))
        if value
    }
