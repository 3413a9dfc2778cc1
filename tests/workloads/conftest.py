import pytest

from workbench.workloads import cache


@pytest.fixture
def own_cache(tmp_path_factory, monkeypatch):
    """Keep parsed files apart; compiled code stays where it is."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(cache, "folder", lambda: folder)


@pytest.fixture
def write(tmp_path):
    def writing(data, name="data.bin"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return writing
