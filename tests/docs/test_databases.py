"""The page about replicas, PgBouncer and several databases: its routers and its settings."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from django.contrib.auth import get_user_model
from oauth2_provider.models import get_access_token_model

from django_at_jwt.models import Authorization, DenyListEntry, IssuerSubject, RotationRun, SigningKey

from .blocks import DATABASES, blocks_of


def block_with(text):
    [found] = [block.text for block in blocks_of(DATABASES) if text in block.text]
    return found


@pytest.fixture
def router():
    names = {}
    exec(block_with("class KeysAway"), names)
    return names["KeysAway"]()


@pytest.mark.parametrize("model", [SigningKey, Authorization, DenyListEntry, RotationRun])
def test_tables_of_this_app_are_away(model, router):
    assert router.db_for_read(model) == router.db_for_write(model) == "keys"
    label, name = model._meta.app_label, model._meta.model_name
    assert router.allow_migrate("keys", label, model_name=name)
    assert not router.allow_migrate("default", label, model_name=name)


@pytest.mark.parametrize("model", [IssuerSubject, get_user_model(), get_access_token_model()])
def test_users_and_what_refers_to_them_are_not(model, router):
    assert router.db_for_write(model) is None
    label, name = model._meta.app_label, model._meta.model_name
    assert router.allow_migrate("keys", label, model_name=name) is False
    assert router.allow_migrate("default", label, model_name=name) is None


def test_only_the_table_of_subjects_has_a_foreign_key_to_another_app():
    outside = {
        model._meta.model_name
        for model in SigningKey._meta.app_config.get_models()
        for field in model._meta.concrete_fields
        if field.is_relation and field.related_model._meta.app_label != "django_at_jwt"
    }
    assert outside == {"issuersubject"}


def test_site_with_its_own_issuer_and_database(monkeypatch):
    base = ModuleType("mysite.settings")
    base.OAUTH2_PROVIDER = {"OIDC_ISS_ENDPOINT": "https://www.example.com/o", "SCOPES": {"read": "Read"}}
    base.DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "mysite"}}
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.settings", base)
    shop = {"__name__": "mysite.settings_shop", "__package__": "mysite"}
    exec(block_with("settings_shop.py"), shop)
    assert shop["OAUTH2_PROVIDER"] == {"OIDC_ISS_ENDPOINT": "https://shop.example.com/o", "SCOPES": {"read": "Read"}}
    assert shop["DATABASES"]["default"] == {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}
    assert base.DATABASES["default"]["NAME"] == "mysite"
