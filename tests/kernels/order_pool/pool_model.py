"""What the tests of the pool share: steps at random, and the functions of a variant as Python sees them."""

import importlib

import numpy as np

import kernels
from kernels.messages import EVENT, Kind
from kernels.order_pool._churn import NOBODY, Churn

KERNEL = kernels.get("order_pool")
OURS = [variant for variant in KERNEL.variants.values() if not variant.peer]


def module_of(variant):
    """Return the module of a variant, with `take`, `give_back`, `read`, `write` and `empty`."""
    return importlib.import_module(f"kernels.order_pool.{variant.name}")


def random_churn(seed, steps, orders):
    """Return steps of orders that come and go at random; each comes and goes at most once, some never go."""
    random = np.random.default_rng(seed)
    gives, takes, live, number = [], [], [], 0
    for _ in range(steps):
        leaving = arriving = NOBODY
        if live and random.random() < 0.6:
            leaving = live.pop(int(random.integers(len(live))))
        if number < orders and random.random() < 0.7:
            arriving, number = number, number + 1
            live.append(arriving)
        gives.append(leaving)
        takes.append(arriving)
    gives, takes = np.array(gives, np.int32), np.array(takes, np.int32)
    gives.flags.writeable = takes.flags.writeable = False
    held = np.full(orders, NOBODY, np.int64)
    return Churn(gives, takes, held, np.array([0, steps]), np.zeros(1, np.int64))


def part(churn, begin, end):
    """Return some of the steps, of the same types."""
    return churn._replace(gives=churn.gives[begin:end], takes=churn.takes[begin:end])


def add(order_id, size=10, **more):
    return {"kind": Kind.ADD, "order_id": order_id, "size": size, **more}


def make_events(rows):
    """Return EVENTs out of dictionaries of fields."""
    events = np.zeros(len(rows), EVENT)
    for i, row in enumerate(rows):
        for name, value in row.items():
            events[name][i] = value
    return events
