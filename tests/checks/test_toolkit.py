"""The checks of what django-oauth-toolkit does that this app cannot know in advance."""

from __future__ import annotations

import oauth2_provider
import pytest
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.checks import CheckId
from django_at_jwt.checks.toolkit import (
    check_lifetime_function,
    check_time_zones,
    check_token_fields,
    check_toolkit_version,
)


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


class TestTokenFields:
    """The fields of swapped models, which sites declared for earlier versions of the toolkit."""

    @pytest.fixture(params=[get_access_token_model, get_refresh_token_model])
    def field(self, request):
        return request.param()._meta.get_field("token")

    @pytest.fixture
    def store_hashes(self, settings):
        def store_hashes(are_hashed):
            settings.OAUTH2_PROVIDER = {
                **settings.OAUTH2_PROVIDER,
                "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": are_hashed,
            }

        return store_hashes

    @pytest.mark.parametrize("are_hashed", [True, False])
    def test_fields_of_the_toolkit_can_store_tokens(self, store_hashes, are_hashed):
        store_hashes(are_hashed)
        assert check_token_fields() == []

    def test_unique_field_is_reported_if_only_hashes_are_stored(self, store_hashes, monkeypatch, field):
        monkeypatch.setattr(field, "unique", True)
        store_hashes(True)
        [message] = check_token_fields()
        assert message.id == CheckId.UNUSABLE_TOKEN_FIELD
        assert message.msg.startswith(f"{field.model._meta.label}.token is unique, but empty")
        store_hashes(False)
        assert check_token_fields() == []

    def test_short_field_of_access_tokens_is_reported_if_they_are_stored(self, store_hashes, monkeypatch, field):
        monkeypatch.setattr(field, "max_length", 255)
        store_hashes(False)
        reported = [message.msg for message in check_token_fields()]
        text = f"{field.model._meta.label}.token holds at most 255 characters, which is too short for a JWT."
        assert reported == ([text] if field.model is get_access_token_model() else [])
        store_hashes(True)
        assert check_token_fields() == []


@pytest.mark.parametrize("uses_time_zones", [True, False])
def test_times_without_time_zones(uses_time_zones, settings):
    settings.USE_TZ = uses_time_zones
    assert [message.id for message in check_time_zones()] == ([] if uses_time_zones else [CheckId.NO_TIME_ZONES])
