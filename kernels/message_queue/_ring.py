"""The ring that the variants share: its slots, the copy of a record, waiting, and the canonical form of a queue.

A queue has `slots` int64[slots, words] and counts what was put in (the *tail*) and taken out (the *head*), from 0 and
without end: record number n lies in slot ``n % slots``. A state holds two queues, so that a message can go there and
back: what belongs to the second has names that begin with ``back_``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.catalog import Canonical, State
from kernels.machine import vector as v
from kernels.machine.hints import pause
from kernels.machine.memory import aligned
from kernels.machine.sleep import sleep_us
from kernels.message_queue._parts import hot

LINE_WORDS = 8  # of 8 bytes
RECORD_WORDS = 8  # the usual record is one cache line
APART = 16  # words between what two threads write: two lines, as processors prefetch lines in pairs
# Pauses before a thread that waits leaves its core to others. Longer than a nap: else two threads that answer each
# other, once one of them was held up, take turns in sleeping for a long time.
PATIENCE = 8192
SOON = 1  # pauses between two looks where an answer is urgent: a round trip
LATER = 8  # in a stream: every look takes a line from the other core, and more has gathered when it is longer
NAP_US = 20

# int64 words of `control` that every variant counts in: the places of head and tail are the variant's own.
CONTROL_WORDS = 5 * APART


def check(parameters: Mapping[str, int]) -> None:
    """Raise ValueError, with one sentence, for a number of slots or of bytes that no ring can have."""
    slots, size = parameters["slots"], parameters["record_bytes"]
    if slots & (slots - 1):
        raise ValueError(f"message_queue: slots must be a power of two, not {slots}")
    if size % 8:
        raise ValueError(f"message_queue: record_bytes must be a multiple of 8, not {size}")


def new_slots(parameters: Mapping[str, int]) -> np.ndarray:
    """Return the empty slots of one queue, the first at the begin of a cache line."""
    check(parameters)
    return aligned((parameters["slots"], parameters["record_bytes"] // 8), np.int64)


def new_control() -> np.ndarray:
    """Return the indices of one empty queue, on lines of their own."""
    return aligned(CONTROL_WORDS, np.int64, 2 * 64)


@hot
def copy_record(target, to, source, at):
    """Copy the record ``source[at]`` to ``target[to]``: one or two vectors where it is a cache line."""
    words = source.shape[1]
    if words == RECORD_WORDS:
        v.store(target, (to, 0), v.load(source, (at, 0), RECORD_WORDS))
    elif words == 1:
        target[to, 0] = source[at, 0]
    else:
        for word in range(words):
            target[to, word] = source[at, word]


@hot
def wait(turn, pauses):
    """Wait for the `turn`-th time (from 0): some `pauses` at first, then sleep, as the other may need this core.

    Sleeping, not yielding: a thread that yields in bursts is put back ever further (`kernels.machine.sleep`).
    """
    if turn * pauses < PATIENCE:
        for _ in range(pauses):
            pause()
    else:
        sleep_us(NAP_US)


@hot
def copy_run(target, to, source, at, n):
    """Copy `n` records that lie one behind the other in both: whole vectors, and single words for the rest."""
    words = n * source.shape[1]
    whole = words // RECORD_WORDS * RECORD_WORDS
    for word in range(0, whole, RECORD_WORDS):
        v.store(target, (to, word), v.load(source, (at, word), RECORD_WORDS))
    for word in range(whole, words):
        target[to, word] = source[at, word]


@hot
def run_lines(records, n):
    """Return how many cache lines `n` records take that lie one behind the other from the begin of one."""
    return (n * records.shape[1] + LINE_WORDS - 1) // LINE_WORDS


@hot
def lines(records):
    """Return how many cache lines a record takes that begins at one."""
    return (records.shape[1] + LINE_WORDS - 1) // LINE_WORDS


def contents(slots: np.ndarray, head: int, tail: int) -> np.ndarray:
    """Return a copy of the records from number `head` up to `tail`, oldest first."""
    return slots[np.arange(head, tail) % len(slots)]


def check_canonical(canonical: Canonical, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the records on the way there and back. Raises ValueError when they do not fit into such a queue."""
    found: list[np.ndarray] = []
    for name in ("records", "back_records"):
        if name not in canonical:
            raise ValueError(
                f"message_queue: a canonical state has 'records' and 'back_records', and {name!r} is not there"
            )
        records: Any = canonical[name]
        if records.dtype != np.int64 or records.ndim != 2 or records.shape[1] != slots.shape[1]:
            raise ValueError(
                f"message_queue: canonical {name!r} must be int64[n, {slots.shape[1]}], not "
                f"{records.dtype}{list(records.shape)}: build with the same record_bytes"
            )
        if len(records) > len(slots):
            raise ValueError(f"message_queue: {len(records)} records do not fit into {len(slots)} slots")
        found.append(records)
    return found[0], found[1]


class Indices:
    """Reset, export and import of a variant whose `control` counts at two places."""

    def __init__(self, head: int, tail: int):
        self._head, self._tail = head, tail

    def reset(self, state: State) -> None:
        """Empty both queues."""
        state.control[:] = 0
        state.back_control[:] = 0

    def export_state(self, state: State) -> Canonical:
        """Return the records of both queues, oldest first, int64[n, words]."""
        return {
            name: contents(slots, int(control[self._head]), int(control[self._tail]))
            for name, slots, control in (
                ("records", state.slots, state.control),
                ("back_records", state.back_slots, state.back_control),
            )
        }

    def import_state(self, state: State, canonical: Canonical) -> State:
        """Replace the content of both queues. Raises ValueError, changing nothing, when it does not fit."""
        both = check_canonical(canonical, state.slots)
        self.reset(state)
        for records, slots, control in zip(
            both, (state.slots, state.back_slots), (state.control, state.back_control), strict=True
        ):
            slots[: len(records)] = records
            control[self._tail] = len(records)
        return state
