"""Issuer subjects in the admin: rows are listed and deleted, and added by superusers only."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission

from django_at_jwt.models import IssuerSubject

pytestmark = pytest.mark.django_db

LIST = "/admin/django_at_jwt/issuersubject/"


@pytest.fixture
def row(user):
    return IssuerSubject.objects.create(issuer="https://a.example.com", subject="Subject-1", user=user)


@pytest.fixture
def staff(client, django_user_model):
    staff = django_user_model.objects.create_user("staff", is_staff=True)
    permissions = Permission.objects.filter(content_type__model="issuersubject")
    assert permissions.count() == 4
    staff.user_permissions.set(permissions)
    client.force_login(staff)
    return staff


def test_list_search_and_detail(row, admin_client, django_assert_max_num_queries):
    for search in ("", "?q=Subject", "?q=a.example"):
        page = admin_client.get(f"{LIST}{search}").content.decode()
        assert "Subject-1" in page
        assert "alice" in page
    assert "Subject-1" not in admin_client.get(f"{LIST}?q=other").content.decode()
    detail = admin_client.get(f"{LIST}{row.pk}/change/")
    assert detail.status_code == 200
    assert "https://a.example.com" in detail.content.decode()


def test_row_is_never_changed(row, admin_client, admin_user):
    form = {"issuer": row.issuer, "subject": row.subject, "user": admin_user.pk}
    assert admin_client.post(f"{LIST}{row.pk}/change/", form).status_code == 403
    row.refresh_from_db()
    assert row.user != admin_user


def test_superuser_adds_and_deletes(row, user, admin_client):
    form = {"issuer": row.issuer, "subject": "Subject-2", "user": user.pk}
    assert admin_client.post(f"{LIST}add/", form).status_code == 302
    again = admin_client.post(f"{LIST}add/", form)
    assert again.status_code == 200
    assert "already exists" in again.content.decode()
    assert IssuerSubject.objects.count() == 2
    assert admin_client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert [each.subject for each in IssuerSubject.objects.all()] == ["Subject-2"]


def test_all_permissions_do_not_let_staff_link_a_subject_to_a_user(row, staff, client, admin_user):
    form = {"issuer": row.issuer, "subject": "Subject-2", "user": admin_user.pk}
    assert client.get(LIST).status_code == 200
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}add/", form).status_code == 403
    assert client.post(f"{LIST}{row.pk}/change/", form).status_code == 403
    assert client.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not IssuerSubject.objects.exists()
