"""The page that previews access tokens: permissions, contents, history and links."""

from __future__ import annotations

import json
import re

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.urls import reverse

from django_at_jwt import claims
from django_at_jwt.models import ClaimMapper, ResourceServer
from tests.commands import run
from tests.conftest import captured_statements, decoded

from .pages import fields_of, is_shown, may, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]
PAGE = "admin:django_at_jwt_preview"


@pytest.fixture
def staff(client, staff):
    may(staff, "preview_claimmapper")
    return client


@pytest.fixture
def mail(db):
    return ClaimMapper.objects.create(name="mail", claim="email", source={"kind": "user", "path": "email"})


def asked(client, user=None, **others):
    # Users who may search for rows choose them; others type names.
    chosen = {"client": client.application.pk, "user": user.pk if user else ""}
    typed = {"client_id": client.application.client_id, "user_name": user.get_username() if user else ""}
    data = {**chosen, **typed, "logged_in": "on", **others}
    return {f"preview-{name}": value for name, value in data.items()}


@pytest.mark.usefixtures("mail")
def test_shows_the_claims_and_who_set_them(staff, web, user):
    page = staff.post(reverse(PAGE), asked(web, user, scopes=["read"]))
    assert page.status_code == 200
    shown = json.loads(page.context["claims_json"])
    assert (shown["email"], shown["sub"], shown["scope"]) == ("alice@example.com", str(user.pk), "read")
    text = page.content.decode()
    assert "alice@example.com" in text
    assert "personal" in text
    assert "no-store" in page["Cache-Control"]


@pytest.mark.usefixtures("mail")
def test_history_records_the_preview_without_values(staff, web, service, user):
    staff.post(reverse(PAGE), asked(web, user, resources=[settings.API]))
    staff.post(reverse(PAGE), asked(service))
    of_user, of_client = LogEntry.objects.order_by("pk")
    assert of_user.get_edited_object() == user
    assert of_client.get_edited_object() == service.application
    assert web.application.client_id in of_user.change_message
    assert settings.API in of_user.change_message
    assert "alice@example.com" not in of_user.change_message + of_client.change_message


def test_nothing_else_is_written(staff, web, user):
    with captured_statements() as statements:
        staff.post(reverse(PAGE), asked(web, user))
    [written] = [each for each in statements if not each.startswith(("SELECT", "SAVEPOINT", "RELEASE"))]
    assert "django_admin_log" in written


@pytest.mark.parametrize("method", ["get", "post"])
def test_needs_its_permission(method, client, web, user, django_user_model):
    client.force_login(django_user_model.objects.create_user("other", is_staff=True))
    page = getattr(client, method)(reverse(PAGE), asked(web, user))
    assert page.status_code == 403
    assert not LogEntry.objects.exists()
    client.logout()
    assert client.get(reverse(PAGE)).status_code == 302


def test_link_does_not_reveal_a_username_without_permission(staff, web, user):
    page = staff.get(reverse(PAGE), {"user": user.pk, "client": web.application.pk})
    assert page.status_code == 200
    assert "alice" not in page.content.decode()
    assert not LogEntry.objects.exists()


def test_link_chooses_the_user_and_the_client(admin_client, web, user):
    page = admin_client.get(reverse(PAGE), {"user": user.pk, "client": web.application.pk})
    assert page.context["form"].initial == {
        "user": user.pk,
        "user_name": user.pk,
        "client": web.application.pk,
        "client_id": web.application.client_id,
    }
    assert "selected>alice</option>" in page.content.decode()
    for data in ({"user": "nobody"}, {"client": "nobody"}, {"user": "9" * 40}):
        assert admin_client.get(reverse(PAGE), data).context["form"].initial == {}


CONDITIONS = {
    "tokens_for": "users",
    "scopes": ["gone", "write", "read"],
    "resource_servers": ["https://gone.example.com/", "https://reports.example.com/"],
    "grants": ["refresh_token"],
}


def chosen(form):
    return {name: value for name, value in form.initial.items() if value}


def test_link_from_a_mapper_ticks_what_its_conditions_require(admin_client, web):
    client_id = web.application.client_id
    conditions = {**CONDITIONS, "clients": ["gone", client_id]}
    source = {"kind": "user", "path": "email"}
    row = ClaimMapper.objects.create(name="mail", claim="email", source=source, conditions=conditions)
    page = admin_client.get(reverse(PAGE), {"mapper": row.pk})
    assert chosen(page.context["form"]) == {
        "scopes": ["write"],
        "resources": ["https://reports.example.com/"],
        "grant": "refresh_token",
        "client": web.application.pk,
        "client_id": client_id,
    }
    assert re.search(r'value="write"[^>]* checked', page.content.decode())
    assert not re.search(r'value="read"[^>]* checked', page.content.decode())
    row.conditions = {"scopes": ["write", "read"], "scopes_match": "all"}
    row.save()
    page = admin_client.get(reverse(PAGE), {"mapper": row.pk})
    assert chosen(page.context["form"]) == {"scopes": ["write", "read"]}


def test_unsaved_mapper_ticks_what_its_conditions_require(admin_client, web):
    add = reverse("admin:django_at_jwt_claimmapper_add")
    mapper = {"name": "m", "claim": "c", "source_kind": "text", "source_text": "x", "scopes": ["read"]}
    page = send(admin_client, add, **mapper, clients=[web.application.client_id], _preview="Preview", _save=None)
    form = page.context["form"]
    assert chosen(form) == {"scopes": ["read"], "client": web.application.pk, "client_id": web.application.client_id}
    assert re.search(r'name="preview-scopes" value="read"[^>]* checked', page.content.decode())
    # What the user chooses instead is kept.
    sent = {**fields_of(page), **asked(web, scopes=["write"])}
    assert admin_client.post(add, sent).context["asked"]["scopes"] == ["write"]


def test_link_from_a_resource_server_ticks_its_scopes_and_a_client(admin_client, web, service):
    row = ResourceServer.objects.create(
        identifier="https://mail.example.com/",
        name="Mail",
        scopes={"write": "", "gone": ""},
        clients=["gone", web.application.client_id],
    )
    page = admin_client.get(reverse(PAGE), {"resource_server": row.pk})
    assert chosen(page.context["form"]) == {
        "resources": [row.identifier],
        "scopes": ["write"],
        "client": web.application.pk,
        "client_id": web.application.client_id,
    }
    # No user is chosen, so a client that needs none is preferred.
    row.clients.append(service.application.client_id)
    row.save()
    page = admin_client.get(reverse(PAGE), {"resource_server": row.pk})
    assert page.context["form"].initial["client"] == service.application.pk
    # A row from a fixture can hold anything.
    ResourceServer.objects.filter(pk=row.pk).update(scopes=5, clients={"a": 1})
    assert admin_client.get(reverse(PAGE), {"resource_server": row.pk}).status_code == 200


def test_link_reveals_nothing_of_rows_that_the_user_may_not_view(staff, web):
    conditions = {"scopes": ["read"], "clients": [web.application.client_id]}
    mapper = ClaimMapper.objects.create(name="m", claim="c", source={"kind": "groups"}, conditions=conditions)
    server = ResourceServer.objects.create(identifier="https://a.example.com/", name="A", clients=conditions["clients"])
    for query in ({"mapper": mapper.pk}, {"resource_server": server.pk}):
        page = staff.get(reverse(PAGE), query)
        assert page.context["form"].initial == {}
        assert web.application.client_id not in page.content.decode()


def test_breadcrumbs_have_the_element_that_django_styles(admin_client):
    def element(address):
        return re.findall(r'<(\w+) class="breadcrumbs">', admin_client.get(address).content.decode())

    assert element(reverse(PAGE)) == element(reverse("admin:django_at_jwt_claimmapper_add")) != []


def test_errors_are_announced(staff, web, user):
    text = staff.post(reverse(PAGE), {"preview-user_name": "nobody", "preview-scopes": "none"}).content.decode()
    assert "<title>Error: Preview an access token" in text
    assert '<p class="errornote">Please correct the errors below.</p>' in text
    assert '<ul class="errorlist" id="id_preview-user_name_error"' in text
    [tag] = re.findall(r'<input[^>]*name="preview-user_name"[^>]*>', text)
    assert 'aria-invalid="true"' in tag
    assert 'aria-describedby="id_preview-user_name_helptext id_preview-user_name_error"' in tag
    # Of several inputs, the group is described.
    group = 'role="group" aria-labelledby="id_preview-scopes_label" aria-describedby="id_preview-scopes_helptext id_pre'
    assert '<label id="id_preview-scopes_label">Scopes:</label>' in text
    assert f'<div class="at-jwt-choices" {group}' in text
    assert 'id="id_preview-scopes_helptext"' in text
    assert 'id="id_preview-scopes_error"' in text
    text = staff.post(reverse(PAGE), {"preview-user_name": user.pk}).content.decode()
    assert '<p class="errornote">Please correct the error below.</p>' in text
    assert "<title>Preview" in staff.get(reverse(PAGE)).content.decode()


def test_links_from_other_pages(admin_client, client, web, user, mail):
    server = ResourceServer.objects.create(identifier="https://mail.example.com/", name="Mail")
    for place, query in (
        (reverse("admin:django_at_jwt_claimmapper_change", args=[mail.pk]), f"?mapper={mail.pk}"),
        (
            reverse("admin:django_at_jwt_resourceserver_change", args=[server.pk]),
            f"?resource_server={server.pk}",
        ),
        (reverse("admin:auth_user_change", args=[user.pk]), f"?user={user.pk}"),
        (
            reverse("admin:oauth2_provider_application_change", args=[web.application.pk]),
            f"?client={web.application.pk}",
        ),
        (reverse("admin:django_at_jwt_resourceserver_changelist"), ""),
        (reverse("admin:django_at_jwt_claimmapper_changelist"), ""),
        (reverse("admin:index"), ""),
    ):
        assert f'href="{reverse(PAGE)}{query}"' in admin_client.get(place).content.decode()


def test_no_link_without_the_permission(client, user, django_user_model):
    person = django_user_model.objects.create_user("other", is_staff=True)
    may(person, "view_user")
    client.force_login(person)
    page = client.get(reverse("admin:auth_user_change", args=[user.pk]))
    assert page.status_code == 200
    assert reverse(PAGE) not in page.content.decode()


def test_preview_permission_alone_is_enough_and_names_are_typed(staff, web, user):
    [app] = staff.get(reverse("admin:index")).context["app_list"]
    [entry] = app["models"]
    assert (entry["name"], entry["admin_url"], entry["add_url"]) == ("Previews of access tokens", reverse(PAGE), None)
    page = staff.get(entry["admin_url"])
    # A search box would stay empty: this user may not view users.
    assert page.context["form"].can_search == {"user": False, "client": False}
    assert "<noscript><div" not in page.content.decode()
    assert 'name="preview-user_name"' in page.content.decode()
    assert 'name="preview-user"' not in page.content.decode()
    page = staff.post(reverse(PAGE), {"preview-user_name": "alice", "preview-client_id": web.application.client_id})
    assert json.loads(page.context["claims_json"])["sub"] == str(user.pk)


def test_viewers_of_users_and_clients_search_for_them(admin_client):
    page = admin_client.get(reverse(PAGE))
    assert page.context["form"].can_search == {"user": True, "client": True}
    assert "django_at_jwt/search_labels.js" in page.content.decode()
    assert 'name="preview-user"' in page.content.decode()


def test_index_has_no_entry_without_the_permission(client, django_user_model):
    person = django_user_model.objects.create_user("other", is_staff=True)
    may(person, "view_claimmapper")
    client.force_login(person)
    page = client.get(reverse("admin:index"))
    assert reverse("admin:django_at_jwt_claimmapper_changelist") in page.content.decode()
    assert reverse(PAGE) not in page.content.decode()


@pytest.mark.usefixtures("mail")
def test_without_javascript_names_are_typed(staff, web, user):
    typed = {"preview-typed": "on", "preview-client_id": web.application.client_id}
    page = staff.post(reverse(PAGE), {**typed, "preview-user_name": "alice"})
    assert json.loads(page.context["claims_json"])["email"] == "alice@example.com"
    page = staff.post(reverse(PAGE), {**typed, "preview-user_name": "nobody"})
    assert "No user has the username or primary key &#x27;nobody&#x27;." in page.content.decode()
    page = staff.post(reverse(PAGE), {"preview-typed": "on", "preview-client_id": "nobody"})
    assert "No client has the client ID &#x27;nobody&#x27;." in page.content.decode()
    page = staff.post(reverse(PAGE), {"preview-typed": "on"})
    assert page.context["form"].errors == {"client_id": ["Choose a client."]}


def test_errors_of_the_form(staff, web, user):
    page = staff.post(reverse(PAGE), {"preview-user_name": user.pk})
    assert page.context["form"].errors == {"client_id": ["Choose a client."]}
    page = staff.post(reverse(PAGE), asked(web, user, grant="client_credentials"))
    assert "grant" in page.context["form"].errors
    assert "preview" not in page.context
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("field", ["user", "client"])
@pytest.mark.parametrize("value", ["x", "\x00", "9" * 40])
def test_value_that_no_row_can_have(field, value, admin_client, web, user):
    page = admin_client.post(reverse(PAGE), {**asked(web, user), f"preview-{field}": value})
    assert page.status_code == 200
    assert page.context["form"].errors[field]


def test_refusal_and_opaque(staff, web, user):
    ResourceServer.objects.create(
        identifier="https://old.example.com/", name="Old", token_format="opaque", open_to_all_clients=True
    )
    page = staff.post(reverse(PAGE), asked(web, user, resources=["https://old.example.com/"]))
    assert "The token is opaque" in page.content.decode()
    type(user).objects.filter(pk=user.pk).update(is_active=False)
    page = staff.post(reverse(PAGE), asked(web, user))
    assert "invalid_grant" in page.content.decode()
    assert "account is inactive" in page.content.decode()


def test_values_of_another_form_are_repeated(rf, web, user, django_user_model):
    from django.contrib.admin import site

    from django_at_jwt.admin.preview import preview_page
    from django_at_jwt.authorization_server.claims.registry import compile_site_rules
    from django_at_jwt.core.claims import parse_rule

    rule = parse_rule({"name": "new", "claim": "new", "source": {"kind": "constant", "value": "<b>"}, "type": "string"})
    request = rf.post("/", {"_preview": "1", "claim": '"new"', **asked(web, user)})
    request.user = django_user_model.objects.create_superuser("root")
    page = preview_page(request, site, search_url="/search/", mappers=compile_site_rules((rule,))).render()
    text = page.content.decode()
    assert '<input type="hidden" name="claim" value="&quot;new&quot;">' in text
    assert '<input type="hidden" name="_preview" value="1">' in text
    assert json.loads(page.context_data["claims_json"])["new"] == "<b>"
    assert "<b>" not in text
    assert "unsaved changes" in LogEntry.objects.get().change_message


def test_no_private_member_is_on_the_page(staff, web, user):
    from django_at_jwt.authorization_server.keys.encryption import decrypt_private_key
    from django_at_jwt.models import SigningKey

    text = staff.post(reverse(PAGE), asked(web, user)).content.decode()
    for row in SigningKey.objects.all():
        private = decrypt_private_key(row.private_jwe, kid=row.kid).export_private(as_dict=True)
        assert [member for member in ("d", "p", "q", "dp", "dq", "qi") if private.get(member, "\x00") in text] == []
        assert row.private_jwe not in text


def test_page_has_no_inline_style_that_a_content_security_policy_would_block(admin_client, web, user):
    shown = admin_client.post(reverse(PAGE), asked(web, user)).content.decode()
    [main] = re.findall(r'<div id="content-start".*?</main>|<main.*?</main>', shown, re.DOTALL)
    assert 'class="part claims" x="' in main
    assert not re.findall(r"<style|style=", main)


@pytest.fixture
def writing_source(monkeypatch):
    """A source that writes, which sources must not do."""
    monkeypatch.setattr(claims, "_sources", {})

    @claims.register_claim_source("tests.counted", type="string", label="Counted", is_personal=False)
    def counted(context):
        Group.objects.create(name=f"counted {Group.objects.count()}")
        return str(Group.objects.count())

    source = {"kind": "registered", "name": "tests.counted"}
    return ClaimMapper.objects.create(name="counted", claim="counted", source=source)


def test_writes_of_a_source_are_rolled_back_and_the_history_is_kept(writing_source, admin_client, web, user):
    page = admin_client.post(reverse(PAGE), asked(web, user))
    assert json.loads(page.context["claims_json"])["counted"] == "1"
    assert LogEntry.objects.filter(object_repr="alice").count() == 1
    assert "counted" in run("preview_access_token", "--client", web.application.client_id, "--user", "alice")
    change = reverse("admin:django_at_jwt_claimmapper_change", args=[writing_source.pk])
    assert is_shown(send(admin_client, change, claim="another"))
    assert LogEntry.objects.filter(object_repr="alice").count() == 2
    assert not Group.objects.exists()
    # For a real token, the write is kept.
    assert decoded(web.code_flow(user).json()["access_token"])[1]["counted"] == "1"
    assert Group.objects.count() == 1
