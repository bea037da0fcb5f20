import pytest

from .databases import PreparedDatabases


@pytest.fixture(scope="session")
def prepared_databases(tmp_path_factory):
    databases = PreparedDatabases(tmp_path_factory.mktemp)
    yield databases
    databases.close()
