"""Is a history of concurrent pushes and pops one that a queue can have? After Wing and Gong, JPDC 1993.

A history is linearizable when every operation can be given one moment between its begin and its end so that, done in
the order of these moments, a queue would have answered the same. The search takes one operation after the other that no
other has ended before, and remembers which sets of done operations with which queue it has been through.
"""

from typing import NamedTuple

PUSH, POP = range(2)


class Operation(NamedTuple):
    """One operation: it began and ended at ticks of a clock that all threads share."""

    kind: int
    value: int  # what was pushed, or came out; of a failed pop anything
    done: bool  # False: the queue was full, or empty
    begin: int
    end: int


def is_linearizable(history, slots):
    """Return whether a queue of so many slots, empty before, can have had this history."""
    history = tuple(history)
    everything = (1 << len(history)) - 1
    waiting, been = [(0, ())], set()
    while waiting:
        taken, queue = waiting.pop()
        if taken == everything:
            return True
        if (taken, queue) in been:
            continue
        been.add((taken, queue))
        open_ = [i for i in range(len(history)) if not taken >> i & 1]
        first_end = min(history[i].end for i in open_)
        for i in open_:
            if history[i].begin <= first_end:
                after = _apply(history[i], queue, slots)
                if after is not None:
                    waiting.append((taken | 1 << i, after))
    return False


def _apply(operation, queue, slots):
    """Return the queue after the operation, or None where it would have answered otherwise."""
    if operation.kind == PUSH:
        if operation.done != (len(queue) < slots):
            return None
        return (*queue, operation.value) if operation.done else queue
    if operation.done != bool(queue) or (operation.done and queue[0] != operation.value):
        return None
    return queue[1:]
