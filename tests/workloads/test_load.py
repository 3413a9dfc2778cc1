"""Files of every known format, plain and packed, and what is told of bad ones."""

import gzip
import warnings

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from market_files import LINES, PACKED, itch_bytes, recording_bytes

from kernels.messages import EVENT
from workbench import workloads
from workbench.errors import InputError
from workbench.workloads import cache, known
from workbench.workloads.loaded import sha256_of

FINE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
pytestmark = pytest.mark.usefixtures("own_cache")


def test_the_limit_takes_the_first_events(write):
    loaded = workloads.load(write(LINES), limit=3)
    assert loaded.events.size == loaded.workload.events == 3
    assert any("only the first 3 of 9" in note for note in loaded.notes)
    with pytest.raises(InputError, match="at least one event"):
        workloads.load(write(LINES), limit=0)


def test_files_that_are_none_are_told(write, tmp_path):
    for data, expected in [
        (b"", "is empty"),
        (b"\n\n", "holds no line of data"),
        (b"\x00\xff\x12garbage\x80" * 20, "in no format that is known here"),
        (gzip.compress(b""), "nothing but gzip's own header"),
        (zstandard.compress(b""), "nothing but zstd's own header"),
        (b"DBN\x01\xc6\x00\x00\x00GLBX.MDP3", "metadata should end at byte 206|needs the databento-dbn package"),
    ]:
        with pytest.raises(InputError, match=expected):
            workloads.load(write(data))
    with pytest.raises(InputError, match="cannot be read"):
        workloads.load(tmp_path / "absent")
    with pytest.raises(InputError, match="not a regular file"):
        workloads.load(tmp_path)
    with pytest.raises(InputError, match="is no path"):
        workloads.load("a\0b")


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_packed_data_that_are_cut_or_damaged_are_told(write, packing):
    packed = PACKED[packing](LINES * 50)
    for length in (len(packed) // 2, len(packed) - 2, 12):
        with pytest.raises(InputError, match=rf"is (cut|damaged): its {packing} data .* fetch it again"):
            workloads.load(write(packed[:length]))
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    with pytest.raises(InputError, match=r"is (damaged|cut)|line \d+"):
        workloads.load(write(bytes(damaged)))


def test_packed_frames_in_a_row_are_read_to_the_last(write):
    first, second = LINES[:40], LINES[40:]
    for pack in (gzip.compress, zstandard.compress):
        assert workloads.load(write(pack(first) + pack(second))).events.size == 9


@pytest.mark.parametrize("packing", PACKED)
def test_a_recording_comes_back_whole(write, tmp_path, packing):
    events = workloads.synthetic(2, 500, seed=1).events
    loaded = workloads.load(write(PACKED[packing](recording_bytes(events, tmp_path))))
    assert np.array_equal(loaded.events, events) and loaded.symbols == 2
    assert isinstance(loaded.events, np.memmap)  # packed ones too: from the cache
    assert not loaded.events.flags.writeable


def test_recordings_that_are_none_are_told(write, tmp_path):
    events = workloads.synthetic(1, 100, seed=1).events
    data = recording_bytes(events, tmp_path)
    for broken, expected in [
        (data[:-7], "is cut: 100 events need"),
        (data + b"x", "has bytes left over"),
        (data[:30], "header of this .npy file is damaged"),
        (data[:40] + b"\xff" * 60 + data[100:], "header of this .npy file is damaged"),
    ]:
        with pytest.raises(InputError, match=expected):
            workloads.load(write(broken))
    for array, expected in [
        (np.full((4, 4), np.nan), "a recording holds events .* this .npy file holds float64"),
        (events.reshape(10, 10), "one dimension"),
        (events[:0], "holds no event"),
    ]:
        np.save(tmp_path / "array.npy", array)
        with pytest.raises(InputError, match=expected):
            workloads.load(tmp_path / "array.npy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.save(tmp_path / "object.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match="holds object"):
        workloads.load(tmp_path / "object.npy")


def test_the_second_load_maps_the_cache_and_a_damaged_cache_is_not_trusted(write, monkeypatch):
    path = write(LINES)
    first = workloads.load(path)
    with monkeypatch.context() as patch:
        patch.setattr("workbench.workloads.lobster.parse", None)  # a second parse would fail
        again = workloads.load(path)
    assert isinstance(again.events, np.memmap) and again.workload == first.workload and again.notes == first.notes
    for damage in (
        lambda file: file.write_bytes(file.read_bytes()[:-5] + b"wrong"),
        lambda file: file.write_bytes(file.read_bytes()[:100]),
        lambda file: file.write_bytes(b""),
    ):
        for suffix in ("*.npy", "*.json"):
            (entry,) = cache.folder().glob(suffix)
            fresh = entry.with_name("fresh")  # in place would pull the memory from under the arrays that map it
            fresh.write_bytes(entry.read_bytes())
            damage(fresh)
            fresh.replace(entry)
            repaired = workloads.load(path)
            assert repaired.workload == first.workload and np.array_equal(repaired.events, first.events)
    assert not list(cache.folder().glob("*.writing"))


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(write, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "file" / "below")
    assert workloads.load(write(LINES)).events.size == 9


@settings(max_examples=150, deadline=None, suppress_health_check=FINE)
@given(data=st.data())
def test_no_bytes_crash_the_reader(tmp_path, data):
    events = workloads.synthetic(2, 30, seed=2).events
    sources = [
        LINES,
        itch_bytes(events, tmp_path),
        itch_bytes(events, tmp_path, framed=False),
        recording_bytes(events, tmp_path),
        gzip.compress(LINES),
        zstandard.compress(LINES),
        b"",
    ]
    raw = bytearray(data.draw(st.sampled_from(sources)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    path = tmp_path / "fuzzed"
    path.write_bytes(bytes(raw))
    try:
        loaded = workloads.load(path)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert loaded.events.size == loaded.workload.events > 0


def test_names_and_paths_are_told_apart(write, monkeypatch, tmp_path):
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    assert workloads.parse("default").workload.name == "synthetic"
    assert workloads.parse("synthetic", limit=10).events.size == 10
    assert workloads.parse(str(write(LINES, "hour.csv"))).workload.name == "hour"
    assert set(workloads.names()) >= {"default", "aapl", "synthetic", "synthetic-64"}
    with pytest.raises(InputError, match=r"needs .* WORKBENCH_DATA"):
        workloads.named("aapl")
    with pytest.raises(InputError, match="there is no workload 'nosuch': there are default"):
        workloads.parse("nosuch")
    with pytest.raises(InputError, match="cannot be read"):
        workloads.parse(str(tmp_path / "absent"))


@pytest.mark.data
def test_the_real_files(real_data, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(real_data))
    hour = workloads.named("aapl")
    assert workloads.default().workload == hour.workload and known.real_hour() is not None
    assert np.bincount(hour.events["kind"]).tolist() == [0, 44256, 469, 41004, 4067, 2201]
    assert "84 events concern orders from before the file" in hour.notes
    itch = workloads.load(real_data / "ex20101224.TEST_ITCH_50")
    assert itch.symbol_names == ("BOB", "CHAR", "ALC") and itch.events.size == 12_000
    with pytest.raises(InputError, match=r"40 columns .* order book file"):
        workloads.load(real_data / "AAPL_2012-06-21_orderbook_10_head.csv")


def test_what_lies_between_the_fields_does_not_count(write, tmp_path):
    events = workloads.synthetic(1, 100, seed=1).events.copy()
    dirty = np.full(100 * EVENT.itemsize, 255, np.uint8).view(EVENT)
    for field in EVENT.names:
        dirty[field] = events[field]
    assert recording_bytes(dirty, tmp_path) == recording_bytes(events, tmp_path)
    assert sha256_of(dirty) == sha256_of(events) == workloads.load(tmp_path / "recording.npy").workload.sha256
