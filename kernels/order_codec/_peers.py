"""What the peers share. Those of Python begin and end with Python's own objects, which are made before the timed part.

That favours them: our variants begin and end with arrays, and turning arrays into objects costs more than most of these
libraries do. What a peer decodes stays in its state, as a list; it allocates that anew in each replay, as there is no
other way in Python. None of them checks the ranges of the fields.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernels.catalog import Variant
from kernels.order_codec._messages import Messages, records
from kernels.probe import Probe


class ObjectState:
    """The messages of the last replay as Python objects, and what came back."""

    def __init__(self, parameters: Mapping[str, int]):
        self.batch = parameters["batch"]
        self.rows: np.ndarray | None = None
        self.given: list[Any] = []
        self.decoded: list[Any] = []


def reset(state: Any) -> None:
    """Forget what came back."""
    state.decoded = []


def dictionaries(given: np.ndarray) -> list[Any]:
    """Return an array of ORDER or EVENT as dictionaries."""
    names = given.dtype.names or ()
    return [dict(zip(names, values, strict=True)) for values in given.tolist()]


def python_peer(
    name: str,
    idea: str,
    functions: Callable[[np.dtype[Any]], tuple[Callable[[Any], bytes], Callable[[bytes], Any]]],
    objects: Callable[[np.ndarray], list[Any]] = dictionaries,
    package: str = "",
) -> Variant:
    """Return the variant of a library that encodes and decodes one Python object at a time.

    ``functions(dtype)`` gives its encoder and decoder; `package` is what it needs from the extra ``peers``.
    """

    def replay(state: ObjectState, messages: Messages, out: np.ndarray, begin: int, probe: Probe | None) -> int:
        """Encode and decode all messages, a batch at a time, into ``state.decoded``; `out` is not touched."""
        if state.rows is not messages.rows:  # the first of two warm-up runs; never in a timed one
            state.rows, state.given = messages.rows, objects(records(messages.rows))
        encode, decode = functions(records(messages.rows).dtype)
        for first in range(begin, len(state.given), state.batch):
            wire = [encode(message) for message in state.given[first : first + state.batch]]
            state.decoded += [decode(data) for data in wire]
        return len(state.given)

    def missing() -> str | None:
        if package and importlib.util.find_spec(package) is None:
            return f"there is no {package}: pip install 'kernel-workbench[peers]'"
        return None

    return Variant(
        name=name,
        parent=None,
        idea=idea,
        allocate=ObjectState,
        reset=reset,
        replay_from=replay,
        peer=True,
        missing=missing,
        refuses=lambda parameters: (
            "Python's objects belong to one thread at a time" if parameters["threads"] > 1 else None
        ),
    )
