"""The built-in kernels were tuned by hand: a diagnosis finds nothing in them that costs time, but what is meant to."""

import os

import pytest

import kernels
from workbench import workloads
from workbench.codemap.build import is_compiled_function
from workbench.profile.diagnosis import diagnose

VARIANTS = [
    variant
    for kernel in kernels.catalog().values()
    for variant in kernel.variants.values()
    if not variant.peer and is_compiled_function(variant.replay_from)
]
ALLOCATING = ("order_pool/baseline", "tick_to_order/baseline")  # an allocation for each order is what they show
FAST = ("signals/baseline", "signals/simd")
CHOSEN = [each for each in VARIANTS if os.environ.get("WORKBENCH_LONG") or each.full_name in FAST]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("variant", CHOSEN, ids=lambda variant: variant.full_name)
def test_no_false_finding(variant):
    kernel, events = variant.kernel, workloads.parse("synthetic").events[:4000]
    instance = variant.build(**kernel.parameters_for(events))
    prepared = kernel.prepare(events, instance.parameters)
    out = kernel.output(prepared, instance.parameters)
    told = diagnose(variant.replay_from, instance.state, prepared, out, 0, None, seconds=0.1)
    found = {finding.check for finding in told.findings}
    assert found == ({"allocation"} if variant.full_name in ALLOCATING else set()), str(told)
