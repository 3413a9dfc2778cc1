import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_timing_lock(tmp_path_factory):
    """These tests judge no speed that another job could spoil, so they wait for none."""
    before = os.environ.get("WORKBENCH_TIMING_LOCK")
    os.environ["WORKBENCH_TIMING_LOCK"] = str(tmp_path_factory.mktemp("lock") / "timing.lock")
    yield
    if before is None:
        del os.environ["WORKBENCH_TIMING_LOCK"]
    else:
        os.environ["WORKBENCH_TIMING_LOCK"] = before
