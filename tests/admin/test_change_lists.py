"""The lists of the admin pages."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import reverse

from django_at_jwt.admin.base import ModelAdmin
from django_at_jwt.models import TokenPreview

pytestmark = pytest.mark.django_db
# The token preview is a form, not a list.
LISTS = sorted(
    model._meta.label_lower
    for model, registered in admin.site._registry.items()
    if isinstance(registered, ModelAdmin) and model is not TokenPreview
)


@pytest.mark.parametrize("label", LISTS)
def test_a_filter_with_a_nul_character_shows_the_whole_list(admin_client, label):
    page = reverse(f"admin:{label.replace('.', '_')}_changelist")
    refused = admin_client.get(page, {"id": "\0"})
    assert (refused.status_code, refused["Location"]) == (302, f"{page}?e=1")
    assert admin_client.get(refused["Location"]).status_code == 200
