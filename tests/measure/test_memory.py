"""The most that a process held is its own, not that of the process which started it."""

import subprocess
import sys

from workbench.measure.memory import forget_highest, highest_bytes, resident_bytes

MEGABYTE = 2**20


def test_the_highest_is_not_inherited():
    filled = bytearray(400 * MEGABYTE)
    filled[::4096] = b"x" * len(filled[::4096])
    program = "from workbench.measure.memory import highest_bytes; print(highest_bytes())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert MEGABYTE < int(done.stdout) < 400 * MEGABYTE < highest_bytes()


def test_the_highest_begins_anew():
    filled = bytearray(100 * MEGABYTE)
    filled[::4096] = b"x" * len(filled[::4096])
    assert highest_bytes() >= 100 * MEGABYTE
    del filled
    if forget_highest():
        assert highest_bytes() < resident_bytes() + 50 * MEGABYTE
