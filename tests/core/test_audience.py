from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_at_jwt.core.audience import is_resource_identifier, resolve_audience
from django_at_jwt.core.errors import InvalidTarget

from .forge import API, REPORTS

THIRD = "https://third.example.com/v1"
KNOWN = (API, REPORTS, THIRD)


def resolve(*requested, granted=None, known=KNOWN, default=API):
    return resolve_audience(requested=requested, granted=granted, known=known, default=default)


@pytest.mark.parametrize(
    ("requested", "granted", "audience"),
    [
        # Nobody asked: the default at first, and all that was granted after that.
        pytest.param([], None, (API,), marks=pytest.mark.compliance("9068-16")),
        pytest.param([], [REPORTS], (REPORTS,), marks=pytest.mark.compliance("9068-14", "8707-3")),
        pytest.param([], [THIRD, API], (THIRD, API), marks=pytest.mark.compliance("8707-3")),
        # Somebody asked for the first time.
        pytest.param([REPORTS], None, (REPORTS,), marks=pytest.mark.compliance("9068-14")),
        pytest.param([REPORTS, API], None, (REPORTS, API), marks=pytest.mark.compliance("8707-1", "9068-14")),
        pytest.param([API, REPORTS], None, (API, REPORTS), marks=pytest.mark.compliance("8707-1")),
        pytest.param([API, API, REPORTS, API], None, (API, REPORTS), marks=pytest.mark.compliance("8707-1")),
        # What was granted is narrowed.
        pytest.param([API], [API, REPORTS], (API,), marks=pytest.mark.compliance("8707-3")),
        pytest.param([REPORTS, API], [API, REPORTS], (REPORTS, API), marks=pytest.mark.compliance("8707-3")),
        pytest.param([API], [API], (API,), marks=pytest.mark.compliance("8707-3")),
    ],
)
def test_the_audience(requested, granted, audience):
    assert resolve(*requested, granted=granted) == audience


@pytest.mark.compliance("8707-2")
@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        (["https://unknown.example.com/"], None),
        ([API, "https://unknown.example.com/"], None),
        ([API[:-1]], None),
        ([f"{API}admin"], None),
        ([API.upper()], None),
        ([f"{API}?x=1"], None),
        ([f"{API} "], None),
        ([f"{API}#fragment"], None),
        (["/relative"], None),
        ([""], None),
        ([None], None),
        ([7], None),
        ([b"https://api.example.com/"], None),
        ([f"{API} {REPORTS}"], None),
    ],
)
def test_an_unknown_or_malformed_resource_is_an_invalid_target(requested, granted):
    with pytest.raises(InvalidTarget) as refused:
        resolve(*requested, granted=granted)
    assert (refused.value.code, refused.value.status) == ("invalid_target", 400)
    # What the client sent is not sent back: it may end up in a page or a log.
    assert "unknown.example" not in refused.value.description
    assert "fragment" not in refused.value.description or "#" not in refused.value.description


@pytest.mark.compliance("8707-2")
@pytest.mark.parametrize("requested", [[API], {"resource": API}, {API}], ids=["list", "object", "set"])
def test_a_requested_resource_that_is_no_text_at_all_is_an_invalid_target(requested):
    with pytest.raises(InvalidTarget):
        resolve(requested)


@pytest.mark.compliance("8707-3")
@pytest.mark.parametrize("requested", [[REPORTS], [API, REPORTS], [REPORTS, API], [THIRD]])
def test_what_was_granted_is_never_widened(requested):
    with pytest.raises(InvalidTarget):
        resolve(*requested, granted=[API])


@pytest.mark.compliance("8707-2")
def test_what_was_granted_and_is_registered_no_longer_is_refused():
    gone = "https://gone.example.com/"
    for requested in ([], [gone]):
        with pytest.raises(InvalidTarget):
            resolve(*requested, granted=[gone, API])
    assert resolve(API, granted=[gone, API]) == (API,)


def test_a_default_that_is_not_registered_is_refused():
    with pytest.raises(InvalidTarget):
        resolve(default="https://unknown.example.com/")


resources = st.sampled_from([*KNOWN, "https://unknown.example.com/", "relative", ""]) | st.text(max_size=8)


@pytest.mark.compliance("8707-3", "9068-15")
@settings(max_examples=300, deadline=None)
@given(
    requested=st.lists(resources | st.none() | st.integers(), max_size=4),
    granted=st.none() | st.lists(resources, min_size=1, max_size=4, unique=True),
    known=st.sets(resources, max_size=4),
    default=resources,
)
def test_an_audience_never_widens(requested, granted, known, default):
    try:
        audience = resolve_audience(requested=requested, granted=granted, known=known, default=default)
    except InvalidTarget:
        return
    assert audience
    assert len(set(audience)) == len(audience)
    assert set(audience) <= known
    assert all(is_resource_identifier(each) for each in audience)
    if granted is not None:
        assert set(audience) <= set(granted)
    if requested:
        assert set(audience) == set(requested)
    elif granted is None:
        assert audience == (default,)
    else:
        assert audience == tuple(granted)
    # Narrowing to the same again changes nothing.
    assert resolve_audience(requested=(), granted=audience, known=known, default=default) == audience
    assert resolve_audience(requested=audience, granted=audience, known=known, default=default) == audience


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


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text().map(lambda text: f"https://{text}") | st.integers() | st.binary())
def test_any_value_is_an_identifier_or_not(value):
    told = is_resource_identifier(value)
    assert type(told) is bool
    assert not told or (value.isascii() and "#" not in value and "://" in value)
