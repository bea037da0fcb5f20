"""The search for clients in the forms of mappers, resource servers, introspecting clients and options of clients."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from oauth2_provider.models import get_application_model

from django_at_jwt.models import ClaimMapper, IntrospectionClient, ResourceServer
from tests.conftest import captured_statements

from .pages import confirm, send

pytestmark = pytest.mark.django_db

MODELS = ("claimmapper", "resourceserver", "introspectionclient", "clientoptions")


def address(model, page):
    return f"/admin/django_at_jwt/{model}/{page}/"


@pytest.fixture
def admin(client, db):
    client.force_login(get_user_model().objects.create_superuser("admin"))
    return client


def make_clients(**by_id):
    model = get_application_model()
    values = {"client_type": "confidential", "authorization_grant_type": "client-credentials", "client_secret": "x"}
    model.objects.bulk_create(
        [model(**{**values, "client_id": each.replace("_", "-"), **more}) for each, more in by_id.items()]
    )


def found(admin, model, **query):
    answer = admin.get(address(model, "clients"), query)
    assert answer.status_code == 200
    return [(each["id"], each["text"]) for each in answer.json()["results"]]


@pytest.mark.parametrize("model", MODELS)
def test_finds_names_and_client_ids_that_contain_all_words(admin, model):
    make_clients(shop_1={"name": "Web shop"}, shop_2={"name": "Old shop"}, nameless={"name": ""})
    assert found(admin, model, term="SHOP web") == [("shop-1", "Web shop (shop-1)")]
    assert found(admin, model, term="shop") == [("shop-2", "Old shop (shop-2)"), ("shop-1", "Web shop (shop-1)")]
    assert found(admin, model, term="namel") == [("nameless", "nameless")]
    assert found(admin, model, term="a\0b") == []
    assert len(found(admin, model)) == 3


def test_only_the_beginning_of_a_long_term_is_searched_for(admin):
    make_clients(shop={"name": "Web shop"})
    assert found(admin, "resourceserver", term=f"{'shop ' * 51}other") == [("shop", "Web shop (shop)")]


def test_results_come_in_pages_and_cost_two_statements(admin):
    make_clients(**{f"c{number:02}": {"name": ""} for number in range(25)})
    first = admin.get(address("resourceserver", "clients"), {"term": "c"}).json()
    assert (len(first["results"]), first["pagination"]) == (20, {"more": True})
    with captured_statements() as statements:
        last = admin.get(address("resourceserver", "clients"), {"term": "c", "page": "2"}).json()
    assert [each["id"] for each in last["results"]] == ["c20", "c21", "c22", "c23", "c24"]
    assert last["pagination"] == {"more": False}
    assert len([each for each in statements if "application" in each]) == 2


def test_only_confidential_clients_are_found_for_introspection(admin):
    make_clients(app={"name": "", "client_type": "public"}, gateway={"name": ""})
    assert found(admin, "introspectionclient") == [("gateway", "gateway")]
    assert len(found(admin, "resourceserver")) == 2


@pytest.mark.parametrize("model", MODELS)
def test_needs_the_permission_to_use_the_form(client, model):
    make_clients(shop={"name": ""})
    person = get_user_model().objects.create_user("person", is_staff=True)
    client.force_login(person)
    person.user_permissions.add(Permission.objects.get(codename=f"view_{model}"))
    assert client.get(address(model, "clients")).status_code == 403
    person.user_permissions.add(Permission.objects.get(codename=f"add_{model}"))
    assert len(found(client, model)) == 1
    client.logout()
    assert client.get(address(model, "clients")).status_code == 302


@pytest.mark.parametrize("model", MODELS)
def test_form_lists_chosen_clients_only(admin, model):
    make_clients(**{f"c{number}": {"name": f"Client {number}"} for number in range(50)})
    page = admin.get(address(model, "add")).content.decode()
    assert "Client 7" not in page
    assert f'data-ajax--url="{address(model, "clients")}"' in page
    assert "admin/js/autocomplete.js" in page
    assert "django_at_jwt/search_labels.js" in page


def test_chosen_clients_are_shown_and_deleted_ones_stay_valid(admin):
    make_clients(shop={"name": "Web shop"}, other={"name": "Other"})
    row = ResourceServer.objects.create(
        identifier="https://a.example.com/", name="A", clients=["shop", "other", "gone"]
    )
    change = address(f"resourceserver/{row.pk}", "change")
    page = admin.get(change).content.decode()
    assert '<option value="shop" selected>Web shop (shop)</option>' in page
    assert '<option value="gone" selected>gone (no such client)</option>' in page
    # Another order of names is no change.
    assert send(admin, change).status_code == 302
    assert confirm(admin, send(admin, change, clients=["gone", "other"])).status_code == 302
    row.refresh_from_db()
    assert row.clients == ["gone", "other"]
    refused = send(admin, change, clients=["shop", "never"])
    assert "never is not one of the available choices" in str(refused.context["adminform"].form.errors["clients"])


def test_without_javascript_client_ids_are_typed(admin):
    make_clients(shop={"name": "Web shop"}, other={"name": "Other"})
    row = ResourceServer.objects.create(identifier="https://a.example.com/", name="A", clients=["shop"])
    change = address(f"resourceserver/{row.pk}", "change")
    review = send(admin, change, **{"clients-typed": " other \r\n\r\nshop\r\n"})
    assert confirm(admin, review).status_code == 302
    row.refresh_from_db()
    assert row.clients == ["shop", "other"]
    assert send(admin, address("introspectionclient", "add"), **{"client_id-typed": "shop"}).status_code == 302
    assert IntrospectionClient.objects.get().client_id == "shop"
    mapper = {"name": "m", "claim": "c", "source_kind": "text", "source_text": "x", "clients-typed": "other"}
    assert confirm(admin, send(admin, address("claimmapper", "add"), **mapper)).status_code == 302
    assert ClaimMapper.objects.get().conditions == {"clients": ["other"]}


def test_labels_are_escaped(admin):
    make_clients(shop={"name": "<b>shop</b>"})
    row = ResourceServer.objects.create(identifier="https://a.example.com/", name="A", clients=["shop"])
    assert "<b>shop" not in admin.get(address(f"resourceserver/{row.pk}", "change")).content.decode()
