"""The signing keys in the admin: to be looked at by those who may, and never to be made, edited or deleted there."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission

from django_at_jwt.models import SigningKey

pytestmark = pytest.mark.django_db

LIST = "/admin/django_at_jwt/signingkey/"


def test_list_and_detail(signing_keys, admin_client):
    page = admin_client.get(LIST)
    assert page.status_code == 200
    for key in signing_keys:
        assert key.kid in page.content.decode()
    assert "announced" in page.content.decode()
    detail = admin_client.get(f"{LIST}{signing_keys[0].pk}/change/")
    assert detail.status_code == 200
    assert signing_keys[0].public_jwk["n"] in detail.content.decode()


def test_nothing_can_be_changed(signing_keys, admin_client):
    pk = signing_keys[0].pk
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{pk}/change/", {"kid": "x"}).status_code == 403
    assert admin_client.post(f"{LIST}{pk}/delete/", {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    admin_client.post(LIST, action)
    assert SigningKey.objects.count() == len(signing_keys)


def test_permission_is_needed(signing_keys, client, django_user_model):
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    assert client.get(LIST).status_code == 403
    staff.user_permissions.add(Permission.objects.get(codename="view_signingkey"))
    assert client.get(LIST).status_code == 200


def test_states_have_names(signing_keys):
    assert {key.state_name() for key in signing_keys} == {"signing", "announced"}
