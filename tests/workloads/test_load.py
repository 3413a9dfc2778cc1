"""Files of every known format, plain and packed, and what is told of bad ones."""

import gzip
import warnings

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels.messages import EVENT, Kind
from workbench import workloads
from workbench.errors import Exit, InputError
from workbench.workloads import cache, known
from workbench.workloads.loaded import sha256_of

FINE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
LINES = b"""34200.004241176,1,16113575,18,5853300,1
34200.00426064,1,16113576,100,5853200,-1
34200.5,4,16113575,5,5853300,1
35821.088778456004,2,16113576,40,5853200,-1
35821.0887784566,5,0,7,5853250,-1
35822,3,99,10,5853200,-1
35823.25,7,0,0,-1,-1
35824.25,7,0,0,0,-1
35825.25,7,0,0,1,-1
"""
PACKED = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
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


def recording_bytes(events, tmp_path):
    path = tmp_path / "recording.npy"
    workloads.write_recording(path, events)
    return path.read_bytes()


def itch_bytes(events, tmp_path, **options):
    path = tmp_path / "file.itch"
    workloads.write_itch(path, events, **options)
    return path.read_bytes()


@pytest.mark.parametrize("packing", PACKED)
def test_lobster_lines_become_events_exactly(write, packing):
    loaded = workloads.load(write(PACKED[packing](LINES)))
    events = loaded.events
    assert events["timestamp_ns"].tolist() == [
        34200004241176,
        34200004260640,
        34200500000000,
        35821088778456,
        35821088778457,  # rounded from a tenth digit of 6
        35822000000000,
        35823250000000,
        35824250000000,
        35825250000000,
    ]
    kinds = [Kind.ADD, Kind.ADD, Kind.EXECUTE, Kind.CANCEL, Kind.TRADE, Kind.DELETE, Kind.HALT, Kind.HALT, Kind.RESUME]
    assert events["kind"].tolist() == kinds
    assert events["order_id"][:6].tolist() == [16113575, 16113576, 16113575, 16113576, 0, 99]
    assert events["price_ticks"].tolist() == [58533, 58532, 58533, 58532, 58532, 58532, 0, 0, 0]
    assert events["size"][:6].tolist() == [18, 100, 5, 40, 7, 10]
    assert events["side"].tolist() == [0, 1, 0, 1, 1, 1, 0, 0, 0]
    assert loaded.workload.content == "lobster" and loaded.symbols == 1 and loaded.tick_sizes == (100,)
    assert any(note.startswith("1 events concern orders from before the file") for note in loaded.notes)
    assert any("1 trades lie between two ticks" in note for note in loaded.notes)


def test_windows_line_ends_blank_lines_and_a_missing_last_newline_are_read(write):
    plain = workloads.load(write(LINES, "a"))
    other = workloads.load(write(LINES.replace(b"\n", b"\r\n\r\n").rstrip(), "b"))
    assert np.array_equal(plain.events, other.events)


def test_the_limit_takes_the_first_events(write):
    loaded = workloads.load(write(LINES), limit=3)
    assert loaded.events.size == loaded.workload.events == 3
    assert any("only the first 3 of 9" in note for note in loaded.notes)
    with pytest.raises(InputError, match="at least one event"):
        workloads.load(write(LINES), limit=0)


def test_cheap_stocks_have_the_finer_tick_and_a_stray_price_is_refused_not_rounded(write):
    cheap = b"".join(b"1.%d,1,%d,10,%d,1\n" % (i, i + 1, 5001 + i) for i in range(9))
    loaded = workloads.load(write(cheap, "cheap"))
    assert loaded.tick_sizes == (1,) and loaded.events["price_ticks"].tolist() == list(range(5001, 5010))
    stray = b"".join(b"1.0,1,%d,10,%d,1\n" % (i + 1, 500000 + (i == 7)) for i in range(300))
    loaded = workloads.load(write(stray, "stray"))
    assert loaded.tick_sizes == (100,)
    assert loaded.events["price_ticks"][7] == 0 and np.count_nonzero(loaded.events["price_ticks"] == 5000) == 299
    assert any("1 orders have a price off" in note for note in loaded.notes)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"34200.1,1,5,10,5853300", r"line 2 has 5 columns where a LOBSTER message has 6: the file is cut"),
        (b"34200.1,1,5,10,5853300,1,7\n34200.2,1,6,10,5853300,1", r"line 2 has 7 columns"),
        (b"5859100,18,5853300,18,5859200,18,5853200,18", r"8 columns .* order book file, give the message file"),
        (b"nan,1,5,10,5853300,1", r"line 2, column 1 \(time\): 'nan' is not a number"),
        (b"inf,1,5,10,5853300,1", r"column 1 \(time\): 'inf'"),
        (b",1,5,10,5853300,1", r"column 1 \(time\): '' is empty"),
        (b"-1.5,1,5,10,5853300,1", r"column 1 \(time\): '-1.5' is not a number"),
        (b"99999999999.5,1,5,10,5853300,1", r"column 1 \(time\): '99999999999.5' is out of range"),
        (b"34200.1,9,5,10,5853300,1", r"column 2 \(type\): '9' is out of range \(1 to 7\)"),
        (b"34200.1,1.5,5,10,5853300,1", r"column 2 \(type\): '1.5' has a fraction"),
        (b"34200.1,1,-5,10,5853300,1", r"column 3 \(order id\): '-5' is out of range"),
        (b"34200.1,1,99999999999999999999,10,5853300,1", r"column 3 \(order id\): .* is out of range"),
        (b"34200.1,1,5,4294967296,5853300,1", r"column 4 \(size\): '4294967296' is out of range"),
        (b"34200.1,1,5,1e3,5853300,1", r"column 4 \(size\): '1e3' is not a number"),
        (b"34200.1,1,5,10,-5853300,1", r"column 5 \(price\): '-5853300' is out of range"),
        (b"34200.1,1,5,10,5853300,2", r"column 6 \(direction\): '2' is out of range \(-1 or 1\)"),
        (b"34200.1,1,5,10,5853300,-", r"column 6 \(direction\): '-' is not a number"),
        (b"34200.1,1,5,10,5853300,1 x", r"column 6 \(direction\): '1 x' is not a number"),
    ],
)
def test_a_bad_line_is_told_by_line_and_column(write, line, expected):
    path = write(b"34200.0,1,4,10,5853300,1\n" + line + b"\n" * (b"7\n" in line))
    with pytest.raises(InputError, match=expected) as caught:
        workloads.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.exit_code == Exit.USAGE


def test_a_header_is_told(write):
    with pytest.raises(InputError, match="LOBSTER files have no header"):
        workloads.load(write(b"Time,Type,OrderID,Size,Price,Direction\n" + LINES))


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
