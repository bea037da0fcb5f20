"""Options of clients, in the admin."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import quote_plus

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from django_at_jwt.authorization_server.client_options import stores_access_tokens, token_format_of
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.models import ClientOptions
from tests.conftest import captured_statements

from .pages import fields_of, may, text_of

pytestmark = pytest.mark.django_db

NAME = "admin:django_at_jwt_clientoptions"
FORM = "application/x-www-form-urlencoded"


def add(admin, client_id, stores="", token_format=""):
    values = {"client_id": client_id, "store_access_tokens": stores, "token_format": token_format}
    return admin.post(reverse(f"{NAME}_add"), values)


def test_option_is_added_changed_and_deleted(admin, service):
    application = service.application
    assert stores_access_tokens(application, has_user=False) is True
    added = admin.post(
        reverse(f"{NAME}_add"), {"client_id": application.client_id, "store_access_tokens": "False"}, follow=True
    )
    assert f"The client options “ {application.client_id} ” was added" in text_of(added)
    assert stores_access_tokens(application, has_user=False) is False
    row = ClientOptions.objects.get()
    address = reverse(f"{NAME}_change", args=[row.pk])
    page = admin.get(address)
    assert f"Change client options {application.client_id} " in text_of(page)
    assert fields_of(page)["store_access_tokens"] == ["False"]
    assert admin.post(address, {"store_access_tokens": ""}).status_code == 302
    assert stores_access_tokens(application, has_user=False) is True
    assert admin.post(reverse(f"{NAME}_delete", args=[row.pk]), {"post": "yes"}).status_code == 302
    assert not ClientOptions.objects.exists()


def client_page(service):
    options = service.application._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[service.application.pk])


def test_client_is_switched_from_its_page(admin, service):
    """By the link on the page of the client: first to a form for new options, then to the options that exist."""

    def follow():
        page = admin.get(client_page(service))
        shown = page.content.decode().partition('id="at-jwt-format"')[2].partition("</fieldset>")[0]
        return shown, unescape(re.search(r'href="([^"]+)"', shown)[1])

    shown, address = follow()
    assert "have the format of their API" in shown
    form = fields_of(admin.get(address))
    assert (form["client_id"], form["token_format"]) == ([service.application.client_id], [""])
    assert admin.post(address, {"client_id": form["client_id"][0], "token_format": "opaque"}).status_code == 302
    assert token_format_of(service.application) is TokenFormat.OPAQUE
    shown, address = follow()
    assert "are opaque, except at isolated APIs" in shown
    assert fields_of(admin.get(address))["token_format"] == ["opaque"]
    assert admin.post(address, {"token_format": "at+jwt"}).status_code == 302
    assert token_format_of(service.application) is TokenFormat.AT_JWT
    assert "are at+jwt, except" in follow()[0]
    assert admin.post(address, {"token_format": ""}).status_code == 302
    assert token_format_of(service.application) is None
    assert admin.post(address, {"token_format": "saml"}).context["adminform"].form.errors["token_format"]


@pytest.mark.parametrize(
    ("names", "shows", "links"),
    [
        ([], False, False),
        (["view_clientoptions"], True, False),
        (["view_clientoptions", "add_clientoptions"], True, True),
        (["change_clientoptions"], True, False),
    ],
    ids=["none", "view", "add", "change without options"],
)
def test_permissions_for_the_format_of_a_client(names, shows, links, client, service, staff):
    may(staff, f"view_{service.application._meta.model_name}", *names)
    page = client.get(client_page(service))
    shown = page.content.decode().partition('id="at-jwt-format"')[2].partition("</fieldset>")[0]
    assert (bool(shown), "href" in shown) == (shows, links)


@pytest.mark.parametrize("client_id", ["unknown", "a\x00b", "\ud800", ""], ids=ascii)
def test_unknown_client_is_an_error_of_the_form(client_id, admin, service):
    page = admin.post(
        reverse(f"{NAME}_add"), f"client_id={quote_plus(client_id, errors='surrogatepass')}", content_type=FORM
    )
    assert page.status_code == 200
    assert "client_id" in page.context["adminform"].form.errors
    assert not ClientOptions.objects.exists()


def test_second_options_of_a_client_are_refused(admin, service):
    add(admin, service.application.client_id, "False")
    page = add(admin, service.application.client_id, "True")
    assert "client_id" in page.context["adminform"].form.errors
    assert ClientOptions.objects.get().store_access_tokens is False


def test_empty_list_says_what_options_are_for(admin, service):
    text = admin.get(reverse(f"{NAME}_changelist")).content.decode()
    assert "No client has options yet" in text
    assert f'<a href="{reverse(f"{NAME}_add")}">Add options</a>' in text
    add(admin, service.application.client_id, "False")
    assert "No client has options yet" not in admin.get(reverse(f"{NAME}_changelist")).content.decode()


def test_list_reads_all_clients_in_one_query(admin, make_client):
    def statements():
        with captured_statements() as captured:
            page = admin.get(reverse(f"{NAME}_changelist"))
        assert page.status_code == 200
        return len(captured), page.content.decode()

    clients = [make_client("client-credentials", name=f"program {number}").application for number in range(3)]
    add(admin, clients[0].client_id, "False")
    before, _ = statements()
    for each in clients[1:]:
        add(admin, each.client_id, "False")
    after, text = statements()
    assert after == before
    assert all(each.name in text for each in clients)


def test_deletion_names_the_client(admin, service):
    add(admin, service.application.client_id, "False")
    selected = {"action": "delete_selected", "_selected_action": [ClientOptions.objects.get().pk]}
    page = admin.post(reverse(f"{NAME}_changelist"), selected)
    assert f"Client options: {service.application.client_id}" in text_of(page)
    admin.post(reverse(f"{NAME}_changelist"), {**selected, "post": "yes"})
    assert str(LogEntry.objects.first()) == f"Deleted “{service.application.client_id}.”"


def test_options_of_a_client_that_is_gone_are_listed(admin):
    ClientOptions.objects.create(client_model="oauth2_provider.Application", client_key="987", store_access_tokens=True)
    assert ">client 987<" in admin.get(reverse(f"{NAME}_changelist")).content.decode()
