"""The kernel under test, streams that make it send orders, and the comparison with its reference."""

import numpy as np
import streams

import kernels
from kernels.messages import Kind
from kernels.tick_to_order._layout import CHECKSUM, TALLY_NAMES, WAITS
from kernels.tick_to_order.reference import Reference, checksum

TICK = kernels.get("tick_to_order")
EAGER = {"window": 2, "edge": 0, "window_ticks": 64, "orders": 4, "levels": 1, "collar": 1023, "interval_ns": 1}
"""Any move of the mid price makes an order, and the book grows again and again."""
STRICT = {"position_limit": 300, "order_limit": 2, "burst": 3, "interval_ns": 40, "accounts": 2, "collar": 40}
"""Limits that some orders of the random streams break."""
SPEED_ONLY = ("waits", "faults", "unread")  # what the reference does not count


def market(seed, length, symbols=3):
    """Return a random stream of orders that come before or behind the best and go again, never crossing; with halts."""
    random, rows, resting = np.random.default_rng(seed), [], [{} for _ in range(symbols)]
    for number in range(1, length + 1):
        symbol = int(random.integers(symbols))
        orders = resting[symbol]
        bids = [price for side, price in orders.values() if side == 0]
        asks = [price for side, price in orders.values() if side == 1]
        if len(orders) < 6 or random.random() < 0.5:
            side = int(random.integers(2)) if bids and asks else int(bool(bids))
            away = int(random.integers(-3, 8))  # from the own best, before or behind it
            price = min(max(bids, default=1000) - away, min(asks, default=5000) - 1)
            if side:
                price = max(min(asks, default=1005) + away, max(bids, default=0) + 1)
            rows.append(streams.add(number, price, int(random.integers(1, 200)), side, symbol))
            orders[number] = side, price
        else:
            side = int(random.integers(2))
            mine = [known for known, (of, _) in orders.items() if of == side] or list(orders)
            chosen = mine[int(random.integers(len(mine)))]
            if random.random() < 0.7:  # the best of its side, so that the market moves
                chosen = max(mine, key=lambda known: orders[known][1] * (1 if orders[known][0] == 0 else -1))
            orders.pop(chosen)
            rows.append(streams.delete(chosen, symbol))
    for at in random.choice(length - 60, 3, replace=False):
        rows[at] = (Kind.HALT, rows[at][1], 0, 0, 0, 0, 0)
        rows[at + 60] = (Kind.RESUME, rows[at][1], 0, 0, 0, 0, 0)
    events = streams.make(rows)
    events["timestamp_ns"] = np.arange(length) * 10
    return events


def tally_of(instance):
    """Return what the pipeline counted, by name."""
    return dict(zip(TALLY_NAMES, instance.state.tally.tolist(), strict=False))


def assert_equal(variant, events, **parameters):
    """Replay `events` in both and compare orders, counts, checksum and exported states; return both."""
    instance = variant.build(**parameters)
    reference = Reference(**instance.parameters)
    wanted = reference.replay(events)
    found = variant.replay(instance, events)
    different = np.flatnonzero(found[: len(wanted)] != wanted[: len(found)])
    assert not len(different), f"order {different[0]}: {found[different[0]]} is not {wanted[different[0]]}"
    sent = len(reference.orders)
    assert not found[sent:]["order_id"].any()
    assert_same_state(instance, reference)
    assert instance.state.gateway[CHECKSUM] == checksum(np.ascontiguousarray(wanted[:sent]))
    return instance, reference


def assert_same_state(instance, reference):
    """Compare the counts of the pipeline and the canonical states of the parts that the reference has."""
    tally = tally_of(instance)
    assert {name: tally[name] for name in tally if name not in SPEED_ONLY} == {
        name: reference.tally[name] for name in tally if name not in SPEED_ONLY
    }
    assert instance.state.tally[WAITS] == 0 or instance.parameters["threads"] == 2
    exported = instance.export_state()
    for name, array in reference.export_state().items():
        if array.dtype == np.float64:
            np.testing.assert_allclose(exported[name], array, rtol=1e-12, atol=0, err_msg=name)
        else:
            assert np.array_equal(exported[name], array), name
