"""Big-endian loads against ``int.from_bytes``, at every address."""

import numpy as np
import pytest
from numba.core.errors import TypingError

from kernels._jit import kernel_jit
from kernels.machine.endian import big_endian_16, big_endian_32, big_endian_64


@kernel_jit
def loads(data, at):
    return big_endian_16(data, at), big_endian_32(data, at), big_endian_64(data, at)


@kernel_jit
def of(data):
    return big_endian_32(data, 0)


def test_every_address():
    raw = np.random.default_rng(1).bytes(80)
    data = np.frombuffer(raw, np.uint8)
    for at in range(72):
        assert loads(data, at) == tuple(int.from_bytes(raw[at : at + width], "big") for width in (2, 4, 8))


@pytest.mark.parametrize("data", [np.zeros(16), np.zeros((4, 4), np.uint8), np.zeros(32, np.uint8)[::2]])
def test_other_arrays_are_refused(data):
    with pytest.raises(TypingError, match="contiguous array of uint8"):
        of(data)
