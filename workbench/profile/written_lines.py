"""Which thread writes which cache line: the evidence that tells false sharing from true sharing.

Each thread's share of the input is run by itself, one after the other, on one state, and the state is compared before
and after: words that differ were written. A line of which several threads write *different* words is shared falsely,
one of which they write the *same* word is shared truly. What is written back to its old value, as a lock that was taken
and given back, does not show; nor does what is only read.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
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
    beside: int = 0  # where it is of several arrays: their further written lines, on which they are alone

    @property
    def is_false(self) -> bool:
        """Return whether enough of its lines are shared falsely to matter."""
        return self.false_lines > 0 and self.false_lines >= HOT_PART * (self.lines + self.beside)

    def where(self) -> str:
        """Return who writes what of the first shared line, in words."""
        parts = [f"thread {thread} bytes {first} to {last}" for thread, first, last in self.example]
        return f"{' and '.join(parts)} of a line of {self.array}"


class Words(NamedTuple):
    """The words of one array that one thread wrote."""

    array: str
    item_bytes: int
    addresses: np.ndarray  # absolute, of the first byte of each


def lines_written(kernel: Any, variant: Any, instance: Any, prepared: Any, out: Any) -> list[Any]:
    """Run each thread's share alone, in their order, and return a row (`Written`) for each array that was written.

    Arrays of the state and of all threads' outputs are looked at; where several of them lie on one line, its row names
    them all. Returns ``[None]`` where a share does not end alone, as a consumer whose producer has no room. Its thread
    is then left behind: call this last.
    """
    shares = kernel.shares(prepared, out, instance.parameters)
    if len(shares) < 2:
        return []
    instance.reset()
    arrays = _places([(instance.state, ""), *((own, "out") for _, own in shares)])
    writes: list[list[Words]] = []
    for share, own in shares:
        before = [array.copy() for _, array in arrays]
        arguments = (instance.state, share, own, 0, None)
        thread = threading.Thread(target=variant.replay_from, args=arguments, daemon=True)
        thread.start()
        thread.join(ALONE_S)
        if thread.is_alive():
            return [None]
        writes.append([written(name, old, array) for (name, array), old in zip(arrays, before, strict=True)])
    return [list(each) for each in shared(writes)]


def _places(parts: Sequence[tuple[Any, str]]) -> list[tuple[str, np.ndarray]]:
    """Return the arrays of `parts`, each place in memory once: two threads may be given the same output."""
    found: dict[tuple[Any, ...], tuple[str, np.ndarray]] = {}
    for part, name in parts:
        for told, array in arrays_of(part, name):
            key = array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str
            found.setdefault(key, (told, array))
    return list(found.values())


def written(name: str, before: np.ndarray, array: np.ndarray) -> Words:
    """Return which words of `array` differ from `before`, by their addresses."""
    offsets = changed_words(before, array)
    address = int(array.__array_interface__["data"][0])
    if array.flags.c_contiguous:
        return Words(name, word_bytes(array), address + offsets)
    items = np.unravel_index(offsets // array.itemsize, array.shape)
    places = sum(index.astype(np.int64) * stride for index, stride in zip(items, array.strides, strict=True))
    return Words(name, word_bytes(array), address + places + offsets % array.itemsize)


def arrays_of(state: Any, name: str = "") -> Iterable[tuple[str, np.ndarray]]:
    """Yield the arrays of a state that may be written, with the names of the fields that lead there."""
    if isinstance(state, np.ndarray):
        if state.flags.writeable and state.size and not state.dtype.hasobject:
            yield name or "state", state
    elif isinstance(state, tuple):
        fields = getattr(state, "_fields", range(len(state)))
        for field, part in zip(fields, state, strict=True):
            yield from arrays_of(part, f"{name}.{field}" if name else str(field))


def word_bytes(array: np.ndarray) -> int:
    """Return the size of what is compared: an item of a plain array, 8 bytes of a structured one."""
    return int(array.itemsize) if array.dtype.names is None and array.itemsize <= LINE_BYTES else 8


def changed_words(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the words that differ between two arrays of one shape: their offsets in bytes, as if in C order."""
    step = word_bytes(after)
    old, new = (np.frombuffer(np.ascontiguousarray(each).tobytes(), np.uint8) for each in (before, after))
    return np.unique(np.flatnonzero(old != new) // step) * step


def shared(writes: Sequence[Sequence[Words]]) -> list[Written]:
    """Return how the lines are shared by threads that wrote these words: a row for all that lie on a line together.

    Words are known by their addresses: whether two lie on one line is a matter of the memory, not of the array.
    """
    by_line: dict[int, dict[int, set[int]]] = {}  # line: thread: the bytes of its words
    arrays: dict[int, dict[str, int]] = {}  # line: the arrays that were written there, and their words' size
    for thread, each_written in enumerate(writes):
        for words in each_written:
            for address in words.addresses.tolist():
                for byte in range(address, address + words.item_bytes):
                    by_line.setdefault(byte // LINE_BYTES, {}).setdefault(thread, set()).add(byte)
                    arrays.setdefault(byte // LINE_BYTES, {})[words.array] = words.item_bytes
    groups: dict[tuple[str, ...], list[int]] = {}
    for line in sorted(by_line):
        groups.setdefault(tuple(sorted(arrays[line])), []).append(line)
    return [_row(names, lines, by_line, arrays) for names, lines in groups.items()]


def _row(
    names: tuple[str, ...],
    lines: Sequence[int],
    by_line: Mapping[int, Mapping[int, set[int]]],
    arrays: Mapping[int, Mapping[str, int]],
) -> Written:
    """Return the row of the lines on which exactly the arrays `names` were written.

    Where they are several, the other lines of these arrays are counted beside: two long arrays that meet at their
    border meet once, which costs nothing.
    """
    true = [line for line in lines if _same_word(by_line[line])]
    false = [line for line in lines if len(by_line[line]) > 1 and line not in set(true)]
    example = [
        [thread, min(found) % LINE_BYTES, max(found) % LINE_BYTES]
        for line in [*false, *true][:1]
        for thread, found in sorted(by_line[line].items())
    ]
    among = sum(not set(names).isdisjoint(there) for there in arrays.values()) if len(names) > 1 else len(lines)
    size = max(arrays[lines[0]].values())
    return Written(" and ".join(names), size, len(lines), len(false), len(true), example, among - len(lines))


def _same_word(words: Mapping[int, set[int]]) -> bool:
    return any(one & other for one, other in itertools.combinations(words.values(), 2))
