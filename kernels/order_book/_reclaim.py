"""Nodes of a lock-free structure given back and used again, without pulling one from under a thread that is on it.

A node that was unlinked may still be under the eyes of a thread that came upon it before. Epochs tell when that is over
(K. Fraser, Practical lock-freedom, 2004, section 5.2.3): a thread that works on the structure *pins* itself, which
announces the epoch it saw; the epoch advances only when every pinned thread has announced the present one; and a node
retired in epoch `e` is free once the epoch has reached `e + 2`, because whoever is pinned then came after it had been
unlinked. A thread that stays pinned stops all reuse, so nothing that may sleep is done while pinned.

Free nodes form a stack (R. K. Treiber, 1986) that all threads share. Its top carries a count of changes, so that a node
that went and came back meanwhile (ABA) is noticed.

The fields that this part uses: `nodes` int64[16 * n] (see `_skip_list`), `epoch` int64[16] (the epoch, and on a line of
its own the top of the free stack), `slots` int64[16 * SLOTS] (for each thread two lines: one that others read, one that
they do not).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.machine import atomics
from kernels.machine.atomics import ACQ_REL, ACQUIRE, RELAXED, RELEASE, SEQ_CST
from kernels.machine.memory import aligned
from kernels.machine.sleep import sleep_us
from kernels.order_book._apply import cold, hot
from kernels.order_book._public import public

SLOTS = 8  # threads that may work on the structure at a time
EPOCH, FREE = 0, 8  # in `epoch`
ANNOUNCED, RANDOM, RETIRED, BAG, STAMP = 0, 8, 9, 10, 13  # in a slot; three bags and their stamps
SLOT_SHIFT = 4
BAGS = 3
TRY_EVERY = 32  # retired nodes between two tries to advance the epoch: a try reads a line of every thread

NODE_SHIFT = 4  # 16 words, two lines
KEY, TOTAL = 0, 1
LINK = 12  # the next of a bag, or of the free stack; not what threads that traverse the structure follow
POISON = -(2**41)  # the key and the total of a free node: no thread may ever see it
SPARE = 4 * TRY_EVERY  # nodes that one writer has retired and not yet freed, with readers that go on
NAP_US = 20
PATIENCE = 1 << 13  # naps, some tenths of a second in all, before there is no room
_NODE_MASK = 0xFFFFFFFF


def allocate() -> dict[str, np.ndarray]:
    """Return the epoch and the slots; `fill` makes nodes free."""
    slots = aligned(SLOTS << SLOT_SHIFT, np.int64)
    slots[RANDOM :: 1 << SLOT_SHIFT] = np.arange(1, SLOTS + 1) * 0x9E3779B97F4A7C1
    epoch = aligned(16, np.int64)
    epoch[EPOCH] = BAGS  # so that a bag's first stamp, 0, is long over
    return {"epoch": epoch, "slots": slots}


def fill(state: Any, first: int, end: int) -> None:
    """Make the nodes from `first` to `end`, which nobody has seen yet, free. While no other thread is at work."""
    if first == end:
        return
    records = state.nodes.reshape(-1, 1 << NODE_SHIFT)
    records[first:end, KEY] = records[first:end, TOTAL] = POISON
    records[first:end, LINK] = np.arange(first + 1, end + 1)
    records[end - 1, LINK] = int(state.epoch[FREE]) & _NODE_MASK
    state.epoch[FREE] = (int(state.epoch[FREE]) & ~_NODE_MASK) | first


def forget(state: Any) -> None:
    """Empty bags and free stack, before all nodes are made free again. While no other thread is at work."""
    state.epoch[FREE] = 0
    slots = state.slots.reshape(SLOTS, -1)
    slots[:, ANNOUNCED] = 0
    slots[:, RETIRED:] = 0


@hot
def word_at(node, field):
    """Return where a word of a node lies."""
    return np.uint64((node << NODE_SHIFT) + field)


@public
def pin(state, slot):
    """Announce that the thread of `slot` is at work: from here to `unpin` no node it can reach is used again."""
    at = slot << SLOT_SHIFT
    # RELAXED: an old epoch is as safe as the present one; it only keeps the epoch from advancing.
    epoch = atomics.load(state.epoch, EPOCH, RELAXED)
    atomics.store(state.slots, at + ANNOUNCED, epoch << 1 | 1, RELAXED)  # RELAXED: the fence orders it
    # SEQ_CST, with the one in `try_advance`: either that thread sees the announcement, or this one sees everything that
    # was unlinked before. A store here and a load there: nothing weaker orders them (Dekker).
    atomics.fence(SEQ_CST)


@public
def unpin(state, slot):
    """Announce that the thread of `slot` holds no node any more."""
    atomics.store(state.slots, (slot << SLOT_SHIFT) + ANNOUNCED, 0, RELEASE)  # RELEASE: its reads are done before


@public
def try_advance(state):
    """Advance the epoch if every pinned thread has seen the present one; say whether this thread did."""
    epoch = atomics.load(state.epoch, EPOCH, RELAXED)  # RELAXED: the exchange below checks it
    atomics.fence(SEQ_CST)  # SEQ_CST: see `pin`
    for slot in range(SLOTS):
        announced = atomics.load(state.slots, slot << SLOT_SHIFT, RELAXED)  # RELAXED: the fences order it
        if announced & 1 and announced >> 1 != epoch:
            return False
    # ACQUIRE and RELEASE: what a thread did before it unpinned, which was seen above, is over for whoever sees the new
    # epoch.
    atomics.fence(ACQUIRE)
    _, done = atomics.compare_exchange(state.epoch, EPOCH, epoch, epoch + 1, RELEASE)
    return done


@cold
def retire(state, slot, node):
    """Take note of a node that this thread, alone, has found to be unlinked everywhere; it is pinned."""
    at = slot << SLOT_SHIFT
    # SEQ_CST: the epoch read below is not older than the unlinking, so a thread that is pinned two epochs later came
    # after it.
    atomics.fence(SEQ_CST)
    epoch = atomics.load(state.epoch, EPOCH, ACQUIRE)  # ACQUIRE: bags that are over now are over for all threads
    bag = at + BAG + epoch % BAGS
    stamp = at + STAMP + epoch % BAGS
    if state.slots[stamp] != epoch:  # three epochs old or more
        _free_bag(state, bag)
        state.slots[stamp] = epoch
    atomics.store(
        state.nodes, word_at(node, LINK), state.slots[bag], RELAXED
    )  # RELAXED: others see it after `_free_bag`
    atomics.store(state.slots, bag, node, RELAXED)  # RELAXED: only whether there is one is read by others
    state.slots[at + RETIRED] += 1
    if state.slots[at + RETIRED] >= TRY_EVERY:
        state.slots[at + RETIRED] = 0
        try_advance(state)


@public
def collect(state, slot):
    """Free what this thread retired two epochs ago or earlier."""
    at = slot << SLOT_SHIFT
    epoch = atomics.load(state.epoch, EPOCH, ACQUIRE)  # ACQUIRE: as in `retire`
    for i in range(BAGS):
        if state.slots[at + STAMP + i] <= epoch - 2:
            _free_bag(state, at + BAG + i)


@cold
def _free_bag(state, bag):
    """Poison the nodes of a bag and push them onto the free stack, all at once."""
    first = state.slots[bag]
    if first == 0:
        return
    atomics.store(state.slots, bag, 0, RELAXED)  # RELAXED: as in `retire`
    nodes = state.nodes
    node = first
    while True:
        # RELAXED: no thread can reach the node; if one does, it is to see the poison whole.
        atomics.store(nodes, word_at(node, KEY), POISON, RELAXED)
        atomics.store(nodes, word_at(node, TOTAL), POISON, RELAXED)
        link = atomics.load(nodes, word_at(node, LINK), RELAXED)  # RELAXED: this thread wrote it
        if link == 0:
            break
        node = link
    top = atomics.load(state.epoch, FREE, RELAXED)  # RELAXED: the exchange checks it
    done = False
    while not done:
        atomics.store(nodes, word_at(node, LINK), top & _NODE_MASK, RELAXED)  # RELAXED: the exchange orders it
        # RELEASE: the links of the chain, and the last use of its nodes, come before another thread takes them.
        top, done = atomics.compare_exchange(state.epoch, FREE, top, _with_node(top, first), RELEASE)


@hot
def _with_node(top, node):
    """Return the next word of the free stack's top: one more change, and `node`."""
    return ((top + (_NODE_MASK + 1)) & ~_NODE_MASK) | node


@hot
def take_node(state):
    """Return a free node, which now belongs to this thread, or 0 when there is none."""
    top = atomics.load(state.epoch, FREE, ACQUIRE)  # ACQUIRE: the link of the node that is seen on top
    while True:
        node = top & _NODE_MASK
        if node == 0:
            return 0
        # RELAXED: another thread may take the node meanwhile and write there; then the exchange fails.
        link = atomics.load(state.nodes, word_at(node, LINK), RELAXED)
        # ACQ_REL: ACQUIRE, as above; RELEASE keeps the chain's links visible to the next thread through this exchange.
        top, done = atomics.compare_exchange(state.epoch, FREE, top, _with_node(top, link), ACQ_REL)
        if done:
            return node


@hot
def give_back(state, node):
    """Make a node free that `take_node` gave and that no other thread has seen."""
    top = atomics.load(state.epoch, FREE, RELAXED)  # RELAXED: the exchange checks it
    done = False
    while not done:
        atomics.store(state.nodes, word_at(node, LINK), top & _NODE_MASK, RELAXED)  # RELAXED: the exchange orders it
        top, done = atomics.compare_exchange(
            state.epoch, FREE, top, _with_node(top, node), RELEASE
        )  # RELEASE: the link


@hot
def has_free(state):
    """Return whether there is a free node now."""
    return atomics.load(state.epoch, FREE, RELAXED) & _NODE_MASK != 0  # RELAXED: out of date at once anyway


@public
def relieve(state, slot):
    """Try to free retired nodes: unpin, advance, collect, and pin again. What the thread found before is void.

    Another thread that is pinned in an old epoch, or that has retired nodes which it alone can free, is given time
    to do so: it may have lost its core. This is the one place where a thread waits for another, and it does not wait
    for ever.
    """
    unpin(state, slot)
    for _ in range(PATIENCE):
        for _ in range(BAGS):
            try_advance(state)
            collect(state, slot)
        if has_free(state) or not _others_hold_nodes(state, slot):
            break
        sleep_us(NAP_US)
    pin(state, slot)


@cold
def _others_hold_nodes(state, slot):
    """Return whether any thread but that of `slot` is pinned, or has retired nodes that it will free."""
    for other in range(SLOTS):
        if other == slot:
            continue
        at = other << SLOT_SHIFT
        held = atomics.load(state.slots, at + ANNOUNCED, RELAXED)  # RELAXED, all four: soon out of date anyway
        for i in range(BAGS):
            held |= atomics.load(state.slots, at + BAG + i, RELAXED)
        if held != 0:
            return True
    return False
