"""The loops of a run: one thread that puts in and takes out by turns, or one of many that does its part."""

from __future__ import annotations

from kernels.message_queue._parts import (
    BATCHES,
    WAITS,
    dequeue,
    dequeue_some,
    enqueue,
    enqueue_some,
    hot,
    turned,
)
from kernels.message_queue._ring import LATER, SOON, wait
from kernels.message_queue._work import ALONE, ALONE_TRIP, BATCH, CONSUMER, COUNT, ECHO, PRODUCER, ROLE
from kernels.probe import count, start, stop


@hot
def replay(state, work, out, begin, probe, pauses):
    """Do the work from message `begin` on; return the number of messages. See `_work` for the roles."""
    role, total, batch = work.plan[ROLE], work.plan[COUNT], work.plan[BATCH]
    if begin < total:
        if role == ALONE:
            _alone(state, work.records, out, begin, total, min(batch, state.slots.shape[0]), probe, pauses)
        elif role == PRODUCER:
            _produce(state, work.records, begin, total, batch, probe, pauses)
        elif role == CONSUMER:
            _consume(state, out, begin, total, batch, probe, pauses)
        elif role == ECHO:
            _echo(state, out, begin, total, probe, pauses)
        else:
            _call(state, work.records, out, begin, total, role == ALONE_TRIP, probe, pauses)
    return total


@hot
def _alone(state, records, out, begin, total, batch, probe, pauses):
    """Put a batch in and take it out again, until all are through."""
    n = records.shape[0]
    sent = begin
    while sent < total:
        at = sent % n
        end = min(at + batch, n, at + total - sent)
        stamp = start(probe)
        enqueue_some(state, records, at, end, probe, pauses)
        dequeue_some(state, out, at, end, probe, pauses)
        stop(probe, stamp)
        count(probe, BATCHES, 2)
        sent += end - at


@hot
def _produce(state, records, begin, total, batch, probe, pauses):
    """Put the records in, a batch between two looks at the clock, waiting where the queue is full."""
    n = records.shape[0]
    sent = begin
    while sent < total:
        at = sent % n
        end = min(at + batch, n, at + total - sent)
        sent += end - at
        stamp, turn = start(probe), 0
        while True:
            at += enqueue_some(state, records, at, end, probe, pauses)
            if at >= end:
                break
            count(probe, WAITS, 1)
            wait(turn, LATER)
            turn += 1
        stop(probe, stamp)
        count(probe, BATCHES, 1)


@hot
def _consume(state, out, begin, total, batch, probe, pauses):
    """Take as many records out as are this thread's share, waiting where there is none."""
    n = out.shape[0]
    got = begin
    while got < total:
        at = got % n
        end = min(at + batch, n, at + total - got)
        got += end - at
        stamp, turn = start(probe), 0
        while True:
            at += dequeue_some(state, out, at, end, probe, pauses)
            if at >= end:
                break
            count(probe, WAITS, 1)
            wait(turn, LATER)
            turn += 1
        stop(probe, stamp)
        count(probe, BATCHES, 1)


@hot
def _put(state, records, i, probe, pauses):
    """Put ``records[i]`` in, waiting for room."""
    turn = 0
    while not enqueue(state, records, i, probe, pauses):
        count(probe, WAITS, 1)
        wait(turn, SOON)
        turn += 1


@hot
def _get(state, records, i, probe, pauses):
    """Take the next record out, waiting for it."""
    turn = 0
    while not dequeue(state, records, i, probe, pauses):
        count(probe, WAITS, 1)
        wait(turn, SOON)
        turn += 1


@hot
def _call(state, records, out, begin, total, alone, probe, pauses):
    """Send each record, and wait until it is back; `alone`, also send it back."""
    back, n = turned(state), records.shape[0]
    at = begin % n - 1
    for _ in range(begin, total):
        at = at + 1 if at + 1 < n else 0
        stamp = start(probe)
        _put(state, records, at, probe, pauses)
        if alone:
            _get(state, out, at, probe, pauses)
            _put(back, out, at, probe, pauses)
        _get(back, out, at, probe, pauses)
        stop(probe, stamp)


@hot
def _echo(state, scratch, begin, total, probe, pauses):
    """Send back whatever comes, by way of ``scratch[0]``."""
    back = turned(state)
    for _ in range(begin, total):
        _get(state, scratch, 0, probe, pauses)
        _put(back, scratch, 0, probe, pauses)
