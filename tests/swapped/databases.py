"""A pytest plugin for sites with two databases: each test that may use one may use both."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        mark = item.get_closest_marker("django_db")
        if mark is not None or {"db", "transactional_db"} & set(item.fixturenames):
            options = {} if mark is None else mark.kwargs
            item.add_marker(pytest.mark.django_db(**{**options, "databases": "__all__"}), append=False)
