"""The loops of a run: the thread that feeds the pipeline with messages, and the one that takes the orders out.

One thread does both where it gets both, messages and room for orders: each order is then taken out of the queue as soon
as it is in. In a run that is divided between two threads, the one that gets no room for orders only feeds, and the one
that gets no messages is the gateway: it takes orders out until the feeding thread has ended and the queue is empty.
"""

from __future__ import annotations

import numpy as np

from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.machine.hints import unlikely
from kernels.probe import count, lap, start, stop
from kernels.tick_to_order._book import apply_event, fetch_ahead
from kernels.tick_to_order._decode import next_event
from kernels.tick_to_order._layout import (
    ASK,
    BID,
    EDGE,
    ENDED,
    MESSAGES,
    OPEN,
    PENDING,
    STAMP,
    SYMBOLS,
    THREADS,
    TICKS,
    WRITTEN,
)
from kernels.tick_to_order._pipeline import (
    ANSWER,
    BOOK,
    COUNT_ANSWERED,
    COUNT_ORDERS,
    COUNT_REFUSED,
    COUNT_TICKS,
    COUNT_WAITS,
    DECODE,
    SIGNAL,
    answer,
    crosses,
    hot,
    make_order,
    read_signal,
    receive,
    wait,
)
from kernels.tick_to_order._standin import begin_tapes, end_tapes, tapes_have_room


@hot
def replay(state, events, out, begin, probe):
    """Pass ``events[begin:]`` through the pipeline, orders into `out`; return where the book's room ended, or the end.

    A call that begins at 0 begins `out` anew; one that goes on after the state has grown goes on in `out` too.
    """
    if begin == 0 and out.shape[0] > 0:
        state.gateway[WRITTEN] = 0
    if events.shape[0] == 0:
        if state.settings[THREADS] > 1 and out.shape[0] > 0:
            _take_orders(state, out, probe)
        return 0
    if begin == 0:
        begin_tapes(state, events)
    reached = _feed(state, events, out, begin, probe)
    if reached == events.shape[0]:
        end_tapes(state, events)
    if out.shape[0] == 0:
        # RELEASE: who sees this sees all that went into the queue before.
        atomics.store(state.gate, ENDED, 1, RELEASE)
    return reached


@hot
def _feed(state, events, out, begin, probe):
    """Take the messages from `begin` on; return where the room ended."""
    alone = out.shape[0] > 0
    tally, touch, symbols, edge = state.tally, state.touch, state.settings[SYMBOLS], state.settings[EDGE]
    at = np.int64(begin)
    while at < events.shape[0]:
        if unlikely(not tapes_have_room(state)):
            return at
        began = start(probe)
        decoded, index, behind = next_event(state, events, at)
        if unlikely(index < 0):
            break
        event = decoded[np.uint64(index)]
        symbol = np.int64(event.symbol)
        stamp = lap(probe, DECODE, began)
        fetch_ahead(state.book, events, at)
        done, bid, ask = apply_event(state.book, event, symbols)
        if unlikely(not done):
            state.settings[PENDING] = 1
            return at
        stamp = lap(probe, BOOK, stamp)
        tally[MESSAGES] += 1
        sent = False
        if symbol < symbols:
            row = touch[np.uint64(symbol)]
            if unlikely(row[OPEN] != 0):
                answer(state, symbol, row)
                count(probe, COUNT_ANSWERED, 1)
                stamp = lap(probe, ANSWER, stamp)
            if (bid != row[BID]) | (ask != row[ASK]):
                row[BID], row[ASK] = bid, ask
                if (bid != 0) & (ask != 0) & ((bid & 0x7FFFFFFF) < (ask & 0x7FFFFFFF)):
                    tally[TICKS] += 1
                    count(probe, COUNT_TICKS, 1)
                    twice_mid = (bid & 0x7FFFFFFF) + (ask & 0x7FFFFFFF)
                    stance = crosses(row, twice_mid, read_signal(state, symbol, twice_mid), edge)
                    stamp = lap(probe, SIGNAL, stamp)
                    if unlikely(stance != 0):
                        sent = make_order(state, out, event, symbol, row, stance, began, stamp, alone, probe)
                        count(probe, COUNT_ORDERS if sent else COUNT_REFUSED, 1)
        at = behind
        if alone or not sent:
            stop(probe, began)
    return events.shape[0]


@hot
def _take_orders(state, out, probe):
    """Take orders out of the queue until the feeding thread has ended and nothing is left."""
    turn = 0
    while True:
        # ACQUIRE, and before the queue is looked at: what went in before the end is then seen in the queue.
        ended = atomics.load(state.gate, ENDED, ACQUIRE)
        if receive(state, out, probe):
            stop(probe, state.received.view(np.int64)[STAMP])
            turn = 0
        elif ended != 0:
            break
        else:
            count(probe, COUNT_WAITS, 1)
            wait(turn)
            turn += 1
    # RELAXED: the feeding thread has ended, and whoever starts the next run does so after both have.
    atomics.store(state.gate, ENDED, 0, RELAXED)
