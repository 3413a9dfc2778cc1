import sys
from pathlib import Path

import numpy as np
import pytest

from kernels.messages import EVENT, Kind
from workbench.measure.driver import Request
from workbench.workloads import write_recording

sys.path.insert(0, str(Path(__file__).parent))  # toy_kernel and toy_broken are imported as a user's kernels are


@pytest.fixture(autouse=True)
def _own_lock(tmp_path, monkeypatch):
    """Tests time nothing that matters, so they do not wait for real timing jobs of this host."""
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "timing.lock"))


@pytest.fixture
def events():
    made = np.zeros(3000, EVENT)
    made["kind"] = Kind.ADD
    made["order_id"] = np.arange(1, len(made) + 1)
    made["price_ticks"] = 100
    made["size"] = np.arange(len(made)) % 100 + 1
    return made


@pytest.fixture
def request_for(tmp_path, events):
    write_recording(tmp_path / "events.npy", events)

    def make(*selectors, module, **options):
        values = {"replicates": 2, "seconds": 0.1, "input_file": str(tmp_path / "events.npy"), **options}
        return Request(list(selectors), modules=[module], paths=[str(Path(__file__).parent)], **values)

    return make
