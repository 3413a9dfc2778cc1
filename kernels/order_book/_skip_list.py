"""Price levels in a concurrent skip list: several threads may change and read levels at the same time, without a lock.

The classic design (T. L. Harris, 2001, for the marked links; K. Fraser, Practical lock-freedom, 2004; M. Herlihy,
N. Shavit, The Art of Multiprocessor Programming, chapter 14). Each row is a list ordered from the best key to the
worst; a node of height `h` is linked in the lists 0 .. h-1, one in four being a level higher. Links are words
``node << 1 | mark``; a marked link never changes again, so that nothing is linked behind a node that goes.

A level is in the book while its total is above 0, and that is decided on the total alone: the thread whose
compare-exchange takes the total to 0 (DEAD) has taken the level out. It marks the node's links from the top down, and
has it unlinked by `locate`; a dead total never changes again. A thread that comes upon a dead node helps. A node may
be linked on upper levels by its inserter while another thread takes it out, so it has two owners until both are done,
and the last one retires it (`_reclaim`).

Slower than the sorted arrays with one thread: each step along the list is a load that depends on the one before, and
each change pins and unpins an epoch. It pays where several threads must write.

The fields that this part uses: those of `_reclaim`, and `rows` int64[1].
"""

from __future__ import annotations

import numpy as np

from kernels.machine import atomics
from kernels.machine.atomics import ACQ_REL, ACQUIRE, RELAXED, RELEASE
from kernels.machine.bits import trailing_zeros
from kernels.machine.stack import stack_empty
from kernels.marked import expect, marked_point, next_random
from kernels.messages import MAX_LEVEL_SIZE
from kernels.order_book import _apply
from kernels.order_book._apply import DONE, LEVEL_FULL, LINES_TOUCHED, NO_ROOM, RETRIES, cold, hot
from kernels.order_book._public import public
from kernels.order_book._reclaim import (
    KEY,
    POISON,
    RANDOM,
    SLOT_SHIFT,
    TOTAL,
    give_back,
    pin,
    relieve,
    retire,
    take_node,
    unpin,
    word_at,
)
from kernels.probe import count

MAX_HEIGHT = 8  # with one node in four a level higher: enough for 65,536 levels of a row
NEXT = 2  # 2 .. 9: the lower links share the key's cache line
OWNERS, HEIGHT = 10, 11
TAIL = 0  # behind the worst level of every row; nodes 1 .. rows are the heads
LAST_KEY = -(2**40)  # below every key
DEAD = 0
ABSENT = 3  # a further answer of `change`: the level does not hold what is to be taken out
OWNER = 0  # the slot of the thread that replays events
READER = 1  # the slot of a reading thread, where no other is named


@hot
def locate(state, row, key, before, after, probe, pauses):
    """Find, on each level, the last node better than `key` and the first that is not; unlink marked nodes on the way.

    Fills `before` and `after`, int64[MAX_HEIGHT]. The caller is pinned.
    """
    while not _locate_once(state.nodes, row, key, before, after, probe, pauses):
        count(probe, RETRIES, 1)


@hot
def _locate_once(nodes, row, key, before, after, probe, pauses):
    """Do as `locate`; False when another thread changed the list under way."""
    last, node = row + 1, TAIL
    count(probe, LINES_TOUCHED, 4)  # head and tail: their upper links are on the second line
    for i in range(MAX_HEIGHT):
        level, above = MAX_HEIGHT - 1 - i, node
        # ACQUIRE, here and at each link below: the node that it leads to is seen as it was when it was linked.
        word = atomics.load(nodes, word_at(last, NEXT + level), ACQUIRE)
        if word & 1:
            return False  # `last` was taken out meanwhile
        node = word >> 1
        while True:
            count(probe, LINES_TOUCHED, np.int64((node != above) & (node != TAIL)))  # `above`: where a level ended
            onward = atomics.load(nodes, word_at(node, NEXT + level), ACQUIRE)
            if onward & 1:
                marked_point(pauses)
                # RELEASE: the node behind, which this thread acquired, is handed on.
                _, done = atomics.compare_exchange(nodes, word_at(last, NEXT + level), node << 1, onward & ~1, RELEASE)
                if not done:
                    return False
                node = onward >> 1
                continue
            found = atomics.load(nodes, word_at(node, KEY), RELAXED)  # RELAXED: written before the node was linked
            expect(pauses, found != POISON)
            if found <= key:
                break
            last = node
            node = onward >> 1
        before[level] = last
        after[level] = node
    return True


@cold
def _mark(nodes, node):
    """Mark all links of a dead node, the lowest one last. Any thread may do so, any number of times."""
    height = atomics.load(nodes, word_at(node, HEIGHT), RELAXED)  # RELAXED: written before the node was linked
    for i in range(height):
        # ACQ_REL: RELEASE hands on the link that is kept; ACQUIRE: the mark comes before this thread's `locate`.
        atomics.or_(nodes, word_at(node, NEXT + height - 1 - i), 1, ACQ_REL)


@cold
def _disown(state, slot, node):
    """Give up one of the two claims on a node; the last one retires it."""
    # ACQ_REL: whoever comes last sees what the other did to the list.
    if atomics.sub(state.nodes, word_at(node, OWNERS), 1, ACQ_REL) == 1:
        retire(state, slot, node)


@hot
def _random_height(state, slot):
    """Return 1 + the number of fours that a random number is a multiple of, at most MAX_HEIGHT."""
    drawn = next_random(state.slots, (slot << SLOT_SHIFT) + RANDOM)
    return 1 + (trailing_zeros(np.int64(drawn >> np.uint64(8)) | (1 << 2 * (MAX_HEIGHT - 1))) >> 1)


@hot
def _insert(state, row, key, total, node, before, after, slot, probe, pauses):
    """Link the free `node` as a new level between what `locate` found; False when that has changed."""
    nodes = state.nodes
    height = _random_height(state, slot)
    count(probe, LINES_TOUCHED, 2)  # both lines of the node
    # RELAXED: nobody sees the node before the exchange below.
    atomics.store(nodes, word_at(node, KEY), key, RELAXED)
    atomics.store(nodes, word_at(node, TOTAL), total, RELAXED)
    atomics.store(nodes, word_at(node, HEIGHT), height, RELAXED)
    atomics.store(nodes, word_at(node, OWNERS), 2 if height > 1 else 1, RELAXED)
    for level in range(height):
        atomics.store(nodes, word_at(node, NEXT + level), after[level] << 1, RELAXED)
    marked_point(pauses)
    # RELEASE: who finds the node sees it whole. From here on it is in the book.
    _, done = atomics.compare_exchange(nodes, word_at(before[0], NEXT), after[0] << 1, node << 1, RELEASE)
    if done and height > 1:
        _raise(state, row, key, node, height, before, after, slot, probe, pauses)
    return done


@cold
def _raise(state, row, key, node, height, before, after, slot, probe, pauses):
    """Link a new node on its upper levels, unless it is taken out meanwhile."""
    nodes = state.nodes
    level = 1
    while level < height:
        own = atomics.load(nodes, word_at(node, NEXT + level), ACQUIRE)  # ACQUIRE: as every link
        if own & 1:
            break
        if own != after[level] << 1:
            # RELEASE: the node behind is handed on. It fails only when the link has been marked.
            _, kept = atomics.compare_exchange(nodes, word_at(node, NEXT + level), own, after[level] << 1, RELEASE)
            if not kept:
                break
        marked_point(pauses)
        # RELEASE: who finds the node here sees it whole.
        _, done = atomics.compare_exchange(
            nodes, word_at(before[level], NEXT + level), after[level] << 1, node << 1, RELEASE
        )
        if done:
            level += 1
            continue
        count(probe, RETRIES, 1)
        locate(state, row, key, before, after, probe, pauses)
        if after[0] != node:
            break
    marked_point(pauses)
    # An addition of nothing, ACQ_REL, instead of a load: either it comes before the exchange that writes DEAD, and that
    # thread's `locate` sees all the links made above, or it comes after, and this thread cleans up itself.
    if atomics.add(nodes, word_at(node, TOTAL), 0, ACQ_REL) == DEAD:
        _mark(nodes, node)
        locate(state, row, key, before, after, probe, pauses)
    _disown(state, slot, node)


@hot
def _add_to(state, row, key, change, node, before, after, slot, probe, pauses):
    """Add `change` to the total of a node that was found; -1 when it is dead."""
    nodes = state.nodes
    total = atomics.load(nodes, word_at(node, TOTAL), RELAXED)  # RELAXED: the exchange checks it
    while total != DEAD:
        expect(pauses, total != POISON)
        new = total + change
        if new > MAX_LEVEL_SIZE:
            return LEVEL_FULL
        if new < 0:
            return ABSENT
        marked_point(pauses)
        # ACQ_REL: who sees this size sees what the thread did before it, and `_raise` relies on it.
        total, done = atomics.compare_exchange(nodes, word_at(node, TOTAL), total, new, ACQ_REL)
        if done:
            if new == DEAD:
                count(probe, LINES_TOUCHED, 1)  # the second line of the node: its height, its owners
                _mark(nodes, node)
                locate(state, row, key, before, after, probe, pauses)
                _disown(state, slot, node)
            return DONE
        count(probe, RETRIES, 1)
    return -1


@public
def change(state, row, key, change, slot, probe, pauses):
    """Add `change` to the size of the level `key`, from any thread that has a `slot` of its own (below SLOTS).

    DONE; or LEVEL_FULL, NO_ROOM or ABSENT (more is taken out than there is) with nothing changed. `pauses` is None, or
    a `_marked.new_pauses`.
    """
    before, after = stack_empty(MAX_HEIGHT, np.int64), stack_empty(MAX_HEIGHT, np.int64)
    node, tried = 0, False
    pin(state, slot)
    while True:
        locate(state, row, key, before, after, probe, pauses)
        found = after[0]
        # RELAXED: written before the node was linked.
        if atomics.load(state.nodes, word_at(found, KEY), RELAXED) == key:
            status = _add_to(state, row, key, change, found, before, after, slot, probe, pauses)
            if status >= 0:
                break
            _mark(state.nodes, found)  # dead: help, so that `locate` unlinks it
            continue
        if change <= 0:
            status = ABSENT if change < 0 else DONE
            break
        if node == 0:
            node = take_node(state)
        if node == 0:
            if tried:
                status = NO_ROOM
                break
            relieve(state, slot)
            tried = True
            continue
        if _insert(state, row, key, change, node, before, after, slot, probe, pauses):
            node, status = 0, DONE
            break
        count(probe, RETRIES, 1)
    unpin(state, slot)
    if node != 0:
        give_back(state, node)
    return status


@hot
def first_level(nodes, row, pauses):
    """Return the best node of `row` that is in the book, and its total; the tail when there is none. Pinned."""
    return next_level(nodes, row + 1, pauses)


@hot
def next_level(nodes, node, pauses):
    """Return the node after `node` that is in the book, and its total; the tail when there is none."""
    while True:
        marked_point(pauses)
        node = atomics.load(nodes, word_at(node, NEXT), ACQUIRE) >> 1  # ACQUIRE: as every link
        if node == TAIL:
            return node, 0
        total = atomics.load(nodes, word_at(node, TOTAL), ACQUIRE)  # ACQUIRE: pairs with the exchange that changed it
        expect(pauses, total != POISON)
        if total != DEAD:
            return node, total


@public
def size_of(state, row, key, slot, probe, pauses):
    """Return the size of the level `key`, 0 when there is none; from any thread that has a `slot` of its own."""
    before, after = stack_empty(MAX_HEIGHT, np.int64), stack_empty(MAX_HEIGHT, np.int64)
    pin(state, slot)
    locate(state, row, key, before, after, probe, pauses)
    size = DEAD
    if atomics.load(state.nodes, word_at(after[0], KEY), RELAXED) == key:  # RELAXED: as in `change`
        marked_point(pauses)
        size = atomics.load(state.nodes, word_at(after[0], TOTAL), ACQUIRE)  # ACQUIRE: as in `next_level`
        expect(pauses, size != POISON)
    unpin(state, slot)
    return size


@cold
def copy_row(nodes, row, prices, sizes, pauses):
    """Write the best levels, best first, until the arrays are full; return how many. The caller is pinned.

    With writers at work each level is right at the moment it is read; together they need not be.
    """
    written = 0
    node, total = first_level(nodes, row, pauses)
    while node != TAIL and written < prices.shape[0]:
        key = atomics.load(nodes, word_at(node, KEY), RELAXED)  # RELAXED: written before the node was linked
        expect(pauses, key != POISON)
        prices[written] = _apply.level_key(key, row)
        sizes[written] = total
        written += 1
        node, total = next_level(nodes, node, pauses)
    return written
