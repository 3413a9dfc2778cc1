"""Which thread writes which cache line: the evidence that tells false sharing from true sharing.

Each thread's share of the input is run by itself, one after the other, on one state, and the state is compared before
and after: words that differ were written. A line of which several threads write *different* words is shared falsely,
one of which they write the *same* word is shared truly. What is written back to its old value, as a lock that was taken
and given back, does not show; nor does what is only read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

LINE_BYTES = 64
ALONE_S = 5.0  # a share that has not ended by then waits for another thread
HOT_PART = 0.25
"""From this part of an array's written lines on, its falsely shared lines count: two threads that fill the halves of an
array meet on one line at the border, once, which costs nothing."""


class Written(NamedTuple):
    """What the threads wrote of one array of the state. Lists are of (line, thread, first word, last word)."""

    array: str
    item_bytes: int
    lines: int  # written by anybody
    false_lines: int  # written by several threads, never the same word
    true_lines: int  # of which several threads wrote the same word
    example: list[list[int]]  # of the first shared line: [thread, first byte, last byte] within the line

    @property
    def is_false(self) -> bool:
        """Return whether enough of its lines are shared falsely to matter."""
        return self.false_lines > 0 and self.false_lines >= HOT_PART * self.lines

    def where(self) -> str:
        """Return who writes what of the first shared line, in words."""
        parts = [f"thread {thread} bytes {first} to {last}" for thread, first, last in self.example]
        return f"{' and '.join(parts)} of a line of {self.array}"


def lines_written(kernel: Any, variant: Any, instance: Any, prepared: Any, out: Any) -> list[Any]:
    """Run each thread's share alone, in their order, and return a row (`Written`) for each array that was written.

    Returns ``[None]`` where a share does not end alone, as a consumer whose producer has no room. Its thread is then
    left behind: call this last.
    """
    shares = kernel.shares(prepared, out, instance.parameters)
    if len(shares) < 2:
        return []
    instance.reset()
    arrays = dict(arrays_of(instance.state))
    writes: list[dict[str, np.ndarray]] = []
    for share, own in shares:
        before = {name: array.copy() for name, array in arrays.items()}
        arguments = (instance.state, share, own, 0, None)
        thread = threading.Thread(target=variant.replay_from, args=arguments, daemon=True)
        thread.start()
        thread.join(ALONE_S)
        if thread.is_alive():
            return [None]
        writes.append({name: changed_words(before[name], array) for name, array in arrays.items()})
    found = [shared(name, arrays[name], [each[name] for each in writes]) for name in arrays]
    return [list(each) for each in found if each.lines]


def arrays_of(state: Any, name: str = "") -> Iterable[tuple[str, np.ndarray]]:
    """Yield the arrays of a state that may be written, with the names of the fields that lead there."""
    if isinstance(state, np.ndarray):
        if state.flags.writeable and state.flags.c_contiguous and state.size and not state.dtype.hasobject:
            yield name or "state", state
    elif isinstance(state, tuple):
        fields = getattr(state, "_fields", range(len(state)))
        for field, part in zip(fields, state, strict=True):
            yield from arrays_of(part, f"{name}.{field}" if name else str(field))


def word_bytes(array: np.ndarray) -> int:
    """Return the size of what is compared: an item of a plain array, 8 bytes of a structured one."""
    return int(array.itemsize) if array.dtype.names is None and array.itemsize <= LINE_BYTES else 8


def changed_words(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the offsets in bytes of the words that differ between two C-contiguous arrays of one shape."""
    step = word_bytes(after)
    old, new = (np.frombuffer(np.ascontiguousarray(each).tobytes(), np.uint8) for each in (before, after))
    return np.unique(np.flatnonzero(old != new) // step) * step


def shared(name: str, array: np.ndarray, writes: list[np.ndarray]) -> Written:
    """Return how the lines of `array` are shared by threads that wrote the words at `writes` (offsets in bytes)."""
    address, step = int(array.__array_interface__["data"][0]), word_bytes(array)
    by_line: dict[int, dict[int, set[int]]] = {}
    for thread, offsets in enumerate(writes):
        for offset in offsets.tolist():
            line = (address + offset) // LINE_BYTES
            by_line.setdefault(line, {}).setdefault(thread, set()).add(offset)
    several = {line: words for line, words in sorted(by_line.items()) if len(words) > 1}
    true = [line for line, words in several.items() if _same_word(words)]
    false = [line for line in several if line not in set(true)]
    example: list[list[int]] = []
    for line in [*false, *true][:1]:
        for thread, offsets_written in sorted(several[line].items()):
            at = [(address + offset) % LINE_BYTES for offset in offsets_written]
            example.append([thread, min(at), max(at) + step - 1])
    return Written(name, step, len(by_line), len(false), len(true), example)


def _same_word(words: Mapping[int, set[int]]) -> bool:
    sets = list(words.values())
    return any(sets[i] & sets[j] for i in range(len(sets)) for j in range(i))
