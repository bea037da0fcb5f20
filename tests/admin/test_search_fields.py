"""The searches for clients, APIs and groups in forms: what they find, who may search, and what a form accepts."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from oauth2_provider.models import get_application_model

from django_at_jwt.models import ClaimMapper, IntrospectionClient, ResourceServer
from tests.conftest import captured_statements

from .pages import confirm, may, send

pytestmark = pytest.mark.django_db

MODELS = ("claimmapper", "resourceserver", "introspectionclient", "clientoptions")


def address(model, page):
    return f"/admin/django_at_jwt/{model}/{page}/"


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
    may(person, f"view_{model}")
    assert client.get(address(model, "clients")).status_code == 403
    may(person, f"add_{model}")
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


# Where each search is, and a permission that it needs.
SEARCHES = [
    ("claimmapper/resource-servers", "add_claimmapper"),
    ("claimmapper/groups", "change_claimmapper"),
    ("tokenpreview/resource-servers", "preview_claimmapper"),
]


def results(admin, search, **query):
    return [
        (each["id"], each["text"]) for each in admin.get(f"/admin/django_at_jwt/{search}/", query).json()["results"]
    ]


@pytest.mark.parametrize("search", ["claimmapper/resource-servers", "tokenpreview/resource-servers"])
def test_apis_of_rows_and_of_the_settings_are_found(admin, search, settings):
    settings.AT_JWT = {
        "DEFAULT_RESOURCE": "https://default.example.com/",
        "RESOURCE_SERVERS": {"https://orders.example.com/": {"name": "Orders of the shop"}},
    }
    ResourceServer.objects.create(identifier="https://stock.example.com/", name="Stock of the SHOP", enabled=False)
    orders = ("https://orders.example.com/", "Orders of the shop (https://orders.example.com/)")
    stock = ("https://stock.example.com/", "Stock of the SHOP (https://stock.example.com/)")
    assert results(admin, search) == [(name := "https://default.example.com/", name), orders, stock]
    assert results(admin, search, term="shop") == [orders, stock]
    assert results(admin, search, term="SHOP stock.example") == [stock]
    assert results(admin, search, term="shop\0") == [orders, stock]
    assert results(admin, search, term="other") == []


def test_groups_are_found(admin):
    Group.objects.bulk_create([Group(name=name) for name in ("Staff of the shop", "Editors", "shop owners")])
    both = [("Staff of the shop", "Staff of the shop"), ("shop owners", "shop owners")]
    assert sorted(results(admin, "claimmapper/groups", term="SHOP")) == both
    assert results(admin, "claimmapper/groups", term="shop staff") == both[:1]
    assert len(results(admin, "claimmapper/groups")) == 3


@pytest.mark.parametrize(("search", "permission"), SEARCHES)
def test_search_needs_the_permission_to_use_its_form(client, search, permission):
    person = get_user_model().objects.create_user("person", is_staff=True)
    client.force_login(person)
    may(person, "view_claimmapper")
    assert client.get(f"/admin/django_at_jwt/{search}/").status_code == 403
    may(person, permission)
    assert client.get(f"/admin/django_at_jwt/{search}/").status_code == 200


@pytest.mark.parametrize("form", ["claimmapper/add", "tokenpreview"])
def test_forms_list_neither_apis_nor_groups(admin, form):
    ResourceServer.objects.bulk_create(
        [ResourceServer(identifier=f"https://api{number}.example.com/", name=f"API {number}") for number in range(200)]
    )
    Group.objects.bulk_create([Group(name=f"Group {number}") for number in range(200)])
    page = admin.get(f"/admin/django_at_jwt/{form}/").content.decode()
    assert "API 7" not in page
    assert "Group 7" not in page
    model = form.partition("/")[0]
    assert f'data-ajax--url="/admin/django_at_jwt/{model}/resource-servers/"' in page


def test_mapper_takes_apis_and_groups_that_exist_and_keeps_stored_ones(admin):
    ResourceServer.objects.create(identifier="https://a.example.com/", name="A")
    Group.objects.create(name="Editors")
    conditions = {"resource_servers": ["https://a.example.com/", "https://gone.example.com/"], "groups": ["Editors"]}
    row = ClaimMapper.objects.create(name="m", claim="c", source={"kind": "groups"}, conditions=conditions)
    change = address(f"claimmapper/{row.pk}", "change")
    page = admin.get(change).content.decode()
    assert '<option value="https://a.example.com/" selected>A (https://a.example.com/)</option>' in page
    assert "https://gone.example.com/ (no such API)</option>" in page
    assert '<option value="Editors" selected>Editors</option>' in page
    typed = {"resource_servers": ["https://gone.example.com/"], "resource_servers-typed": "https://a.example.com/"}
    assert confirm(admin, send(admin, change, **typed, type="strings")).status_code == 302
    row.refresh_from_db()
    assert row.conditions["resource_servers"] == conditions["resource_servers"][::-1]
    refused = send(admin, change, groups=["Nobody"], resource_servers=["https://never.example.com/"])
    errors = refused.context["adminform"].form.errors
    assert "Nobody is not one of the available choices" in str(errors["groups"])
    assert "https://never.example.com/ is not one of the available choices" in str(errors["resource_servers"])


def test_preview_takes_apis_that_are_typed(admin):
    ResourceServer.objects.create(identifier="https://a.example.com/", name="A")
    sent = {"preview-resources-typed": "https://a.example.com/\r\nhttps://never.example.com/"}
    form = admin.post("/admin/django_at_jwt/tokenpreview/", sent).context["form"]
    assert "https://never.example.com/ is not one of the available choices" in str(form.errors["resources"])
    assert "a.example.com" not in str(form.errors["resources"])
    sent = {"preview-resources": "https://a.example.com/"}
    page = admin.post("/admin/django_at_jwt/tokenpreview/", sent)
    assert "resources" not in page.context["form"].errors
    assert '<option value="https://a.example.com/" selected>A (' in page.content.decode()
