"""Settings of client registration and of scripts in browsers: what they take, and what they mean."""

from __future__ import annotations

import pytest

from django_at_jwt.conf import app_settings
from django_at_jwt.conf.loader import problems_in


def problems(**values):
    return dict(problems_in(values))


@pytest.mark.parametrize(
    ("rate", "limit"),
    [
        ("20/hour", (20, 3600)),
        ("1/s", (1, 1)),
        ("5/m", (5, 60)),
        ("7/day", (7, 86400)),
        ("0/hour", None),
    ],
)
def test_rates(rate, limit, settings):
    settings.AT_JWT = {"CLIENT_REGISTRATION_RATE": rate}
    assert app_settings().client_registration_rate == limit


@pytest.mark.parametrize(
    "rate", ["20", "20/week", "-1/hour", "1.5/hour", "20 / hour", "20/hours", 20, None, "", b"1/s"]
)
def test_other_rates(rate):
    [(_name, text)] = problems(CLIENT_REGISTRATION_RATE=rate).items()
    assert text.startswith('must be a number per second, minute, hour or day, such as "20/hour"')


@pytest.mark.parametrize(
    "origins",
    ["*", (), ["https://app.example.com", "http://localhost:6274", "https://[::1]:8443"], ["app://host"]],
    ids=str,
)
def test_origins(origins):
    assert problems(CORS_ALLOWED_ORIGINS=origins) == {}


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com/",
        "https://app.example.com:443",
        "https://App.example.com",
        "https://user@app.example.com",
        "https://app.example.com:x",
        "app.example.com",
        "https://",
        "null",
        "*",
        "https://*.example.com",
        "",
        None,
        5,
    ],
    ids=str,
)
def test_other_origins(origin):
    [(_name, text)] = problems(CORS_ALLOWED_ORIGINS=[origin]).items()
    assert text.startswith('must have origins as browsers send them, such as "https://app.example.com"')


@pytest.mark.parametrize("value", ["https://app.example.com", None, 5])
def test_origins_that_are_no_list(value):
    [(_name, text)] = problems(CORS_ALLOWED_ORIGINS=value).items()
    assert text.startswith('must be a list of origins, or "*"')
