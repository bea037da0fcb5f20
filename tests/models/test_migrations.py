"""Old code runs on the tables of new code: migrations only add what the former version need not know."""

from __future__ import annotations

import re

import pytest
from django.db import connection, connections, migrations, models, router
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.utils import timezone

from django_at_jwt.models import Authorization
from django_at_jwt.models.authorization import EndReason
from tests.docs.blocks import ROLLING_DEPLOYS, table_rows

APP = "django_at_jwt"
# Attributes of a field that only Python code uses.
_NOT_IN_THE_DATABASE = {*models.Field.non_db_attrs, "default"}
_ADDITIVE = (migrations.CreateModel, migrations.AddIndex, migrations.AlterModelOptions, migrations.AlterModelManagers)


def column(field):
    _, path, arguments, options = field.deconstruct()
    return path, arguments, {name: value for name, value in options.items() if name not in _NOT_IN_THE_DATABASE}


def breaks_old_code(operation, before):
    """Return whether code that knows only the state ``before`` could fail after an operation."""
    match operation:
        case migrations.AddField(field=field):
            # Old code inserts rows without the column.
            return not (field.null or field.many_to_many or field.has_db_default())
        case migrations.AlterField(field=field):
            former = before.models[APP, operation.model_name_lower].get_field(operation.name)
            return column(field) != column(former)
    return not isinstance(operation, _ADDITIVE)


def breaking(operations):
    state = ProjectState()
    found = []
    for operation in operations:
        found.append(breaks_old_code(operation, state))
        operation.state_forwards(APP, state)
    return found


def breaking_migrations():
    loader = MigrationLoader(None)
    state, found = ProjectState(), set()
    for label, name in sorted(key for key in loader.graph.nodes if key[0] == APP):
        migration = loader.graph.nodes[label, name]
        for operation in migration.operations:
            if breaks_old_code(operation, state):
                found.add(name)
            operation.state_forwards(APP, state)
    return found


def test_each_migration_is_one_that_old_code_runs_on_or_is_in_the_table():
    """Split a migration that fails here: add in one release, and remove or require in the next."""
    rows = {re.sub("`", "", row[0]) for row in table_rows(ROLLING_DEPLOYS, columns=2) if row[0].startswith("`0")}
    assert breaking_migrations() == rows


def make(**fields):
    return migrations.CreateModel("thing", [("id", models.AutoField(primary_key=True)), *fields.items()])


@pytest.mark.parametrize(
    ("operation", "breaks"),
    [
        (migrations.AddField("thing", "note", models.TextField(null=True)), False),
        (migrations.AddField("thing", "note", models.TextField(db_default="")), False),
        (migrations.AddField("thing", "note", models.TextField(default="")), True),
        (migrations.AlterField("thing", "name", models.CharField(max_length=9, help_text="x")), False),
        (migrations.AlterField("thing", "name", models.CharField(max_length=8)), True),
        (migrations.RemoveField("thing", "name"), True),
        (migrations.DeleteModel("thing"), True),
        (migrations.RenameField("thing", "name", "title"), True),
        (migrations.AddConstraint("thing", models.UniqueConstraint(fields=["name"], name="x")), True),
        (migrations.AddIndex("thing", models.Index(fields=["name"], name="x")), False),
        (migrations.RunPython(migrations.RunPython.noop), True),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, bool) else "",
)
def test_operations_that_old_code_survives(operation, breaks):
    assert breaking([make(name=models.CharField(max_length=9)), operation]) == [False, breaks]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL's tables")
@pytest.mark.django_db
class TestUpdatesOfAuthorizations:
    def test_no_column_has_a_second_index(self):
        using = router.db_for_write(Authorization)
        with connections[using].cursor() as cursor:
            found = connections[using].introspection.get_constraints(cursor, Authorization._meta.db_table)
        columns = [tuple(each["columns"]) for each in found.values() if each["index"] or each["unique"]]
        assert len(columns) == len(set(columns))

    def test_end_of_an_authorization_writes_to_no_index(self):
        for _ in range(3):
            Authorization.objects.create(expires_at=timezone.now())
        using = router.db_for_write(Authorization)
        with connections[using].cursor() as cursor:

            def updates():
                cursor.execute(
                    "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = %s",
                    [Authorization._meta.db_table],
                )
                return cursor.fetchone()

            # Updates of an earlier transaction count, too, until PostgreSQL writes them to its statistics.
            before = updates()
            Authorization.objects.update(ended_at=timezone.now(), end_reason=EndReason.LOGOUT)
            assert [new - old for new, old in zip(updates(), before, strict=True)] == [3, 3]
            cursor.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [Authorization._meta.db_table])
            assert cursor.fetchone() == (["fillfactor=90"],)
