"""ITCH 5.0 files: what is written comes back, and what is cut or cannot be said is told."""

import numpy as np
import pytest
from market_files import PACKED, itch_bytes

from kernels.messages import EVENT, Kind
from workbench import workloads
from workbench.errors import InputError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize("packing", PACKED)
def test_itch_gives_back_what_was_written(write, tmp_path, framed, packing):
    made = workloads.synthetic(3, 3000, seed=4)
    halts = np.zeros(2, EVENT)
    halts["kind"], halts["timestamp_ns"] = [Kind.HALT, Kind.RESUME], made.events["timestamp_ns"][-1]
    events = np.concatenate([made.events, halts]).astype(EVENT)
    data = itch_bytes(events, tmp_path, framed=framed, symbol_names=["AA", "BB", "CC"])
    loaded = workloads.load(write(PACKED[packing](data)))
    _, order = np.unique(events["symbol"], return_index=True)
    dense = np.argsort(np.argsort(order))  # symbols are numbered as their first event comes
    assert loaded.symbol_names == tuple(np.array(["AA", "BB", "CC"])[np.argsort(order)])
    expected = events.copy()
    expected["symbol"] = dense[events["symbol"]]
    expected["size"][events["kind"] == Kind.DELETE] = 0
    for field in EVENT.names:
        assert np.array_equal(loaded.events[field], expected[field]), field
    assert loaded.tick_sizes == (100,) * 3 and loaded.notes == ()


def test_itch_that_is_cut_or_damaged_is_told_by_its_byte(write, tmp_path):
    data = itch_bytes(workloads.synthetic(1, 50, seed=1).events, tmp_path)
    with pytest.raises(InputError, match=rf"at byte {len(data) - 14:,} a message starts that is cut after 11 bytes"):
        workloads.load(write(data[:-3]))
    second = data.index(b"A", 60) - 2  # an ADD behind the directory
    for change, expected in [(b"\x00\x24Z", "stands type 'Z'"), (b"\x00\x25A", "is 37, expected 36")]:
        broken = data[:second] + change + data[second + 3 :]
        with pytest.raises(InputError, match=rf"at byte {second:,} .*{expected}"):
            workloads.load(write(broken))
    assert workloads.load(write(data + b"\0\0")).events.size == 50  # the end of session that NASDAQ writes


def test_itch_of_short_messages_only_is_read_whole(write):
    deletion = b"\0\x13D\0\1" + bytes(15) + b"\7"
    events = workloads.load(write(deletion * 200_000)).events
    assert events.size == 200_000 and set(events["kind"]) == {Kind.DELETE} and set(events["order_id"]) == {7}


def test_what_itch_cannot_say_is_told(tmp_path):
    events = workloads.synthetic(1, 50, seed=1).events.copy()
    for field, value, expected in [
        ("kind", Kind.MODIFY, "event 7 has kind 7, which ITCH 5.0 cannot say"),
        ("timestamp_ns", 1 << 60, "since midnight"),
        ("price_ticks", -5, "negative or has no room"),
    ]:
        bad = events.copy()
        bad[field][7] = value
        with pytest.raises(InputError, match=expected):
            workloads.write_itch(tmp_path / "x", bad)
    with pytest.raises(InputError, match="no name for ITCH"):
        workloads.write_itch(tmp_path / "x", events, symbol_names=["FARTOOLONG"])
    assert not (tmp_path / "x").exists()
