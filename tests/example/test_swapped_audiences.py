"""Who a token is for on a site with its own models, UUIDs for users and two databases: a cell of each row."""

from __future__ import annotations

from itertools import cycle
from uuid import UUID

import pytest

from example_project.server_process import environment_for, run_manage, running_server

from .cross_audience_requests import WAYS_TO_THE_NEIGHBOUR
from .test_audiences import FIRST_REQUESTS, GRANTS, SPECIAL_REQUESTS, assert_answered, table_of
from .wider_site import WiderSite

# test_audiences.py has more cells, on a plain site.
pytestmark = pytest.mark.ci

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.example.swapped_settings"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("swapped")
    # The example itself fills the first database alone.
    migrated = run_manage(environment_for(directory, **SETTINGS), "migrate", "--database=away", "--verbosity=0")
    assert migrated.returncode == 0, migrated.stderr
    with running_server(directory, **SETTINGS) as server:
        yield WiderSite(server, models="swapped", own_database="away.sqlite3")


def cells():
    """One cell of each row, with scopes and grants that take turns. What comes of the others, the plain site shows."""
    rows = [*table_of(FIRST_REQUESTS), *table_of(SPECIAL_REQUESTS)]
    return [
        pytest.param(grant, *case.values, id=f"{grant}, {case.id}")
        for number, (row, grant) in enumerate(zip(rows, cycle(GRANTS), strict=False))
        for case in [row[number % len(row)]]
    ]


@pytest.mark.parametrize(("grant", "resource", "scope", "expected"), cells())
def test_first_request(site, grant, resource, scope, expected):
    assert_answered(site, grant, resource, scope, expected)


@pytest.mark.parametrize("way", WAYS_TO_THE_NEIGHBOUR, ids=lambda way: way.__name__)
def test_no_way_to_the_neighbour(site, way):
    steps = way(site)
    next(steps)
    before = site.rows.snapshot()
    assert next(steps).error == WAYS_TO_THE_NEIGHBOUR[way]
    assert site.rows.snapshot() == before


def test_the_site_is_what_it_says(site):
    tokens = site.authorization_code("notes", "api:read").values
    claims = site.claims_of(tokens["access_token"])
    assert UUID(claims["sub"]).version == 4
    assert site.rows.snapshot()["django_at_jwt_authorization"]
    assert site.rows.access_token(tokens["access_token"])["note"] == ""
