"""What a queue can do, by name: a variant gives the parts a body, and what runs on every queue is written once.

`assemble` tells Numba which functions stand behind the names for which state class, at compile time, so that no call is
left in the machine code.

A record is a row of an ``int64[n, words]`` array: of whatever fields it consists, it is moved as 64-bit words. An array
of a structured dtype is seen so by ``array.view(np.int64).reshape(len(array), -1)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import overload

from kernels._jit import kernel_jit

# Counters, in the order of the card.
CAS_RETRIES, WAITS, BATCHES, LINES_TOUCHED = range(4)

# A call hands over every array of the state, 7 words each, so what runs for every message is inlined. Without `_nrt` no
# reference is counted, which is an atomic instruction for each array at each use; nothing can be allocated.
hot = kernel_jit(inner=True, forceinline=True, _nrt=False)
cold = kernel_jit(inner=True, forceinline=False, _nrt=False)
public = kernel_jit(forceinline=True, _nrt=False)


def enqueue(state: Any, records: Any, i: Any, probe: Any, pauses: Any) -> Any:
    """Put ``records[i]`` in at the end; return False, with nothing changed, when the queue is full."""


def dequeue(state: Any, records: Any, i: Any, probe: Any, pauses: Any) -> Any:
    """Take the oldest record out into ``records[i]``; return False, with nothing changed, when there is none."""


def enqueue_some(state: Any, records: Any, begin: Any, end: Any, probe: Any, pauses: Any) -> Any:
    """Put in ``records[begin:end]`` as far as there is room; return how many."""


def dequeue_some(state: Any, records: Any, begin: Any, end: Any, probe: Any, pauses: Any) -> Any:
    """Take records out into ``records[begin:end]`` as far as there are any; return how many."""


def turned(state: Any) -> Any:
    """Return the state with the queue that leads back in the place of the one that leads there."""


PARTS: dict[str, Callable[..., Any]] = {
    part.__name__: part for part in (enqueue, dequeue, enqueue_some, dequeue_some, turned)
}


@hot
def each_in(state, records, begin, end, probe, pauses):
    """Do as `enqueue_some`, one record after the other."""
    i = begin
    while i < end and enqueue(state, records, i, probe, pauses):
        i += 1
    return i - begin


@hot
def each_out(state, records, begin, end, probe, pauses):
    """Do as `dequeue_some`, one record after the other."""
    i = begin
    while i < end and dequeue(state, records, i, probe, pauses):
        i += 1
    return i - begin


def assemble(state_class: type, **bodies: Callable[..., Any]) -> None:
    """Give the parts of `state_class` their bodies, compiled functions; several records go one by one if not given."""
    for name, body in {"enqueue_some": each_in, "dequeue_some": each_out, **bodies}.items():
        _give_body(PARTS[name], state_class, body.py_func)  # type: ignore[attr-defined]


def _give_body(part: Callable[..., Any], state_class: type, body: Callable[..., Any]) -> None:
    """Make compiled calls of `part` with a `state_class` run `body`."""

    def choose(state, *rest):
        mine = isinstance(state, types.NamedTuple) and state.instance_class is state_class
        return body if mine else None

    choose.__wrapped__ = body  # type: ignore[attr-defined]  # Numba reads the argument names from here
    options: Any = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": True}
    overload(part, jit_options=options)(choose)
