"""The ordinary messages of a feed, in one loop that calls nothing and guesses nothing.

What makes a message of a book slow is not its work, some 150 instructions, but two things. A branch that the processor
guesses wrongly costs as much as half of them: whether the next message adds or deletes cannot be known. And a message
is one long chain of loads, each of which needs the one before (the event, the order's slot, the level, the best), so
that messages take long unless several are under way at once; each needless instruction keeps the next message out of
the processor's window. Against `_apply.apply`, whose result it has for every event:

- What depends on the kind, the side or the level's state is computed and chosen (`hints.choose`), never branched on.
- The place of the next message's order is computed one message ahead: the chain begins with the order's slot.
- Whatever is rare ends the loop: an event that is not ADD, CANCEL, DELETE, EXECUTE or TRADE, one that may be bad, a
  price outside the window, a best level outside it. `_finish` does it, by the code that all variants share. So there is
  no call in the loop, and what it needs stays in registers.

With `published` it also shows the book to readers of other threads (`_published`): each symbol when the next message
is of another one, at the end of the call, and at the latest after `TURN` messages. A reader on another core could not
see more states than that: the line that they share takes as long to come.
It needs the orders of `_entries` and the levels of `_wide_levels`. It does not pay for feeds in which most messages are
rare in this sense, nor for calls with a few messages: the last `AHEAD` of each call go the other way.
"""

from __future__ import annotations

import numpy as np

from kernels.machine import atomics
from kernels.machine.atomics import RELAXED
from kernels.machine.bits import leading_zeros
from kernels.machine.hints import choose, opaque, unlikely
from kernels.machine.prefetch import prefetch_write
from kernels.messages import MAX_LEVEL_SIZE, MAX_ORDER_SIZE, MAX_PRICE_TICKS, Kind
from kernels.order_book._apply import (
    HASH_SHIFT,
    LIMIT,
    LINES_TOUCHED,
    LIVE,
    PROBES,
    SYMBOLS,
    WINDOW_SHIFT,
    WORDS_SCANNED,
    apply,
    cold,
    hot,
    write_best,
)
from kernels.order_book._columns import GOLDEN
from kernels.order_book._entries import NARROW_SYMBOLS, PRICE_AT, PRICE_BITS, ROW_AT, SIZE_BITS
from kernels.order_book._lines import HALVES, LINE_BYTES, WORDS, count_apart, count_begun
from kernels.order_book._published import SYMBOL_SHIFT, publish, show_best
from kernels.order_book._wide_levels import find_best
from kernels.order_book._wide_window import (
    BEST,
    GROUP,
    GROUP_BITS,
    GROUP_SHIFT,
    HOT_SHIFT,
    NEAR,
    NO_GROUP,
    PLACE,
    SUMMARY,
    filled,
)
from kernels.probe import count, start, stop

# Everything is unsigned: Numba looks at each signed index for being negative, and makes a float of a mixed pair.
U = np.uint64
ZERO, ONE, TWO = U(0), U(1), U(2)
ADD, EXECUTE, TRADE = U(Kind.ADD), U(Kind.EXECUTE), U(Kind.TRADE)
AHEAD = U(16)  # messages: far enough for a line to come from memory, near enough that it is still in L1 at its turn
# Messages of one symbol between two states that readers are shown: they take no longer than the line to them and back.
TURN = U(16)
EARLIER = U(5)  # messages: so long before, the line is asked back from a reader that may have it
LINES = U(SYMBOL_SHIFT)
SIZE_WIDTH, PRICE_WIDTH, PRICE_SHIFT, ROW_SHIFT = U(SIZE_BITS), U(PRICE_BITS), U(PRICE_AT), U(ROW_AT)
SIZE_MASK, PRICE_MASK, SYMBOL_MASK = U(MAX_ORDER_SIZE), U(MAX_PRICE_TICKS), U(NARROW_SYMBOLS - 1)
HIGH_SHIFT = U((NARROW_SYMBOLS - 1).bit_length())
HOT, GROUP_OF, BIT_OF, NEAR_OF = U(HOT_SHIFT), U(GROUP_SHIFT), U((1 << GROUP_SHIFT) - 1), U((1 << GROUP_BITS) - 1)
BASE_SHIFT, OTHER_SIDE = U(GROUP_BITS), U(1 << HOT_SHIFT)
NO_NEAR = U(NO_GROUP)
AT_PLACE, AT_SUMMARY, AT_NEAR, AT_BEST = U(PLACE), U(SUMMARY), U(NEAR), U(BEST)

NO_ROW = -1


@hot
def slot_of(order_id, hash_shift):
    """Return where the entry lies at which the search for an id begins."""
    return ((order_id * GOLDEN) >> hash_shift) << ONE


@hot
def go_on(entry, at, order_id, probe):
    """Return where the entry of an id lies that is not at `at`, or the empty entry that ends the search."""
    mask = U(entry.shape[0]) - TWO
    while (entry[at] != order_id) & (entry[at] != ZERO):
        at = (at + TWO) & mask
        count(probe, PROBES, 1)
        count_begun(probe, at, WORDS)
    return at


@hot
def close_gap(entry, high, gap, hash_shift, probe):
    """Move up the orders behind the entry `gap`, which is empty, that may stand nearer to their home."""
    mask = U(entry.shape[0]) - TWO
    at = (gap + TWO) & mask
    while entry[at] != ZERO:
        count(probe, PROBES, 1)
        if ((at - slot_of(entry[at], hash_shift)) & mask) >= ((at - gap) & mask):
            entry[gap], entry[gap + ONE] = entry[at], entry[at + ONE]
            if high is not None:
                high[gap >> ONE] = high[at >> ONE]
                count_apart(probe, at, gap, 2 * LINE_BYTES, 1)
            gap = at
        at = (at + TWO) & mask
        count_begun(probe, at, WORDS)
    entry[gap], entry[gap + ONE] = ZERO, ZERO


@hot
def new_word(event, symbol):
    """Return the word of an order that `event` adds, and 0 if all fields are in range but price and size may be 0."""
    size, price, side = U(np.uint32(event.size)), U(np.uint32(event.price_ticks)), U(event.side)
    word = size | (price << PRICE_SHIFT) | ((((symbol & SYMBOL_MASK) << ONE) | side) << ROW_SHIFT)
    return word, (size >> SIZE_WIDTH) | (price >> PRICE_WIDTH) | (side >> ONE) | U(event.order_id == ZERO)


@hot
def write(out, i, bid, ask):
    """Write best bid and offer, each as ``size << 32 | price``."""
    row = out[i]
    row.bid_ticks, row.bid_size = np.int32(bid), np.int32(bid >> 32)
    row.ask_ticks, row.ask_size = np.int32(ask), np.int32(ask >> 32)


@hot
def highest_group(near_row, totals, row_at, first, probe):
    """Return the highest group of a window that holds a level, and its word; any group and 0 if there is none."""
    summary = U(near_row[row_at + AT_SUMMARY])
    group, word = ZERO, ZERO
    while (summary != ZERO) & (word == ZERO):
        group = U(63) - U(leading_zeros(np.int64(summary)))
        word = U(filled(totals, first + (group << GROUP_OF)))
        count(probe, LINES_TOUCHED, GROUP // HALVES)
        summary &= ~(U(word == ZERO) << group)
    near_row[row_at + AT_SUMMARY] = np.int64(summary)
    return group, word


@hot
def store_rest(entry, high, at, order_id, rest, symbol, hash_shift, probe):
    """Write `rest`, the word that an order has now, into its entry; return whether nothing is left of the order."""
    left = rest & SIZE_MASK
    entry[at] = choose(left != ZERO, order_id, ZERO)
    entry[at + ONE] = rest
    if high is not None:
        high[at >> ONE] = symbol >> HIGH_SHIFT
        count(probe, LINES_TOUCHED, 1)
    behind = entry[(at + TWO) & (U(entry.shape[0]) - TWO)]
    count_begun(probe, at + TWO, WORDS)
    if unlikely((behind & U(opaque((np.int64(left) - 1) >> 63))) != ZERO):
        close_gap(entry, high, at, hash_shift, probe)
    return left == ZERO


@hot
def near_group(near_row, totals, row_at, first, index, total, probe):
    """Return the near group and its word, now that the level at `index` has that `total`; a word 0 for not known."""
    place = U(near_row[row_at + AT_PLACE])
    group, near, bit = index >> GROUP_OF, place & NEAR_OF, index & BIT_OF
    near_row[row_at + AT_SUMMARY] = np.int64(U(near_row[row_at + AT_SUMMARY]) | (ONE << group))
    word = U(near_row[row_at + AT_NEAR]) & ~(U(group == near) << bit)
    word |= U((group == near) & (total != 0)) << bit
    if unlikely((group > near) | (word == ZERO)):
        word = ZERO
        if near != NO_NEAR:
            near, word = highest_group(near_row, totals, row_at, first, probe)
        if word != ZERO:
            near_row[row_at + AT_PLACE] = np.int64((place & ~NEAR_OF) | near)
            count(probe, WORDS_SCANNED, 1)
    return near, word


@hot
def show(published, near_row, symbol):
    """Show readers the best bid and offer of `symbol` as they are now."""
    both = symbol << (HOT + ONE)
    show_best(published, symbol, near_row[both + AT_BEST], near_row[both + OTHER_SIDE + AT_BEST], None)


@hot
def replay(state, published, events, out, begin, probe):
    """Apply ``events[begin:]``, write the best bid and offer after each into `out`; return where the room ended.

    `published` is the array of that name, or None where nobody reads (then no code is left of it).
    """
    i, wide = U(begin), state.order_high.shape[0] > 1
    while i < U(events.shape[0]):
        if wide:
            i, row, stamp = run(state, state.order_high, published, events, out, i, probe)
        else:
            i, row, stamp = run(state, None, published, events, out, i, probe)
        if not _finish(state, published, events, out, np.int64(i), row, probe):
            break
        stop(probe, stamp)
        i += ONE
    return np.int64(i)


@cold
def _finish(state, published, events, out, i, row, probe):
    """Do what `run` has left of ``events[i]``; False when the state has no room for it."""
    event = events[i]
    if row != NO_ROW:
        find_best(state, row, probe)
    elif not apply(state, event, probe):
        return False
    write_best(state, event, out, i, probe)
    if published is not None and event.symbol < state.control[SYMBOLS]:
        # The line of the best, and the depth's lines if they are written.
        count(probe, LINES_TOUCHED, 1 + np.int64(state.touched[0] != 0) + (state.touched[0] >> 1))
        publish(state, np.int64(event.symbol), None)
    return True


@hot
def run(state, high, published, events, out, i, probe):
    """Apply ``events[i:]`` as far as they are ordinary, writing the best bid and offer after each into `out`.

    `high` is the column of the symbols' high bits, None for a book that has none (then no code is left of it).

    Returns ``(i, row, stamp)``: which event is not finished; `row`: NO_ROW when nothing of it is done, else the row
    whose best is to be found anew, the rest being done; and the probe's stamp of its start.
    """
    control, entry, near_row, totals = state.control, state.order_entry, state.row_hot, state.window_total
    hash_shift, window_shift, symbols = U(control[HASH_SHIFT]), U(control[WINDOW_SHIFT]), U(control[SYMBOLS])
    live, n = control[LIVE], U(events.shape[0])
    # The table may take a few orders more than its limit, or nearly full it would leave the loop with each of them.
    end = min(n - min(n, AHEAD), i + U(max(control[LIMIT] + np.int64(AHEAD) - live, 0)))
    next_slot = slot_of(events[min(i, n - ONE)].order_id, hash_shift)
    unfinished, stamp = np.int64(NO_ROW), start(probe)
    shown, due = ZERO, i + TURN
    while i < end:
        stamp = start(probe)
        event = events[i]
        at, next_slot = next_slot, slot_of(events[i + ONE].order_id, hash_shift)
        prefetch_write(entry, slot_of(events[i + AHEAD].order_id, hash_shift))
        kind, symbol = U(event.kind), U(event.symbol)
        if unlikely(symbol >= symbols):
            break
        if published is not None and ((symbol != shown) | (i >= due)):
            show(published, near_row, shown)
            count(probe, LINES_TOUCHED, 1)
            shown, due = symbol, i + TURN
        if published is not None and i == due - EARLIER:
            prefetch_write(published, shown << LINES)
        if unlikely(kind - ADD > EXECUTE - ADD):
            if kind != TRADE:
                break
            both = symbol << (HOT + ONE)
            count(probe, LINES_TOUCHED, 1)
            write(out, i, near_row[both + AT_BEST], near_row[both + OTHER_SIDE + AT_BEST])
        else:
            order_id, adding = event.order_id, kind == ADD
            if unlikely(entry[at] != choose(adding, ZERO, order_id)):
                at = go_on(entry, at, order_id, probe)
                if adding & (entry[at] != ZERO):
                    break
            fresh, wrong = new_word(event, symbol)
            word = choose(adding, fresh, entry[at + ONE])
            held, row = word & SIZE_MASK, word >> ROW_SHIFT
            # DELETE and ADD go by all that the word holds; their kinds are the odd ones.
            amount = choose((kind & ONE) != ZERO, held, U(np.uint32(event.size)))
            if unlikely(amount - ONE >= held):
                break
            if unlikely((choose(adding, wrong, ZERO) | ((row >> ONE) ^ (symbol & SYMBOL_MASK))) != ZERO):
                break
            if high is not None:
                if not adding and U(high[at >> ONE]) != symbol >> HIGH_SHIFT:
                    break
                row = (symbol << ONE) | (row & ONE)

            row_at, mirror = row << HOT, -np.int64(row & ONE)
            place = near_row[row_at + AT_PLACE]
            price = np.int64((word >> PRICE_SHIFT) & PRICE_MASK)
            key = price ^ mirror
            # RELAXED: as in `_published.touch`. A change that shows in the depth goes the other way.
            if published is not None and unlikely(key >= atomics.load(state.depth_floor, row, RELAXED)):
                break
            index = U(key - (place >> np.int64(BASE_SHIFT)))
            if unlikely((index >> window_shift != ZERO) | (price == 0)):
                break
            first = row << window_shift
            total = np.int64(totals[first + index]) + np.int64(choose(adding, amount, ZERO - amount))
            if unlikely(total > MAX_LEVEL_SIZE):
                break
            totals[first + index] = total

            gone = store_rest(entry, high, at, order_id, word - choose(adding, ZERO, amount), symbol, hash_shift, probe)
            live += np.int64(adding) - np.int64(gone)
            count(probe, LINES_TOUCHED, 2)  # the entry, the level's total
            count(probe, PROBES, 1)  # here, because an event that leaves the loop is searched for again
            if published is not None:
                count(probe, LINES_TOUCHED, 1)  # the floor

            near, word_near = near_group(near_row, totals, row_at, first, index, total, probe)
            if unlikely(word_near == ZERO):
                unfinished = np.int64(row)
                break
            near_row[row_at + AT_NEAR] = np.int64(word_near)
            best = (near << GROUP_OF) + (U(63) - U(leading_zeros(np.int64(word_near))))
            best_key = (place >> np.int64(BASE_SHIFT)) + np.int64(best)
            near_row[row_at + AT_BEST] = (np.int64(totals[first + best]) << 32) | (best_key ^ mirror)
            both = symbol << (HOT + ONE)
            count(probe, LINES_TOUCHED, 1)  # the row
            # The best's total, which `highest_group` has counted where it came to another group.
            count_apart(probe, best, index, HALVES, near == U(place) & NEAR_OF)
            write(out, i, near_row[both + AT_BEST], near_row[both + OTHER_SIDE + AT_BEST])
        stop(probe, stamp)
        i += ONE
    if published is not None:
        show(published, near_row, shown)
        count(probe, LINES_TOUCHED, 1)
    control[LIVE] = live
    return i, unfinished, stamp
