"""Every database that a store can be: the same tests hold for each."""

import postgresql_server
import pytest


@pytest.fixture(scope="session")
def server():
    """Return a running PostgreSQL, or skip by name where there is none."""
    if why := postgresql_server.missing():
        pytest.skip(why)
    with postgresql_server.Server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    """Return the address of an empty database of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "results.sqlite3")
    return request.getfixturevalue("server").database()
