"""The proof for every built-in kernel and variant: the profiled build is the code that ships. Compiles all of it."""

import os

import pytest

import kernels
from workbench import workloads
from workbench.codemap.build import is_compiled_function
from workbench.profile.target import target_of

LONG = bool(os.environ.get("WORKBENCH_LONG"))
VARIANTS = [
    variant.full_name
    for kernel in kernels.catalog().values()
    for variant in kernel.variants.values()
    if not variant.peer and is_compiled_function(variant.replay_from)
]

# The code that ships reaches two equal copies of `recentre` and what it calls, compiled for two callers by other flags;
# the build with lines reaches one of them. Every function that both reach has the same bytes.
NAMED = {"tick_to_order/lock_free": "settle refers to other functions or constants"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", VARIANTS if LONG else [name for name in VARIANTS if name.endswith("signals/baseline")])
def test_the_profiled_build_of_a_variant_is_the_code_that_ships(name):
    target = target_of(name, workload=workloads.parse("synthetic").events[:2000])
    proofs = target.proofs()
    assert proofs
    for proof in proofs:
        assert proof.same or NAMED.get(name, "nothing") in proof.difference, proof.difference
