"""Fuzz every pool against the reference: ``python pool_fuzz.py STEPS SEED``. Prints the count.

Run with NUMBA_BOUNDSCHECK=1 it first prints IndexError, to prove that the checks are on.
"""

import os
import sys

import numpy as np
from pool_model import KERNEL, OURS, random_churn

from kernels._jit import kernel_jit


@kernel_jit
def beyond(array):
    return array[np.uint64(3)]


def main(steps, seed):
    """Do about `steps` steps in every variant, of pools of all sizes; return how many there were."""
    random, done = np.random.default_rng(seed), 0
    while done < steps:
        length = int(random.integers(1, 1500))
        slots = int(random.choice([1, 5, 64, 65, 128, 129, 300, 513, 1000]))
        churn = random_churn(int(random.integers(2**32)), length, int(random.integers(1, 1200)))
        expected = KERNEL.reference(slots=slots).replay(churn)
        for variant in OURS:
            instance = variant.build(slots=slots)
            for _ in range(2):
                assert np.array_equal(variant.replay(instance, churn), expected), (variant.name, slots)
                instance.reset()
        done += length
    return done


if __name__ == "__main__":
    if os.environ.get("NUMBA_BOUNDSCHECK") == "1":
        try:
            beyond(np.zeros(3))
        except IndexError:
            print("IndexError")
    print(main(int(sys.argv[1]), int(sys.argv[2])))
