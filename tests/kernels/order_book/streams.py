"""The book under test, and event streams for it: hypothesis strategies, and a small reader of LOBSTER files."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

import kernels
from kernels.messages import EVENT, MAX_ORDER_SIZE, MAX_PRICE_TICKS, Kind

BOOK = kernels.get("order_book")
ANY_EVENTS = [name for name in BOOK.variants if name != "peer_hftbacktest"]  # it knows some, and has its own test
OURS = [name for name, variant in BOOK.variants.items() if not variant.peer]
SYMBOLS = 3
FIELDS = ("kind", "symbol", "side", "order_id", "new_order_id", "price_ticks", "size")

near = st.integers(95, 105)
far = st.sampled_from([1, 2, 60, 140, 170, 300, 1000, 5000, MAX_PRICE_TICKS - 1, MAX_PRICE_TICKS])
bad_price = st.sampled_from([-(2**31), -1, 0, MAX_PRICE_TICKS + 1, 2**31 - 1])
prices = st.one_of(near, near, near, far, bad_price)
sizes = st.one_of(
    st.integers(1, 5), st.integers(1, 5), st.sampled_from([-(2**31), -1, 0, 100, MAX_ORDER_SIZE, 2**31 - 1])
)
ids = st.one_of(st.integers(0, 12), st.integers(1, 12), st.sampled_from([2**63, 2**64 - 1, 2**32, 64, 128, 192]))
kinds = st.one_of(
    st.just(int(Kind.ADD)),
    st.just(int(Kind.ADD)),
    st.sampled_from([int(kind) for kind in Kind if kind != Kind.CLEAR]),
    st.sampled_from([0, int(Kind.CLEAR), 11, 255]),
)
symbols = st.one_of(st.integers(0, SYMBOLS - 1), st.integers(0, SYMBOLS - 1), st.sampled_from([SYMBOLS, 65535]))
sides = st.one_of(st.integers(0, 1), st.integers(0, 1), st.sampled_from([2, 255]))
events_of_all_kinds = st.lists(st.tuples(kinds, symbols, sides, ids, ids, prices, sizes), max_size=80).map(
    lambda rows: make(rows)
)


def make(rows):
    """Return the EVENT array of `rows`, each with the values of `FIELDS`."""
    events = np.zeros(len(rows), EVENT)
    for place, name in enumerate(FIELDS):
        events[name] = np.array([row[place] for row in rows], EVENT[name])
    events["timestamp_ns"] = np.arange(len(rows))
    return events


def add(order_id, price, size=1, side=0, symbol=0):
    return (Kind.ADD, symbol, side, order_id, 0, price, size)


def delete(order_id, symbol=0):
    return (Kind.DELETE, symbol, 0, order_id, 0, 0, 0)


def walk(seed, length, symbols=1, step=40, live=60, crossing=True):
    """Return a random stream whose price walks far, jumps, crosses the book, and comes back."""
    random = np.random.default_rng(seed)
    middle, rows, resting, next_id = [20_000] * symbols, [], [], 1
    for _ in range(length):
        symbol = int(random.integers(symbols))
        middle[symbol] += int(random.normal(0, step))
        if random.random() < 0.002:
            middle[symbol] += int(random.integers(-8000, 8000))
        middle[symbol] = max(middle[symbol], 500)
        if len(resting) < live or random.random() < 0.4:
            side = int(random.integers(2))
            away = int(random.exponential(30)) - (20 if crossing else 0)
            price = max(1, middle[symbol] + (away if side else -away))
            rows.append(add(next_id * 977, price, int(random.integers(1, 500)), side, symbol))
            resting.append((next_id * 977, symbol))
            next_id += 1
            continue
        place = int(random.integers(len(resting)))
        order_id, owner = resting[place]
        kind = Kind(int(random.choice([2, 3, 3, 4, 6, 7])))
        rows.append((kind, owner, 0, order_id, next_id * 977, middle[owner], int(random.integers(1, 300))))
        if kind == Kind.REPLACE:
            resting[place] = (next_id * 977, owner)
            next_id += 1
        elif kind == Kind.DELETE:
            resting.pop(place)
    return make(rows)


def data_file(name):
    """Return the path of a file of real market data, or skip the test."""
    folder = os.environ.get("WORKBENCH_DATA")
    path = Path(folder or ".") / name
    if not folder or not path.is_file():
        pytest.skip(f"needs {name} in the folder that WORKBENCH_DATA points to")
    return path


def lobster(path):
    """Return the EVENT array of a LOBSTER message file, plain or gzip; one tick is 100 of its price units."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as stream:
        columns = np.loadtxt(stream, delimiter=",", dtype=str, unpack=True)
    kind, order_id, size, price, direction = (column.astype(np.int64) for column in columns[1:])
    events = np.zeros(len(kind), EVENT)
    seconds = np.char.partition(columns[0], ".")
    events["timestamp_ns"] = seconds[:, 0].astype(np.int64) * 10**9
    events["timestamp_ns"] += np.char.ljust(seconds[:, 2], 9, "0").astype(np.int64)
    ours = np.zeros(8, np.uint8)
    ours[[1, 2, 3, 4, 5, 7]] = [Kind.ADD, Kind.CANCEL, Kind.DELETE, Kind.EXECUTE, Kind.TRADE, Kind.HALT]
    events["kind"] = ours[kind]
    events["order_id"], events["size"], events["price_ticks"] = order_id, size, price // 100
    events["side"] = np.where(direction == 1, 0, 1)
    return events
