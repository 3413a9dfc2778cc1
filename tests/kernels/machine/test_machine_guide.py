"""The examples of docs/machine.md, run as they stand there."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest

GUIDE = Path(__file__).parents[3] / "docs" / "machine.md"


@pytest.fixture(scope="module")
def examples():
    """Run the guide's blocks that define functions, in one namespace, and return it."""
    space = {}
    exec("from kernels.machine import affinity, bits, cycles, hints, histogram, locks, prefetch, stack", space)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
    for block in blocks:
        if "import" in block or "@njit" in block:
            exec(compile(block, str(GUIDE), "exec"), space)
    return space


def test_count_and_reserve(examples):
    used = np.zeros(1, np.int64)
    examples["count"](used)
    assert examples["reserve"](used, 10, 9)
    assert not examples["reserve"](used, 10, 1)
    assert used[0] == 10


def test_a_message_passes(examples):
    message, flag, got = np.zeros(8, np.int64), np.zeros(8, np.int64), []
    examples["send"](message, flag, 1)
    examples["receive"](message, flag)  # compiled
    flag[0] = 0
    reader = threading.Thread(target=lambda: got.append(examples["receive"](message, flag)))
    reader.start()
    examples["send"](message, flag, 42)
    reader.join()
    assert got == [42]


def test_vectors_and_locks(examples):
    assert examples["total"](np.arange(101.0)) == 5050.0
    sizes = np.zeros(64, np.int32)
    sizes[37] = 5
    assert examples["first_at_least"](sizes, np.int32(5)) == 37
    assert examples["first_at_least"](sizes, np.int32(6)) == -1
    account = np.zeros(1)
    examples["deposit"](examples["lock"], account, 2.5)
    assert account[0] == 2.5
