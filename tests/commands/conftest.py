import sys
from pathlib import Path

import numpy as np
import pytest

from kernels.messages import EVENT, Kind

TOYS = str(Path(__file__).parents[1] / "measure")


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Return the options that measure the toy kernel quickly, from a folder of its own with a store of its own."""
    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "timing.lock"))
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "path", [*sys.path, TOYS])
    events = np.zeros(3000, EVENT)
    events["kind"], events["price_ticks"], events["size"] = Kind.ADD, 100, 5
    events["order_id"] = np.arange(1, len(events) + 1)
    np.save(tmp_path / "events.npy", events)
    return ["-m", "toy_kernel", "--input", str(tmp_path / "events.npy"), "--seconds", "0.2", "--replicates", "1"]
