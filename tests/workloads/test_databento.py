"""Databento DBN: files made by Databento's own package."""

import builtins
import datetime
import gzip
from types import SimpleNamespace

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels.messages import Bad, Kind
from kernels.order_book.reference import Reference
from workbench import workloads
from workbench.errors import Exit, InputError
from workbench.workloads import databento

dbn = pytest.importorskip("databento_dbn")

pytestmark = pytest.mark.usefixtures("own_cache")
FINE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
DAY, NEXT_DAY = datetime.date(2023, 12, 24), datetime.date(2023, 12, 25)
LAST, SNAPSHOT = dbn.F_LAST, dbn.F_SNAPSHOT
TICK = 250_000_000  # a quarter of a point, in units of 1e-9


@pytest.fixture
def load(tmp_path):
    def loading(data, name="data.bin"):
        path = tmp_path / name
        path.write_bytes(data)
        return workloads.load(path)

    return loading


def record(action, order_id=0, price=0, size=0, side="N", instrument=7, publisher=1, flags=0, at=0):
    """Return the bytes of one record; `price` in ticks."""
    return bytes(
        dbn.MBOMsg(publisher, instrument, 1000 + at, order_id, price * TICK, size, dbn.Action(action), dbn.Side(side),
                   2000 + at, flags, 0, 0, 0)
    )  # fmt: skip


def header(version=3, symbols=(("ESH4", 7),), **options):
    mappings = [
        SimpleNamespace(
            raw_symbol=name, intervals=[SimpleNamespace(start_date=DAY, end_date=NEXT_DAY, symbol=str(number))]
        )
        for name, number in symbols
    ]
    metadata = dbn.Metadata(
        "GLBX.MDP3", 1, dbn.SType.RAW_SYMBOL, dbn.SType.INSTRUMENT_ID, dbn.Schema.MBO,
        [name for name, _ in symbols], [], [], mappings, version=version, **options,
    )  # fmt: skip
    return metadata.encode()


def rows(events, *fields):
    return [tuple(int(event[field]) for field in fields) for event in events]


def test_each_action_becomes_what_it_does_to_the_book(load):
    data = header() + b"".join(
        [
            record("R", side="N", price=9, size=9, order_id=9),
            record("A", 1, 400, 5, "B", flags=SNAPSHOT),
            record("A", 2**64 - 2, 402, 7, "A", flags=LAST | SNAPSHOT),
            record("M", 1, 401, 6, "B", flags=LAST),
            record("T", 0, 402, 3, "B"),  # a buyer hits the offer
            record("F", 2**64 - 2, 402, 3, "A"),
            record("C", 2**64 - 2, 402, 3, "A", flags=LAST),
            record("N", flags=LAST),
            record("C", 1, 401, 6, "B", flags=LAST),
        ]
    )
    loaded = load(data)
    expected = [
        (Kind.CLEAR, 0, 0, 0, 0),
        (Kind.ADD, 1, 400, 5, 0),
        (Kind.ADD, 2**64 - 2, 402, 7, 1),
        (Kind.MODIFY, 1, 401, 6, 0),
        (Kind.TRADE, 0, 402, 3, 1),  # the side that was hit
        (Kind.CANCEL, 2**64 - 2, 402, 3, 1),
        (Kind.CANCEL, 1, 401, 6, 0),
    ]
    assert rows(loaded.events, "kind", "order_id", "price_ticks", "size", "side") == expected
    assert loaded.events["timestamp_ns"].tolist() == [2000] * 7
    assert (loaded.workload.content, loaded.symbol_names, loaded.tick_sizes) == ("databento", ("ESH4",), (2500,))
    assert loaded.notes == ()
    reference = Reference(symbols=1)
    assert reference.replay(loaded.events)[-1].tolist() == (0, 0, 402, 4) and not reference.bad


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("packing", [bytes, gzip.compress, zstandard.compress])
def test_versions_and_packings(load, version, packing):
    body = record("A", 1, 400, 5, "B") + record("A", 2, 403, 5, "A")
    loaded = load(packing(header(version)) + packing(body) if packing is not bytes else header(version) + body)
    assert rows(loaded.events, "order_id", "price_ticks") == [(1, 400), (2, 403)] and loaded.symbol_names == ("ESH4",)


def test_records_of_other_types_and_with_a_send_time_are_walked_over(load):
    other = bytearray(record("A", 1, 1, 1, "B"))
    other[1] = 0x17  # a system message
    timed = bytearray(record("A", 2, 401, 5, "B"))
    timed[0] = 16
    loaded = load(
        header(ts_out=True) + bytes(other[:8]).replace(b"\x0e", b"\x02", 1) + bytes(other) + bytes(timed) + bytes(8)
    )
    assert rows(loaded.events, "order_id", "price_ticks") == [(2, 401)]


def test_instruments_publishers_and_ticks(load):
    def priced(price, **options):
        raw = bytearray(record("A", **options))
        raw[24:32] = int(price).to_bytes(8, "little", signed=True)
        return bytes(raw)

    data = header(symbols=(("ESH4", 7), ("6JH4", 8))) + b"".join(
        [
            priced(7_000_000, order_id=1, size=1, side="B", instrument=8),
            priced(7_000_500, order_id=2, size=1, side="A", instrument=8),
            record("A", 3, 19196, 1, "B", instrument=7),
            record("A", 4, 19197, 1, "B", instrument=7, publisher=2),
            priced(-250_000_000, order_id=5, size=1, side="B", instrument=7),
            priced(2**63 - 1, order_id=6, size=1, side="B", instrument=7),
            record("A", 7, 19196, 2**31, "B"),
            record("A", 8, 19196, 1, "B", flags=dbn.F_TOB),
            record("A", 9, 19196, 1, "N"),
        ]
    )
    loaded = load(data)
    assert loaded.symbol_names == ("6JH4", "ESH4", "ESH4") and loaded.symbols == 3
    assert loaded.events["symbol"].tolist() == [0, 0, 1, 2, 1, 1, 1, 1]
    assert loaded.events["price_ticks"].tolist() == [14000, 14001, 4799, 19197, 0, 0, 4799, 4799]  # 4,799 is whole
    assert loaded.tick_sizes == ()  # 5e-7 is no whole number of 1/10,000
    assert [note.split(":")[0] for note in loaded.notes] == [
        "2 orders have a price off their symbol's tick or out of range",
        "1 records are quotes or price levels (F_TOB, F_MBP), not orders",
        "1 sizes are above 2,147,483,647",
    ]
    reference = Reference(symbols=3)
    reference.replay(loaded.events)
    assert reference.bad == {Bad.PRICE: 2, Bad.SIZE: 1, Bad.SIDE: 1}


def test_a_change_of_an_order_that_does_not_rest_is_a_new_order(load):
    data = header() + b"".join(
        [
            record("M", 1, 400, 5, "B"),  # from before the file
            record("M", 1, 401, 5, "B"),
            record("C", 1, 401, 5, "B"),
            record("M", 1, 402, 2, "B"),  # taken out, and back
            record("A", 2, 403, 2, "A"),
            record("R"),
            record("M", 2, 404, 2, "A"),
            record("A", 3, 405, 4, "A", instrument=8),
            record("C", 3, 405, 1, "A", instrument=8),
            record("M", 3, 405, 2, "A", instrument=8),
        ]
    )
    loaded = load(data)
    names = [Kind(kind).name for kind in loaded.events["kind"]]
    assert names == ["ADD", "MODIFY", "CANCEL", "ADD", "ADD", "CLEAR", "ADD", "ADD", "CANCEL", "MODIFY"]
    assert loaded.notes == ("3 changes of orders that do not rest were taken as new orders",)
    reference = Reference(symbols=2)
    reference.replay(loaded.events)
    assert not reference.bad and reference.best(0) == (0, 0, 404, 2) and reference.best(1) == (0, 0, 405, 2)


@settings(max_examples=60, deadline=None, suppress_health_check=FINE)
@given(seed=st.integers(0, 2**32))
def test_a_matched_market_is_never_crossed_after_the_last_record_of_an_event(load, seed):
    """A small exchange: an order that crosses trades (T, then F and C or M for each resting one), the rest rests."""
    random, resting, stream, wanted = np.random.default_rng(seed), {}, [], []
    for order_id in range(1, 120):
        event = []
        if resting and random.random() < 0.4:
            known = int(random.choice(list(resting)))
            side, price, size = resting.pop(known)
            event.append(("C", known, price, size, side))
        else:
            side, price, size = random.choice(["A", "B"]), int(random.integers(390, 410)), int(random.integers(1, 9))
            facing = [(p if side == "B" else -p, i) for i, (s, p, _) in resting.items() if s != side]
            for _, known in sorted(facing):
                other, at, left = resting[known]
                if size == 0 or (at > price if side == "B" else at < price):
                    break
                filled = min(size, left)
                event += [("T", 0, at, filled, side), ("F", known, at, filled, other)]
                if left == filled:
                    del resting[known]
                    event.append(("C", known, at, filled, other))
                else:
                    resting[known] = (other, at, left - filled)
                    event.append(("M", known, at, left - filled, other))
                size -= filled
            if size:
                resting[order_id] = (side, price, size)
                event.append(("A", order_id, price, size, side))
        for i, (action, known, at, amount, own) in enumerate(event):
            stream.append(record(action, known, at, amount, own, flags=LAST * (i == len(event) - 1)))
            if action != "F":
                wanted.append(i == len(event) - 1)
    loaded = load(header() + b"".join(stream), f"{seed}.dbn")
    scale = loaded.tick_sizes[0] // 2500
    reference = Reference(symbols=1)
    best = reference.replay(loaded.events)
    settled = best[np.array(wanted)]
    both = (settled["bid_ticks"] > 0) & (settled["ask_ticks"] > 0)
    assert np.all(settled["bid_ticks"][both] < settled["ask_ticks"][both])
    assert not reference.bad
    left = {int(known): ("BA"[order.side], order.price, order.size) for known, order in reference.orders.items()}
    assert left == {known: (str(s), p // scale, z) for known, (s, p, z) in resting.items()}


@pytest.mark.parametrize("at_end", [1, 7, 55])
def test_a_cut_file_is_told_by_its_byte(load, at_end):
    data = header() + record("A", 1, 400, 5, "B") * 2
    start = len(data) - 56
    with pytest.raises(InputError, match=rf"at byte {start:,} a record of 56 bytes .* cut after {56 - at_end} bytes"):
        load(data[:-at_end])


def test_damaged_files_are_told(load):
    good = header() + record("A", 1, 400, 5, "B")
    start = len(good) - 56

    def changed(offset, value):
        return good[: start + offset] + bytes([value]) + good[start + offset + 1 :]

    for data, expected in [
        (changed(0, 0), rf"at byte {start} stands a record of 0 bytes"),
        (changed(0, 13) + bytes(8), rf"at byte {start} stands an order record of 52 bytes, expected 56"),
        (changed(38, ord("Z")), rf"at byte {start} stands action 'Z'"),
        (good[: start - 1], "is cut or damaged: its metadata should end"),
        (b"DBN\x03\x00", "is cut or damaged: its metadata"),
        (b"DBN\x09" + good[4:], "metadata of this Databento file are damaged or of a newer version"),
        (good[:8] + b"\xff" * (start - 8), "metadata of this Databento file are damaged|holds no order"),
        (good[:start], "holds no order or trade: give one of schema mbo"),
        (header() + record("N") + record("F", 1, 400, 5, "B"), "holds no order or trade"),
    ]:
        with pytest.raises(InputError, match=expected) as caught:
            load(data)
        assert "\n" not in str(caught.value) and caught.value.exit_code == Exit.USAGE


def test_an_absent_package_is_told(load, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name == "databento_dbn":
            raise ImportError(name)
        return real(name, *rest, **named)

    data = header() + record("A", 1, 400, 5, "B")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"install kernel-workbench\[databento\]"):
        load(data)


@settings(max_examples=300, deadline=None, suppress_health_check=FINE)
@given(data=st.data())
def test_no_bytes_crash_the_parser(data):
    raw = bytearray(header() + record("A", 1, 400, 5, "B") * 3 + record("M", 1, 400, 5, "B") + record("R"))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(3, len(raw)))
        raw[at : at + data.draw(st.integers(0, 60))] = data.draw(st.binary(max_size=8))
    try:
        parsed = databento.parse(np.frombuffer(bytes(raw), np.uint8), "file")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert parsed.events.size > 0 and set(parsed.events["kind"]) <= set(Kind)


def test_the_record_is_laid_out_as_databento_says():
    assert [(name, str(databento.RECORD[name])) for name in databento.RECORD.names] == [
        (name, "uint8" if kind == "S1" else str(np.dtype(kind))) for name, kind in dbn.MBOMsg._dtypes
    ]
    assert databento.RECORD.itemsize == dbn.MBOMsg.size_hint
