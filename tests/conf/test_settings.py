"""Changes to the settings take effect immediately."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.test import override_settings

from django_at_jwt.conf import app_settings, local_issuer, token_user_model, toolkit_setting

OTHER = "https://other.example.com/o"


def current_values():
    return app_settings().leeway, local_issuer(), toolkit_setting("OIDC_ISS_ENDPOINT")


@pytest.fixture
def usual():
    return current_values()


def test_overridden_and_put_back(usual):
    with override_settings(AT_JWT={"LEEWAY": 7}, OAUTH2_PROVIDER={"OIDC_ISS_ENDPOINT": OTHER}):
        assert current_values() == (7, OTHER, OTHER)
        with override_settings(AT_JWT={"LEEWAY": 8}):
            assert current_values() == (8, OTHER, OTHER)
        assert current_values() == (7, OTHER, OTHER)
    assert current_values() == usual


@pytest.mark.parametrize("nothing", [None, {}])
def test_absent_then_there_and_absent_again(nothing, settings):
    default = 30
    settings.AT_JWT, settings.OAUTH2_PROVIDER = nothing, {}
    assert current_values() == (default, "", None)
    settings.AT_JWT, settings.OAUTH2_PROVIDER = {"LEEWAY": 7}, {"OIDC_ISS_ENDPOINT": OTHER}
    assert current_values() == (7, OTHER, OTHER)
    settings.AT_JWT, settings.OAUTH2_PROVIDER = nothing, {}
    assert current_values() == (default, "", None)
    settings.AT_JWT, settings.OAUTH2_PROVIDER = {"LEEWAY": 8}, {"OIDC_ISS_ENDPOINT": OTHER}
    assert current_values() == (8, OTHER, OTHER)


def test_model_of_the_users_follows_the_model_of_access_tokens():
    assert token_user_model() is get_user_model()
    try:
        swapped = override_settings(OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL="contenttypes.ContentType")
        with swapped, pytest.raises(FieldDoesNotExist):
            token_user_model()
    finally:
        # Relations that Django collected meanwhile lack those of the swapped model.
        apps.clear_cache()
