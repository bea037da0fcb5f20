"""A project with two admin sites: pages lead to others of the same site."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import path

from django_at_jwt.models import ClaimMapper, SigningKey, SigningKeyEvent
from tests.admin.pages import confirm

pytestmark = pytest.mark.django_db

KEYS = "/other/django_at_jwt/signingkey/"
MAPPERS = "/other/django_at_jwt/claimmapper/"


@pytest.fixture(autouse=True)
def _two_sites(settings):
    other = admin.AdminSite("other")
    for model in (ClaimMapper, SigningKey, SigningKeyEvent):
        other.register(model, type(admin.site._registry[model]))
    settings.ROOT_URLCONF = type(
        "urls", (), {"urlpatterns": [path("admin/", admin.site.urls), path("other/", other.urls)]}
    )


@pytest.mark.usefixtures("keys_made_quickly")
def test_pages_of_signing_keys_stay_on_their_site(signing_keys, admin_client):
    chosen = {"_selected_action": [signing_keys[0].pk]}
    early = admin_client.post(KEYS, {"action": "rotate_selected", **chosen})
    assert early["Location"].startswith(f"{KEYS}rotate/?")
    assert admin_client.post(f"{KEYS}rotate/")["Location"] == KEYS
    chosen_key = admin_client.post(KEYS, {"action": "revoke_selected", **chosen})
    assert chosen_key["Location"] == f"{KEYS}{signing_keys[0].pk}/revoke/"
    assert admin_client.post(chosen_key["Location"], {"reason": "it leaked"})["Location"] == KEYS
    assert admin_client.post(f"{KEYS}0/revoke/")["Location"] == KEYS
    history = admin_client.get("/other/django_at_jwt/signingkeyevent/").content.decode()
    assert f'href="{KEYS}?q=' in history
    assert 'href="/admin/' not in history


def test_ready_made_set_stays_on_its_site(admin_client):
    page = admin_client.get(f"{MAPPERS}ready-made/email/")
    assert confirm(admin_client, page)["Location"] == MAPPERS
    assert ClaimMapper.objects.exists()
