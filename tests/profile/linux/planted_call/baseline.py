"""A system call for each size, from compiled code, through ctypes."""

import ctypes

from numba import njit

from kernels import Variant
from planted_call import allocate, reset

_getppid = ctypes.CDLL(None).getppid
_getppid.argtypes = []
_getppid.restype = ctypes.c_int


@njit(nogil=True)
def replay_from(state, sizes, out, begin, probe):
    for i in range(begin, len(sizes)):
        state.total[0] += sizes[i]
        state.total[1] = _getppid()  # the planted call
    out[0] = state.total[0]
    return len(sizes)


VARIANT = Variant("baseline", None, "asks Linux for each size", allocate, reset, replay_from)
