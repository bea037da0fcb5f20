"""The lookup of clients by their client IDs."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, models, router
from django.db.models.functions import Coalesce
from oauth2_provider.models import get_application_model

from django_at_jwt.authorization_server import clients
from django_at_jwt.authorization_server.clients import stored_client
from tests.conftest import captured_statements

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def forgets_statements():
    clients._prepared_lookup.cache_clear()
    yield
    clients._prepared_lookup.cache_clear()


class OnlyNamed(models.Manager):
    """Hides the clients of other tenants, as a site's own manager may."""

    tenant = ""

    def get_queryset(self):
        return super().get_queryset().filter(name=self.tenant)


class Uncommon(models.QuerySet):
    def filter(self, *args, **kwargs):
        return super().filter(*args, **kwargs).exclude(name="hidden")


@pytest.fixture
def known(make_client):
    return make_client("client-credentials").application


@pytest.fixture
def use_manager(monkeypatch):
    def use(manager):
        model = get_application_model()
        manager.contribute_to_class(type("Other", (), {"_meta": model._meta, "__module__": __name__}), "objects")
        manager.model = model
        monkeypatch.setattr(model, "objects", manager)
        return manager

    return use


def test_all_fields_are_read(known):
    model = get_application_model()
    expected = model.objects.get(pk=known.pk)
    for _ in range(2):
        found = stored_client(known.client_id)
        assert found == expected
        assert {field.attname: getattr(found, field.attname) for field in model._meta.concrete_fields} == {
            field.attname: getattr(expected, field.attname) for field in model._meta.concrete_fields
        }
        assert not found.get_deferred_fields()
        assert found._state.db == router.db_for_write(model)


def test_model_creates_its_instances_itself(known, monkeypatch):
    model = get_application_model()

    def from_db(cls, database, names, values):
        client = super(model, cls).from_db(database, names, values)
        client.marked = True
        return client

    monkeypatch.setattr(model, "from_db", classmethod(from_db), raising=False)
    assert stored_client(known.client_id).marked


def test_fields_convert_values_as_in_the_orm(known, monkeypatch):
    field = get_application_model()._meta.get_field("name")
    monkeypatch.setattr(field, "from_db_value", lambda value, *_: value.upper(), raising=False)
    assert stored_client(known.client_id).name == known.name.upper() != known.name


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_each_thread_uses_its_own_connection(known):
    if connection.vendor == "sqlite":
        pytest.skip("an in-memory database is closed with its last connection only")

    def read():
        try:
            return stored_client(known.client_id)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(read).result() == known
    # Prepared by the other thread, whose connection is closed.
    assert stored_client(known.client_id) == known


def test_one_statement(known):
    stored_client(known.client_id)
    with captured_statements() as statements:
        stored_client(known.client_id)
        stored_client("unknown")
    assert len(statements) == 2


@pytest.mark.parametrize("client_id", [None, "", "unknown", "nul\x00", "\ud800", "' OR 1=1 --", "%s", "%(a)s"])
def test_unknown(client_id, known):
    assert stored_client(client_id) is None


def test_no_statement_without_client_id_or_with_one_that_no_database_stores(known):
    with captured_statements() as statements:
        stored_client(None)
        stored_client("nul\x00")
    assert not statements


def test_client_id_in_another_case(known):
    assert stored_client(known.client_id.swapcase()) is None


def test_changes_are_seen_at_once(known):
    assert stored_client(known.client_id).client_type == "confidential"
    get_application_model().objects.filter(pk=known.pk).update(client_type="public")
    assert stored_client(known.client_id).client_type == "public"
    get_application_model().objects.filter(pk=known.pk).delete()
    assert stored_client(known.client_id) is None


def test_manager_with_its_own_query_is_asked_each_time(known, use_manager):
    manager = use_manager(OnlyNamed())
    manager.tenant = known.name
    assert stored_client(known.client_id) == known
    manager.tenant = "another"
    assert stored_client(known.client_id) is None


def test_queryset_of_another_class_is_used(known, use_manager):
    use_manager(models.Manager.from_queryset(Uncommon)())
    assert stored_client(known.client_id) == known
    get_application_model()._base_manager.filter(pk=known.pk).update(name="hidden")
    assert stored_client(known.client_id) is None


def test_model_whose_statements_have_more_parameters(known, monkeypatch):
    monkeypatch.setattr(get_application_model()._meta, "ordering", [Coalesce("name", models.Value("unnamed"))])
    assert stored_client(known.client_id) == known
    assert stored_client("unknown") is None
