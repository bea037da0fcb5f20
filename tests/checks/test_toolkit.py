"""The checks of what django-oauth-toolkit does that this app cannot know in advance."""

from __future__ import annotations

import oauth2_provider
import pytest

from django_at_jwt.checks import CheckId
from django_at_jwt.checks.toolkit import check_lifetime_function, check_toolkit_version


@pytest.mark.parametrize(
    ("version", "is_tried"),
    [
        ("3.4.0", True),
        ("3.4.1", True),
        ("3.4.1.dev2+g0f9d49f", True),
        ("3.3.0", True),
        ("unknown", True),
        ("3.5.0", False),
        ("3.10.0rc1", False),
        ("4.0", False),
    ],
)
def test_newer_minor_version_is_reported(monkeypatch, version, is_tried):
    monkeypatch.setattr(oauth2_provider, "__version__", version)
    messages = check_toolkit_version()
    assert [message.id for message in messages] == ([] if is_tried else [CheckId.UNTRIED_TOOLKIT])
    assert all(f"django-oauth-toolkit {version} is newer" in message.msg for message in messages)


@pytest.mark.parametrize(
    "written",
    [
        {"ACCESS_TOKEN_EXPIRE_SECONDS": lambda request: 60},
        {"ACCESS_TOKEN_EXPIRE_SECONDS": "site.oauth.lifetime"},
        {"EXTRA_SERVER_KWARGS": {"token_expires_in": lambda request: 60}},
    ],
    ids=["function", "path", "token_expires_in"],
)
def test_function_for_lifetimes_is_reported(settings, written):
    assert check_lifetime_function() == []
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **written}
    [message] = check_lifetime_function()
    assert message.id == CheckId.LIFETIME_FUNCTION
    assert "over 3600 seconds is shortened" in message.msg
    assert "TOKEN_LIFETIME" in message.hint
