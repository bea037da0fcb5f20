"""The fields that hold when rows of swapped models were last changed."""

from __future__ import annotations

import pytest
from django.db import models
from django.test.utils import isolate_apps
from oauth2_provider.models import AccessToken

from django_at_jwt.models.change_times import change_times, last_change


@pytest.fixture
def declare():
    with isolate_apps("tests.people"):
        yield lambda **fields: type(
            "Token",
            (models.Model,),
            {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "people"}), **fields},
        )


def test_toolkit_names_one():
    assert change_times(AccessToken) == ["updated"]
    assert last_change(AccessToken) == "updated"


def test_times_that_do_not_change_by_themselves_are_left_out(declare):
    model = declare(created=models.DateTimeField(auto_now_add=True), expires=models.DateTimeField())
    assert change_times(model) == []
    assert last_change(model) == "created"


def test_dates_are_left_out(declare):
    model = declare(day=models.DateField(auto_now=True), modified=models.DateTimeField(auto_now=True))
    assert change_times(model) == ["modified"]
    assert last_change(model) == "modified"
