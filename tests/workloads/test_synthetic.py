"""The synthetic market: always valid, the same everywhere, and like the real hour within stated tolerances."""

from bisect import insort
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.messages import EVENT, Kind
from workbench import workloads
from workbench.errors import InputError
from workbench.workloads.calibration import ORDER_SIZE, TRADE_SIZE

REMOVING = (Kind.CANCEL, Kind.DELETE, Kind.EXECUTE)


def as_lobster_tells_it(events):
    """Return `events` with each REPLACE split into a DELETE and an ADD at the same time, as LOBSTER splits it."""
    at = np.flatnonzero(events["kind"] == Kind.REPLACE)
    split = np.insert(events, at + 1, events[at]).astype(EVENT)
    first = at + np.arange(at.size)
    split["kind"][first], split["kind"][first + 1] = Kind.DELETE, Kind.ADD
    split["order_id"][first + 1] = events["new_order_id"][at]
    return split


class Book:
    """One symbol's book in plain Python, which refuses what a valid stream must not hold."""

    def __init__(self, strict):
        self.strict = strict
        self.orders = {}
        self.levels = (Counter(), Counter())
        self.prices = ([], [])  # sorted
        self.born = []  # time and distance of each addition, by id
        self.distances, self.deleted_ages_s, self.spreads, self.full = [], [], [], []

    def touch(self, side):
        return (self.prices[side][-1] if side == 0 else self.prices[side][0]) if self.prices[side] else None

    def apply(self, event):
        kind, order, side = event["kind"], event["order_id"], event["side"]
        if kind == Kind.ADD:
            self.add(event, order, side)
        elif kind in REMOVING and (self.strict or order in self.orders):
            self.reduce(event, kind, order)
        elif kind == Kind.TRADE and self.strict:
            assert order == 0 and self.touch(0) <= event["price_ticks"] <= self.touch(1) and event["size"] > 0
        if self.prices[0] and self.prices[1]:
            self.spreads.append(self.touch(1) - self.touch(0))

    def add(self, event, order, side):
        price, own, other = event["price_ticks"], self.touch(side), self.touch(1 - side)
        if self.strict:
            assert order > 0 and order not in self.orders and price > 0 and event["size"] > 0
            assert other is None or (price < other if side == 0 else price > other), "crosses the other side"
        if own is not None:
            self.distances.append(own - price if side == 0 else price - own)
        self.orders[order] = [side, price, event["size"], event["timestamp_ns"]]
        if not self.levels[side][price]:
            insort(self.prices[side], price)
        self.levels[side][price] += event["size"]

    def reduce(self, event, kind, order):
        side, price, left, born = self.orders[order]
        taken = left if kind == Kind.DELETE else event["size"]
        assert 0 < taken <= left
        if self.strict:
            replaced = event["new_order_id"] != 0  # its price is the new order's
            assert event["side"] == side and (replaced or event["price_ticks"] == price)
            assert kind != Kind.EXECUTE or price == self.touch(side)
        if kind == Kind.EXECUTE:
            self.full.append(taken == left)
        elif kind == Kind.DELETE:
            self.deleted_ages_s.append((event["timestamp_ns"] - born) / 1e9)
        self.orders[order][2] -= taken
        self.levels[side][price] -= taken
        if not self.levels[side][price]:
            self.prices[side].remove(price)
        if taken == left:
            del self.orders[order]


def replayed(events, symbol=0, strict=True):
    book = Book(strict)
    own = as_lobster_tells_it(events)
    own = own[own["symbol"] == symbol]
    for values in own.tolist():
        book.apply(dict(zip(EVENT.names, values, strict=True)))
    return book


def counts_dispersion(times, window_s):
    counts = np.bincount(((times - times[0]) // int(window_s * 1e9)).astype(np.int64))
    return counts.var() / counts.mean()


@settings(max_examples=25, deadline=None)
@given(symbols=st.integers(1, 5), events=st.integers(5, 1500), seed=st.integers(0, 2**63))
def test_every_stream_is_valid(symbols, events, seed):
    made = workloads.synthetic(symbols, events, seed).events
    assert made.size == events and made.dtype == EVENT
    assert np.all(np.diff(made["timestamp_ns"]) >= 0)
    assert sorted(set(made["symbol"].tolist())) == list(range(symbols))
    for symbol in range(symbols):
        replayed(made, symbol)
    ids = np.concatenate([made["order_id"][made["kind"] == Kind.ADD], made["new_order_id"][made["new_order_id"] > 0]])
    assert np.unique(ids).size == ids.size


def test_the_same_seed_gives_the_same_market_on_every_machine():
    known = "8e4d6b4645cac7db3850e460176da1f16a22eaf97183bc0ff005a87348d95698"
    assert workloads.synthetic(3, 5000, seed=7).workload.sha256 == known
    assert workloads.synthetic(3, 5000, seed=8).workload.sha256 != known


def test_activity_falls_with_the_rank_and_all_symbols_last_as_long():
    events = workloads.synthetic(16, 100_000, seed=3).events
    counts = np.bincount(events["symbol"])
    assert np.allclose(counts[0] / counts, np.arange(1, 17), rtol=0.02)
    last = [events["timestamp_ns"][events["symbol"] == symbol][-1] for symbol in range(16)]
    span = events["timestamp_ns"][-1] - events["timestamp_ns"][0]
    assert np.all((np.array(last) - events["timestamp_ns"][0]) > 0.9 * span)


def test_a_long_stream_keeps_its_book_bounded():
    events = workloads.synthetic(1, 400_000, seed=2).events
    kinds = events["kind"]
    adds = np.cumsum(kinds == Kind.ADD)
    gone = np.cumsum(kinds == Kind.DELETE)
    assert (adds - gone)[-1] < 400_000 * 0.05  # what is left of additions and deletions is executed
    assert len(replayed(events[:100_000]).orders) < 600
    prices = events["price_ticks"][kinds == Kind.EXECUTE]
    assert prices.min() > 50_000 and prices.max() < 67_000


def test_numbers_that_cannot_be_are_told():
    for symbols, events in ((0, 10), (2, 1), (1 << 17, 1 << 20), (1, 1 << 31)):
        with pytest.raises(InputError, match=r"synthetic market: (symbols|events) must lie in"):
            workloads.synthetic(symbols, events)


@pytest.mark.data
def test_it_is_like_the_real_hour(real_data, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(real_data))
    real = workloads.named("aapl").events
    made = as_lobster_tells_it(workloads.synthetic(1, real.size, seed=1).events)
    kinds_real, kinds_made = np.bincount(real["kind"], minlength=6) / real.size, np.bincount(made["kind"]) / made.size
    assert np.allclose(kinds_made[1:6], kinds_real[1:6], atol=0.01), "shares of the kinds, within 1 point"

    times_real, times_made = real["timestamp_ns"], made["timestamp_ns"]
    gaps_real, gaps_made = np.diff(times_real), np.diff(times_made)
    assert abs(gaps_made.mean() / gaps_real.mean() - 1) < 0.1
    assert abs((gaps_made == 0).mean() - (gaps_real == 0).mean()) < 0.02
    for share in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99):
        ratio = np.quantile(gaps_made, share) / np.quantile(gaps_real, share)
        assert 0.5 < ratio < 2, f"gap quantile {share}, within a factor of 2, over five orders of magnitude: {ratio}"
    assert 2.5 < gaps_made.std() / gaps_made.mean() < 4.5, "3.4 in the hour; 1 would be a Poisson process"
    for window_s, factor in ((0.01, 1.3), (0.1, 1.3), (1, 1.6), (10, 2.5)):
        ratio = counts_dispersion(times_made, window_s) / counts_dispersion(times_real, window_s)
        assert 1 / factor < ratio < factor, f"variance over mean of the counts in {window_s} s: {ratio}"

    book_real, book_made = replayed(real, strict=False), replayed(made)
    for share, allowed in ((0.05, 3), (0.25, 2), (0.5, 3), (0.75, 6), (0.9, 20), (0.95, 30)):
        a, b = np.quantile(book_real.distances, share), np.quantile(book_made.distances, share)
        assert abs(a - b) <= allowed, f"distance from the touch, quantile {share}: {a} and {b} ticks"
    assert abs(np.mean(np.array(book_made.distances) < 0) - np.mean(np.array(book_real.distances) < 0)) < 0.04
    for share in (0.2, 0.3, 0.5, 0.7, 0.9, 0.95):
        ratio = np.quantile(book_made.deleted_ages_s, share) / np.quantile(book_real.deleted_ages_s, share)
        assert 1 / 2.5 < ratio < 2.5, f"lifetime of deleted orders, quantile {share}: {ratio}"
    assert 0.6 < np.median(book_made.spreads) / np.median(book_real.spreads) < 1.4
    assert abs(np.mean(book_made.full) - np.mean(book_real.full)) < 0.03

    for kind, table in ((Kind.ADD, ORDER_SIZE), (Kind.TRADE, TRADE_SIZE)):
        sizes_real, sizes_made = real["size"][real["kind"] == kind], made["size"][made["kind"] == kind]
        grid = np.unique(table)
        distance = np.abs(
            np.searchsorted(np.sort(sizes_real), grid, "right") / sizes_real.size
            - np.searchsorted(np.sort(sizes_made), grid, "right") / sizes_made.size
        ).max()
        assert distance < 0.05, f"sizes of {kind.name}: Kolmogorov-Smirnov distance {distance}"
