"""Fuzz a variant of the book against the reference: ``python book_fuzz.py VARIANT MESSAGES SEED``. Prints the count.

Run with NUMBA_BOUNDSCHECK=1 it first prints IndexError, to prove that the checks are on.
"""

import os
import sys

import numpy as np
import streams

from kernels._jit import kernel_jit
from kernels.messages import BAD_KINDS, EVENT, MAX_ORDER_SIZE, MAX_PRICE_TICKS, Bad, Kind
from kernels.order_book.reference import Reference

PART = 20_000
INVERSE = pow(0x9E3779B97F4A7C15, -1, 2**64)  # times this, small numbers are ids that all begin in slot 0
EDGES = [-(2**31), -1, 0, 1, 2, 63, 64, 4095, 4096, *range(MAX_PRICE_TICKS - 1, MAX_PRICE_TICKS + 2), 2**31 - 1]
SIZES = [-(2**31), -1, 0, 1, MAX_ORDER_SIZE, MAX_ORDER_SIZE + 1, 2**31 - 1]
BUILDS = [(1, 64), (3, 64), (3, 256), (600, 64), (2, 4096)]  # symbols, ticks of the window


@kernel_jit
def beyond(array):
    return array[np.uint64(3)]


def stream(random, symbols, length=PART):
    """Return a stream in which about half of the events are good: few ids, so that most are known or were."""
    events = np.zeros(length, EVENT)
    kinds = [int(kind) for kind in Kind if kind != Kind.CLEAR]
    events["kind"] = random.choice([1, 1, 1, 2, 3, 4, *kinds], length)
    events["symbol"] = random.integers(0, min(symbols, 4), length) * max(symbols // 4, 1) % symbols
    events["side"] = random.integers(0, 2, length)
    numbers = random.integers(0, 300, (2, length)).astype(np.uint64)
    style = random.integers(3)
    if style == 0:
        numbers *= np.uint64(INVERSE)  # all of them collide
    elif style == 1:
        numbers *= np.uint64(2**64 // 300)
    events["order_id"], events["new_order_id"] = numbers
    centre = int(random.choice([1, 40, 20_000, MAX_PRICE_TICKS - 40, MAX_PRICE_TICKS]))
    spread = float(random.choice([3, 60, 3000]))
    prices = centre + np.round(random.normal(0, spread, length)).astype(np.int64)
    events["price_ticks"] = np.clip(prices, -(2**31), 2**31 - 1)
    events["size"] = random.integers(1, 60, length)
    for field, values in (("price_ticks", EDGES), ("size", SIZES), ("symbol", [symbols, 65535]), ("side", [2, 255])):
        odd = random.random(length) < 0.03
        events[field][odd] = random.choice(np.array(values), int(odd.sum()))
    odd = random.random(length) < 0.01
    events["kind"][odd] = random.choice([0, 10, 10, 11, 255], int(odd.sum()))
    noise = random.random(length) < 0.02
    events[noise] = np.frombuffer(random.bytes(int(noise.sum()) * EVENT.itemsize), EVENT)
    return events


def check(variants, random, parts):
    """Replay `parts` streams in the reference and in all `variants`; return how many events were refused."""
    symbols, window_ticks = BUILDS[random.integers(len(BUILDS))]
    reference = Reference(symbols=symbols)
    instances = [one.build(symbols=symbols, orders=8, levels=1, window_ticks=window_ticks) for one in variants]
    done = 0
    for _ in range(parts):
        events = stream(random, symbols)
        done += len(events)
        wanted = reference.replay(events)
        for instance in instances:
            assert np.array_equal(instance.variant.replay(instance, events), wanted), instance.variant.name
    counts = [reference.bad[Bad(kind)] for kind in range(BAD_KINDS)]
    for instance in instances:
        assert instance.state.bad.tolist() == counts, instance.variant.name
        if instance.variant.peer:
            continue
        found, right = instance.export_state(), reference.export_state()
        assert all(np.array_equal(found[name], right[name]) for name in right), instance.variant.name
    total = sum(order.size for order in reference.orders.values())
    assert total == sum(sum(levels.values()) for levels in reference.levels.values())
    return sum(counts)


def check_growth(variants, random):
    """Let books that begin with one order and one level grow through a walk, a clear, and noise of few ids."""
    walk = streams.walk(21, 3000, symbols=2)
    clear = streams.make([(Kind.CLEAR, 1, 0, 0, 0, 0, 0)])
    noise = np.frombuffer(random.bytes(3000 * EVENT.itemsize), EVENT).copy()
    noise["kind"] = random.integers(0, 12, len(noise))
    noise["order_id"] %= np.uint64(40)
    for field, values in (("symbol", 3), ("side", 3), ("price_ticks", 9000), ("size", 50)):
        noise[field] %= values
    reference = Reference(symbols=2)
    instances = [one.build(symbols=2, orders=1, levels=1, window_ticks=64) for one in variants]
    for part in (walk, clear, noise):
        wanted = reference.replay(part)
        for instance in instances:
            assert np.array_equal(instance.variant.replay(instance, part), wanted), instance.variant.name


def main(messages, seed, variants):
    """Fuzz `variants` with about `messages` events; return how many they took."""
    random, done, refused = np.random.default_rng(seed), 0, 0
    check_growth(variants, random)
    while done < messages:
        parts = min(3, -(-(messages - done) // PART))
        refused += check(variants, random, parts)
        done += parts * PART
    assert 0.05 * done < refused < 0.95 * done
    return done


if __name__ == "__main__":
    if os.environ.get("NUMBA_BOUNDSCHECK"):
        try:
            beyond(np.zeros(3))
        except IndexError:
            print("IndexError")
    print(main(int(sys.argv[2]), int(sys.argv[3]), [streams.BOOK.variants[sys.argv[1]]]))
