"""The kernel's input: which order takes a slot when, and when it gives it back, out of the life of real orders."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from kernels.messages import EVENT, Kind

PATTERNS = ("pairs", "events")  # the choices of the parameter `pattern`
NOBODY = -1
TAKEN, GIVEN = 1, 2  # the bits of the output: a slot was taken; one was given back as it was left
GROUP = 64  # steps that one sample of the probe spans
_WHOLE = 1 << 36  # more than any order's size: what a DELETE takes out


class Churn(NamedTuple):
    """Steps: each gives back the slot of one order and takes one for another, or does only one of the two."""

    gives: np.ndarray  # int32[n]: the order that gives its slot back, or NOBODY
    takes: np.ndarray  # int32[n]: the order that takes a slot, or NOBODY
    held: np.ndarray  # int64[orders]: the slot of each order, written by the replay; threads have orders of their own
    edges: np.ndarray  # int64[threads + 1]: where the steps of each thread begin
    lane: np.ndarray  # int64[1]: which of the threads this is


def lifetimes(events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return when each order of `events` comes and goes, as places in `events`, in the order of coming.

    An order comes with its ADD, or the REPLACE that names it as new; it goes with its DELETE, the REPLACE that takes
    it out, or when what was cancelled and executed reaches its size. One that stays goes at ``len(events)``. Orders
    that are there before the first event are left out, as are ids that come a second time.
    """
    kind, place = events["kind"], np.arange(len(events))
    comes, replaces = np.isin(kind, [Kind.ADD, Kind.REPLACE]), kind == Kind.REPLACE
    less = np.isin(kind, [Kind.CANCEL, Kind.EXECUTE])
    ends = np.isin(kind, [Kind.DELETE, Kind.REPLACE])
    size = events["size"].astype(np.int64)
    order_id = np.concatenate(
        [events["order_id"][ends], np.where(replaces, events["new_order_id"], events["order_id"])[comes],
         events["order_id"][less]]
    )  # fmt: skip
    change = np.concatenate([np.full(ends.sum(), -_WHOLE), np.maximum(size[comes], 1), -np.maximum(size[less], 0)])
    when = np.concatenate([place[ends], place[comes], place[less]])
    order = np.lexsort((when, order_id))  # stable: of one event, the end comes first
    order_id, change, when = order_id[order], change[order], when[order]
    if not len(order_id):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first = np.flatnonzero(np.concatenate([[True], order_id[1:] != order_id[:-1]]))
    group = np.cumsum(np.concatenate([[0], order_id[1:] != order_id[:-1]]))
    total = np.cumsum(change)
    left = total - (total[first] - change[first])[group]
    gone, at = np.unique(group[left <= 0], return_index=True)
    goes = np.full(len(first), len(events))
    goes[gone] = when[left <= 0][at]
    known = change[first] > 0
    came, went = when[first][known], goes[known]
    by_time = np.argsort(came, kind="stable")
    return came[by_time], went[by_time]


def _steps(came: np.ndarray, went: np.ndarray, first: int, pattern: str) -> tuple[np.ndarray, np.ndarray]:
    """Return `gives` and `takes` of orders numbered from `first` on, whose coming and going is given.

    ``events`` makes a step of each coming and each going, in their order. ``pairs`` lets each going wait for the next
    coming and makes one step of both: as of a pool at its high-water mark. In the end all slots are given back.
    """
    leaving = np.argsort(went, kind="stable")
    if pattern == "events":
        when = np.concatenate([went[leaving], came])
        gives = np.concatenate([leaving + first, np.full(len(came), NOBODY)])
        takes = np.concatenate([np.full(len(came), NOBODY), np.arange(first, first + len(came))])
        order = np.argsort(when, kind="stable")  # of one event, the going comes first
        return gives[order], takes[order]
    number = np.arange(1, len(came) + 1)
    gone_before = np.searchsorted(went[leaving], came, side="right")
    # The n-th coming has one going more than the last one, as far as there are any.
    paired = np.minimum(np.minimum.accumulate(gone_before - number) + number, number)
    has = np.diff(np.concatenate([[0], paired])) > 0
    gives = np.full(len(came), NOBODY)
    gives[has] = leaving[: has.sum()] + first
    rest = leaving[has.sum() :] + first
    takes = np.arange(first, first + len(came))
    return np.concatenate([gives, rest]), np.concatenate([takes, np.full(len(rest), NOBODY)])


def most_at_once(gives: np.ndarray, takes: np.ndarray) -> int:
    """Return how many slots the steps need at once: a step gives back before it takes."""
    change = np.stack([-(gives != NOBODY).astype(np.int64), (takes != NOBODY).astype(np.int64)], axis=1).ravel()
    return int(np.cumsum(change).max(initial=0))


def prepare(events: np.ndarray, parameters: Mapping[str, int]) -> Churn:
    """Return the steps of the orders in `events`, a share of the orders for each thread.

    Raises ValueError for an array that is not of `kernels.messages.EVENT` in one dimension.
    """
    if not isinstance(events, np.ndarray) or events.dtype.names != EVENT.names or events.ndim != 1:
        raise ValueError("order_pool: events must be a one-dimensional array of kernels.messages.EVENT")
    came, went = lifetimes(events)
    threads, pattern = parameters["threads"], PATTERNS[parameters["pattern"]]
    cuts = [len(came) * thread // threads for thread in range(threads + 1)]
    shares = [_steps(came[a:b], went[a:b], a, pattern) for a, b in pairwise(cuts)]
    edges = np.cumsum([0, *(len(gives) for gives, _ in shares)])
    gives = np.concatenate([gives for gives, _ in shares]).astype(np.int32)
    takes = np.concatenate([takes for _, takes in shares]).astype(np.int32)
    for array in (gives, takes):
        array.flags.writeable = False
    return Churn(gives, takes, np.full(len(came), NOBODY, np.int64), edges.astype(np.int64), np.zeros(1, np.int64))


def parameters_for(events: np.ndarray) -> dict[str, int]:
    """Return how many slots the orders of `events` need at once, if that is more than the default."""
    came, went = lifetimes(events)
    return {"slots": max(DEFAULT_SLOTS, most_at_once(*_steps(came, went, 0, "events")))}


DEFAULT_SLOTS = 4096


def output(churn: Churn, parameters: Mapping[str, int]) -> np.ndarray:
    """Return the array for what each step did: TAKEN, GIVEN, both or nothing."""
    return np.zeros(len(churn.gives), np.uint8)


def divide(churn: Churn, out: Any, parameters: Mapping[str, int]) -> list[tuple[Churn, Any]]:
    """Return the steps of each thread."""
    return [
        (Churn(churn.gives[a:b], churn.takes[a:b], churn.held, churn.edges, np.array([lane], np.int64)), out[a:b])
        for lane, (a, b) in enumerate(pairwise(churn.edges.tolist()))
    ]


def count_pairs(churn: Churn) -> int:
    """Return how many slots are taken, and given back."""
    return int(np.count_nonzero(churn.takes != NOBODY))
