"""Issuer subjects in the admin: rows are listed and deleted, and added by superusers only."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission

from django_at_jwt.models import IssuerSubject

from .pages import confirm, is_shown, send

pytestmark = pytest.mark.django_db

LIST = "/admin/django_at_jwt/issuersubject/"
ADD = f"{LIST}add/"
ISSUER, STATELESS, BY_FIELD = "https://a.example.com", "https://b.example.com", "https://c.example.com"


@pytest.fixture(autouse=True)
def _issuers(settings):
    settings.AT_JWT = {
        **settings.AT_JWT,
        "ISSUERS": {
            ISSUER: {"audience": settings.API, "user_mode": "created"},
            STATELESS: {"audience": settings.API},
            BY_FIELD: {"audience": settings.API, "user_mode": "local", "user_field": "username"},
        },
    }


@pytest.fixture
def row(user):
    return IssuerSubject.objects.create(issuer=ISSUER, subject="Subject-1", user=user)


@pytest.fixture
def staff(staff):
    permissions = Permission.objects.filter(content_type__model="issuersubject")
    assert permissions.count() == 4
    staff.user_permissions.set(permissions)
    return staff


def test_empty_list_says_what_subjects_are_for(row, admin_client):
    said = "No subject of an issuer is linked to a user yet."
    assert said not in admin_client.get(LIST).content.decode()
    row.delete()
    text = admin_client.get(LIST).content.decode()
    assert said in text
    assert f'<a href="{LIST}add/">Add a subject</a>' in text


def test_list_search_and_detail(row, admin_client, django_assert_max_num_queries):
    for search in ("", "?q=Subject", "?q=a.example"):
        page = admin_client.get(f"{LIST}{search}").content.decode()
        assert "Subject-1" in page
        assert "alice" in page
    assert "Subject-1" not in admin_client.get(f"{LIST}?q=other").content.decode()
    detail = admin_client.get(f"{LIST}{row.pk}/change/")
    assert detail.status_code == 200
    assert ISSUER in detail.content.decode()


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


class TestForm:
    def test_issuers_are_a_choice_of_the_configured_ones(self, user, admin_client):
        page = admin_client.get(ADD).content.decode()
        assert f'<option value="{ISSUER}">{ISSUER}</option>' in page
        for issuer in (STATELESS, BY_FIELD):
            assert f'<option value="{issuer}">{issuer} (its users are not looked up here)</option>' in page
        answer = send(admin_client, ADD, issuer="https://other.example.com", subject="s", user=user.pk)
        assert "is not one of the available choices" in answer.content.decode()
        assert not IssuerSubject.objects.exists()

    def test_says_what_a_row_allows_and_has_one_line_inputs(self, admin_client):
        page = admin_client.get(ADD).content.decode()
        assert "<textarea" not in page
        assert '<input type="text" name="subject"' in page
        assert "A row lets tokens of the issuer with this subject act as the user" in page
        assert "with all of the user's permissions" in page

    def test_without_issuers_it_still_opens(self, admin_client, settings):
        settings.AT_JWT = {}
        assert admin_client.get(ADD).status_code == 200


class TestWarning:
    @pytest.mark.parametrize(
        ("status", "said"),
        [
            ({"is_superuser": True}, "alice is a superuser. https://a.example.com, and anyone with one of its tokens"),
            ({"is_staff": True}, "alice is a staff member. https://a.example.com, and anyone with one of its tokens"),
        ],
    )
    def test_comes_before_a_subject_acts_as_a_superuser_or_staff_member(self, user, admin_client, status, said):
        vars(user).update(status)
        user.save()
        page = send(admin_client, ADD, issuer=ISSUER, subject="Subject-1", user=user.pk)
        assert is_shown(page)
        assert said in page.content.decode()
        assert "Subject-1" in page.content.decode()
        assert not IssuerSubject.objects.exists()
        back = confirm(admin_client, page, _back="Back")
        assert 'value="Subject-1"' in back.content.decode()
        assert not IssuerSubject.objects.exists()
        assert confirm(admin_client, page).status_code == 302
        assert IssuerSubject.objects.get().user == user

    def test_ordinary_user_needs_none(self, user, admin_client):
        assert send(admin_client, ADD, issuer=ISSUER, subject="s", user=user.pk).status_code == 302

    def test_confirmation_is_for_this_subject_user_and_status(self, user, admin_client, admin_user):
        user.is_staff = True
        user.save()
        page = send(admin_client, ADD, issuer=ISSUER, subject="s", user=user.pk)
        assert is_shown(confirm(admin_client, page, subject="other"))
        assert is_shown(confirm(admin_client, page, user=admin_user.pk))
        user.is_superuser = True
        user.save()
        again = confirm(admin_client, page)
        assert "alice is a superuser" in again.content.decode()
        assert not IssuerSubject.objects.exists()
