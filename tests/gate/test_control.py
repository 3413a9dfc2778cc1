"""The control kernel does what its reference says, and allocates nothing."""

import numpy as np

from workbench.gate.control import KERNEL, KEYS
from workbench.gate.evidence import CONTROL


def test_every_key_comes_to_what_the_reference_says():
    variant = KERNEL.variants["baseline"]
    assert (KERNEL.name, variant.full_name) == (CONTROL, f"{CONTROL}/baseline")
    keys = KERNEL.prepare(np.zeros(3), {})
    assert keys.shape == (KEYS,) and len(np.unique(keys)) == KEYS
    out = variant.replay(variant.build(), keys)
    assert np.array_equal(out[:40], KERNEL.reference().replay(keys[:40]))
    assert np.array_equal(variant.replay(variant.build(), keys), out)
