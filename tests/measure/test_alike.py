"""Values compared part by part, and a hash of them that does not depend on the process."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from workbench.measure.alike import digest, is_alike

NAN = np.array([np.nan, 1.0])


@dataclasses.dataclass
class Pair:
    values: object
    seconds: float = dataclasses.field(default=0.0, compare=False)


class Refusing:
    def __eq__(self, other):
        raise ValueError("no")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (NAN, NAN.copy(), True),
        (1.0, 1.0 + 1e-12, True),
        (1.0, 1.001, False),
        ((1, NAN), (1, NAN), True),
        (np.array([1, 2]), np.array([1, 3]), False),
        (np.zeros(2), np.zeros(3), False),
        (None, None, True),
        (None, 1, False),
        ("a", "b", False),
        ({1, 2}, {2, 1}, True),
        ({1, 2}, {2, 3}, False),
        ({"a": NAN, "b": 1}, {"b": 1, "a": NAN.copy()}, True),
        ({"a": NAN}, {"a": NAN + 1}, False),
        ({"a": NAN}, {"b": NAN}, False),
        (Pair(NAN, 1.0), Pair(NAN.copy(), 2.0), True),
        (Pair(NAN), Pair(NAN + 1), False),
        (Pair({"a": [1.0]}), Pair({"a": [2.0]}), False),
        (Pair(1), 1, False),
    ],
)
def test_what_is_alike(a, b, same):
    refused = []
    assert is_alike(a, b, 1e-9, refused) is same
    assert refused == []


@pytest.mark.parametrize("kind", [object, Refusing])
def test_what_cannot_be_compared_is_named(kind):
    refused = []
    assert is_alike({"a": kind()}, {"a": kind()}, 1e-9, refused)
    assert refused == [kind.__name__]


def test_the_hash_is_the_same_in_every_process():
    script = (
        "import numpy as np; from workbench.measure.alike import digest\n"
        "words = {'alpha', 'beta', 'gamma', 'delta'}\n"
        "print(digest(({'a': words, 'b': frozenset(words)}, {word: 1 for word in words})).hex())"
    )
    found = set()
    for seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout.strip())
    assert len(found) == 1


def test_other_values_have_another_hash():
    odd = np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]})  # whose fields overlap
    values = [
        {"a": 1}, {"a": 2}, {1, 2}, {1, 3}, frozenset({1, 2}), (1, (2, 3)), (1, (2,), 3), Pair(1), Pair({1}),
        np.zeros(2, odd), np.zeros(3, odd), np.zeros(2), np.ma.masked_array(np.zeros(2), [False, True]),
        np.ma.masked_array(np.zeros(2), [True, False]), "ab", ("a", "b"), {}, (), None,
    ]  # fmt: skip
    assert len({digest(value) for value in values}) == len(values)
    assert digest(np.zeros(2, odd)) == digest(np.zeros(2, odd))
