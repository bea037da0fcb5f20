"""Clients that introspect all tokens, in the admin."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from django_at_jwt.models import IntrospectionClient

pytestmark = pytest.mark.django_db

NAME = "admin:django_at_jwt_introspectionclient"


def test_added_and_deleted_but_never_changed(admin, service):
    client_id = service.application.client_id
    assert admin.post(reverse(f"{NAME}_add"), {"client_id": client_id}).status_code == 302
    row = IntrospectionClient.objects.get()
    assert row.client_id == client_id
    assert client_id in admin.get(reverse(f"{NAME}_changelist")).content.decode()
    assert admin.post(reverse(f"{NAME}_change", args=[row.pk]), {"client_id": "x"}).status_code == 403
    assert admin.post(reverse(f"{NAME}_delete", args=[row.pk]), {"post": "yes"}).status_code == 302
    assert not IntrospectionClient.objects.exists()
    assert LogEntry.objects.count() == 2


def test_only_confidential_clients_are_choices(admin, make_client):
    public = make_client(client_type="public").application.client_id
    page = admin.post(reverse(f"{NAME}_add"), {"client_id": public})
    assert "client_id" in page.context["adminform"].form.errors
    assert not IntrospectionClient.objects.exists()


def test_needs_a_permission(client, user):
    user.is_staff = True
    user.save()
    client.force_login(user)
    assert client.get(reverse(f"{NAME}_add")).status_code == 403


def test_empty_list_says_who_may_introspect(admin, service):
    text = admin.get(reverse(f"{NAME}_changelist")).content.decode()
    assert "No client may introspect all tokens yet." in text
    assert f'<a href="{reverse(f"{NAME}_add")}">Add a client</a>' in text
    IntrospectionClient.objects.create(client_id=service.application.client_id)
    assert "No client may introspect" not in admin.get(reverse(f"{NAME}_changelist")).content.decode()
