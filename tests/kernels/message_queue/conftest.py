"""What the tests of the message queue share: its variants, and which of them the quick tests compile."""

import importlib

import pytest

from kernels.message_queue import KERNEL

OURS = [name for name, variant in KERNEL.variants.items() if not variant.peer]
QUICK = ("lock_free",)


class Queue:
    """A variant's single operations, as other kernels call them, on a state of its own."""

    def __init__(self, name, **parameters):
        self.variant = KERNEL.variants[name]
        self.module = importlib.import_module(f"kernels.message_queue.{name}")
        self.instance = self.variant.build(**parameters)

    def push(self, records, i):
        return self.module.push(self.instance.state, records, i)

    def pop(self, records, i):
        return self.module.pop(self.instance.state, records, i)


@pytest.fixture(scope="session")
def queue_of():
    """A function that builds the queue of a variant."""
    return Queue


def pytest_generate_tests(metafunc):
    """Run a test that takes `each` for every variant of ours; those beside the quick ones are slow tests."""
    if "each" in metafunc.fixturenames:
        marks = [() if name in QUICK else (pytest.mark.slow,) for name in OURS]
        metafunc.parametrize("each", [pytest.param(n, marks=m) for n, m in zip(OURS, marks, strict=True)])
