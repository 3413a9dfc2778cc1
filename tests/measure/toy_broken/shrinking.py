import numpy as np

from kernels.catalog import Variant

VARIANT = Variant(
    "shrinking",
    None,
    "gives its room back when it is reset, against the contract",
    lambda parameters: np.zeros(1, np.int64),
    lambda state: state.fill(4),
    lambda state, sizes, out, begin, probe: min(len(sizes), int(state[0])),
    grow=lambda state: np.array([10**9]),
    peer=True,
)
