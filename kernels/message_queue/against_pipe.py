"""Records to another Python process: the shared-memory queue against JSON lines through a pipe. A program.

    python -m kernels.message_queue.against_pipe [--turns 11]

By turns, a child process sends orders (`kernels.messages.ORDER`) to this one, which adds up one field of each: once as
lines of JSON by the standard library through a pipe, once through a `SharedQueue`, read as views. The time is from the
first record that arrives to the last, for each record; printed are both medians and the ratio of each turn's two, with
its 95 % sign interval. The child's imports, and the making of the records, are not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from kernels.message_queue._pairs import median_and_interval
from kernels.message_queue.shared import SharedQueue
from kernels.messages import ORDER

BY_PIPE, BY_QUEUE = 30_000, 3_000_000  # records of a turn: some tenths of a second each
SLOTS, CHUNK = 4096, 4096
FIELD = str((ORDER.names or ())[0])


def orders(n: int) -> np.ndarray:
    """Return `n` orders with every field filled."""
    records = np.zeros(n, ORDER)
    for i, name in enumerate(ORDER.names or ()):
        records[name] = (np.arange(n) * (i + 1) % 100).astype(records[name].dtype)
    return records


def send_lines() -> None:
    """The child: write orders as lines of JSON to the standard output, one object each."""
    records = orders(CHUNK)
    rows = [dict(zip(ORDER.names or (), row.tolist(), strict=True)) for row in records]
    sys.stdin.readline()
    for i in range(BY_PIPE):
        sys.stdout.write(json.dumps(rows[i % CHUNK], default=str))
        sys.stdout.write("\n")
    sys.stdout.flush()


def send_records(name: str) -> None:
    """The child: push orders into the queue `name`."""
    with SharedQueue.attach(name) as queue:
        records = orders(CHUNK)
        sys.stdin.readline()
        sent = 0
        while sent < BY_QUEUE:
            sent += queue.push(records[: BY_QUEUE - sent], timeout_s=10)
        sys.stdin.readline()  # the reader tells when it has all


def _child(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def _ended(child: subprocess.Popen[str]) -> None:
    if child.wait():
        raise RuntimeError(f"the sending process ended with {child.returncode}")


def by_pipe() -> float:
    """Return the ns a record takes as JSON through a pipe."""
    child = _child("--lines")
    assert child.stdout is not None
    _go(child)
    total = json.loads(child.stdout.readline())[FIELD]
    began = time.perf_counter_ns()
    for line in child.stdout:
        total += json.loads(line)[FIELD]
    elapsed = time.perf_counter_ns() - began
    _ended(child)
    _check(total, BY_PIPE)
    return elapsed / (BY_PIPE - 1)


def by_queue() -> float:
    """Return the ns a record takes through shared memory."""
    name = f"against-pipe-{os.getpid()}"
    with SharedQueue.create(name, ORDER, SLOTS) as queue:
        child = _child("--records", name)
        _go(child)
        with queue.read(most=1, timeout_s=60) as records:
            total = int(records[FIELD].sum())
        began, got = time.perf_counter_ns(), 1
        while got < BY_QUEUE:
            with queue.read(timeout_s=10) as records:
                total += int(records[FIELD].sum())
                got += len(records)
        elapsed = time.perf_counter_ns() - began
        _go(child)
        _ended(child)
    _check(total, BY_QUEUE)
    return elapsed / (BY_QUEUE - 1)


def _check(total: int, count: int) -> None:
    """Raise RuntimeError when the sum of what arrived is not that of what was sent."""
    values = orders(CHUNK)[FIELD].astype(np.int64)
    expected = int(values.sum()) * (count // CHUNK) + int(values[: count % CHUNK].sum())
    if total != expected:
        raise RuntimeError(f"the field {FIELD!r} of what arrived adds up to {total}, of what was sent to {expected}")


def main() -> None:
    """Measure both by turns, or be the child of one measurement."""
    parser = argparse.ArgumentParser(description="Records to another process: shared memory against JSON in a pipe.")
    parser.add_argument("--turns", type=int, default=11, help="how often both are measured; at least 6")
    parser.add_argument("--lines", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--records", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.lines:
        send_lines()
    elif chosen.records:
        send_records(chosen.records)
    else:
        _measure(chosen.turns)


def _measure(turns: int) -> None:
    ways: tuple[Callable[[], float], ...] = (by_pipe, by_queue)
    for way in ways:
        way()  # compiles, or loads what was compiled
    times: dict[Callable[[], float], list[float]] = {way: [] for way in ways}
    for turn in range(turns):
        for way in ways if turn % 2 else ways[::-1]:
            times[way].append(way())
    pipe, queue = (median_and_interval(times[way])[0] for way in ways)
    ratio, low, high = median_and_interval([a / b for a, b in zip(times[by_pipe], times[by_queue], strict=True)])
    print(f"a pipe with JSON: {pipe:,.0f} ns a record; shared memory: {queue:.1f} ns; {turns} turns")
    print(f"shared memory is {ratio:.0f} times as fast ({low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
