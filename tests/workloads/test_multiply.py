"""One hour becomes many symbols."""

import subprocess
import sys

import numpy as np
import pytest

from kernels.messages import EVENT
from workbench import workloads
from workbench.errors import InputError


@pytest.fixture(scope="module")
def hour():
    return workloads.synthetic(2, 4000, seed=5).events


def test_copies_differ_by_one_shift_of_time_and_of_prices(hour):
    many = workloads.multiply(hour, 5)
    assert many.size == 5 * hour.size and many.dtype == EVENT
    assert np.all(np.diff(many["timestamp_ns"]) >= 0)
    assert sorted(set(many["symbol"].tolist())) == list(range(10))
    for symbol in range(10):
        own, copy = hour[hour["symbol"] == symbol % 2], many[many["symbol"] == symbol]
        for field in ("size", "kind", "side"):
            assert np.array_equal(own[field], copy[field])
        time_shift = np.unique(copy["timestamp_ns"] - own["timestamp_ns"])
        price_shift = np.unique((copy["price_ticks"] - own["price_ticks"])[own["price_ticks"] > 0])
        assert time_shift.size == price_shift.size == 1 and 0 <= time_shift[0] < 60e9
        assert (symbol < 2) == (time_shift[0] == 0) and copy["price_ticks"].min() > 0
    ids = many["order_id"][many["kind"] == 1]
    assert np.unique(ids).size == ids.size
    assert np.array_equal(workloads.multiply(hour, 5), many)
    assert not np.array_equal(workloads.multiply(hour, 5, seed=2), many)


def test_what_has_no_room_is_told(hour):
    with pytest.raises(InputError, match="can be multiplied by 1"):
        workloads.multiply(hour, 40_000)
    high = hour.copy()
    high["order_id"][3] = 2**63
    with pytest.raises(InputError, match="leaves no room for 5 copies"):
        workloads.multiply(high, 5)
    with pytest.raises(InputError, match="EVENT"):
        workloads.multiply(np.concatenate([hour, np.zeros(1, EVENT)]).view(), 2)


def run(*arguments, **environment):
    import os

    command = [sys.executable, "-m", "workbench.workloads.multiply", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_the_script_writes_both_formats(hour, tmp_path):
    source, recording, itch = tmp_path / "hour.npy", tmp_path / "out.npy", tmp_path / "out.itch"
    workloads.write_recording(source, hour)
    done = run(source, "--symbols", 3, "--recording", recording, "--itch", itch)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(workloads.load(recording).events, workloads.multiply(hour, 3))
    assert workloads.load(itch).events.size == 3 * hour.size and workloads.load(itch).symbols == 6


def test_the_script_tells_bad_input_in_one_sentence(tmp_path):
    bad = tmp_path / "bad"
    bad.write_bytes(b"1.0,1,2\n")
    for arguments in ((bad, "--itch", tmp_path / "x"), (bad,), (tmp_path / "absent", "--itch", tmp_path / "x")):
        done = run(*arguments)
        assert done.returncode == 2 and done.stderr.startswith("multiply: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()
