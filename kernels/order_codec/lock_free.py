"""Records encoded in place in a ring that threads share: no lock, and no copy between encoder and decoder.

`claim`, `encode` into ``state.ring``, `publish`; `take_next`, `decode` out of ``state.ring``, `release`. Any number of
threads may do either. `replay` claims a batch at a time and is the consumer of its own slots: do not mix it with
`take_next` at the same time.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine import atomics
from kernels.machine import vector as v
from kernels.machine.hints import unlikely
from kernels.order_codec import _ring, _state
from kernels.order_codec._packed import refused_order
from kernels.order_codec._probing import LINES_TOUCHED, WAITS, count_refusals, sum_refusals
from kernels.order_codec._records import decode_event, decode_words, encode_event, put_order_record
from kernels.order_codec._ring import HEAD, SEQUENCE, claim, claim_run, publish, release, take_next, wait_until_free
from kernels.order_codec._words import (
    CUT,
    ORDER_WORDS,
    event_is_good,
    inline,
    order_is_good,
    order_word_5,
    order_word_6,
    two_halves,
    why_event,
    why_order,
)
from kernels.probe import count, start, stop

__all__ = [
    "VARIANT",
    "claim",
    "decode",
    "decode_event",
    "encode",
    "encode_event",
    "publish",
    "release",
    "replay",
    "take_next",
]

SLOT_BYTES = 64


@inline
def encode(
    state, buffer, at, timestamp_ns, market_ns, order_id, old_order_id, price_ticks, size, account, symbol, side,
    order_type, time_in_force, action
):  # fmt: skip
    """Write one order to the slot at ``buffer[at:]``; return where the slot ends, or -1 when it does not fit.

    The fields are those of ORDER and are not checked. The last 8 bytes of the slot, its sequence, stay as they are.
    """
    if at < 0 or buffer.shape[0] - at < SLOT_BYTES:
        return np.int64(-1)
    put_order_record(
        buffer, at, np.uint64(timestamp_ns), np.uint64(market_ns), np.uint64(order_id), np.uint64(old_order_id),
        two_halves(price_ticks, size), order_word_5(account, symbol, side, order_type),
        order_word_6(time_in_force, action)
    )  # fmt: skip
    return np.int64(at + SLOT_BYTES)


@inline
def decode(state, buffer, at, end):
    """Read one order from the slot at ``buffer[at:end]``; return where it ends, and its fields in `encode`'s order.

    When it is refused the first number is ``-1 - Refusal``, counted in ``state.bad[0]``, and the fields mean nothing.
    """
    if unlikely(at < 0 or end > buffer.shape[0] or end - at < SLOT_BYTES):
        return refused_order(state, CUT)
    return decode_words(state, buffer, at, np.uint64(0))


@inline
def write_order(words, word, rows, i):
    """Write row `i` into the slot whose first word is given, but for its sequence."""
    v.store(words, word, v.load(rows, (i, 0), 4))
    v.store(words, word + np.uint64(4), v.load(rows, (i, 4), 2))
    words[word + np.uint64(6)] = rows[i, 6]


@inline
def write_event(words, word, rows, i):
    """Write row `i` into the slot whose first word is given."""
    v.store(words, word, v.load(rows, (i, 0), 4))
    words[word + np.uint64(4)] = rows[i, 4]


@inline
def write_run(state, rows, first, last, position, probe):
    """Encode ``rows[first:last]`` into the slots claimed from `position` on, and publish each."""
    words = state.words
    for i in range(np.uint64(first), np.uint64(last)):
        word = np.uint64((position << 3) & (words.shape[0] - 1))
        # ACQUIRE: the one who had the slot a round ago has read it before it is written
        if unlikely(atomics.load(state.sequences, word + np.uint64(SEQUENCE), atomics.ACQUIRE) != position):
            count(probe, WAITS, wait_until_free(state, position))
        if rows.shape[1] == ORDER_WORDS:
            write_order(words, word, rows, i)
        else:
            write_event(words, word, rows, i)
        # RELEASE: whoever sees the new sequence sees the message
        atomics.store(state.sequences, word + np.uint64(SEQUENCE), position + 1, atomics.RELEASE)
        position += 1


@inline
def read_order(words, word, out, i, bad):
    """Decode the order in the slot whose first word is given into row `i` of `out`."""
    word_4, word_5, word_6 = words[word + np.uint64(4)], words[word + np.uint64(5)], words[word + np.uint64(6)]
    record = v.load(words, word, ORDER_WORDS)
    if unlikely(not order_is_good(word_4, word_5, word_6)):
        bad[why_order(word_4, word_5, word_6)] += 1
        record = v.splat(0, np.uint64, ORDER_WORDS)
    v.store(out, (i, 0), v.insert(record, SEQUENCE, np.uint64(0)))


@inline
def read_event(words, word, out, i, bad):
    """Decode the event in the slot whose first word is given into row `i` of `out`."""
    word_4, record = words[word + np.uint64(4)], v.load(words, word, 4)
    if unlikely(not event_is_good(word_4)):
        bad[why_event(word_4)] += 1
        word_4, record = np.uint64(0), v.splat(0, np.uint64, 4)
    v.store(out, (i, 0), record)
    out[i, 4] = word_4


@inline
def read_run(state, out, first, last, position, bad):
    """Decode the slots from `position` on, which this thread has published, into ``out[first:last]``; release each."""
    words, slots = state.words, state.words.shape[0] // 8
    for i in range(np.uint64(first), np.uint64(last)):
        word = np.uint64((position << 3) & (words.shape[0] - 1))
        # ACQUIRE, as a consumer would: here it is this thread's own store, and the value is known
        turn = atomics.load(state.sequences, word + np.uint64(SEQUENCE), atomics.ACQUIRE)
        if out.shape[1] == ORDER_WORDS:
            read_order(words, word, out, i, bad)
        else:
            read_event(words, word, out, i, bad)
        # RELEASE: it was read before the slot is written again
        atomics.store(state.sequences, word + np.uint64(SEQUENCE), turn + slots - 1, atomics.RELEASE)
        position += 1


@kernel_jit(_nrt=False)
def replay(state, messages, out, begin, probe):
    """Encode ``messages.rows[begin:]`` into the shared ring and decode them into `out`, a batch at a time.

    Returns the end. Several threads may do so on one ring at the same time.
    """
    rows, lane, batch = messages.rows, messages.lane[0], state.batch[0]
    bad = state.bad[lane]
    refused = sum_refusals(bad, probe)
    for first in range(begin, rows.shape[0], batch):
        last = min(first + batch, rows.shape[0])
        stamp = start(probe)
        position = claim_run(state, last - first)
        write_run(state, rows, first, last, position, probe)
        read_run(state, out, first, last, position, bad)
        # RELAXED: keeps `take_next` from looking at slots that were released; what is in them is ordered by sequences
        atomics.add(state.ends, HEAD, last - first, atomics.RELAXED)
        stop(probe, stamp)
        count(probe, LINES_TOUCHED, 2 * (last - first))
    count_refusals(bad, refused, probe)
    return rows.shape[0]


VARIANT = Variant(
    name="lock_free",
    parent="aligned",
    idea="One ring of cache lines for all threads: a batch of slots is claimed by one atomic addition, messages are "
    "encoded in place and published by a store each, so no thread ever waits for a lock or copies a message.",
    allocate=_ring.allocate,
    reset=_ring.reset,
    replay_from=replay,
    export_state=_state.export_state,
    import_state=_ring.import_state,
)
