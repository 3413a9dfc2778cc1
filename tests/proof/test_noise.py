"""The load on a loaded machine is there while it is wanted, and not afterwards."""

import os
import time

import psutil
from proof.noise import loaded_machine


def test_every_core_is_loaded_and_all_of_it_ends():
    cores = os.sched_getaffinity(0)
    with loaded_machine():
        deadline = time.monotonic() + 60
        pinned = set()
        while pinned != cores and time.monotonic() < deadline:
            found = [each for each in psutil.Process().children() if "proof.noise" in each.cmdline()]
            alone = [each.cpu_affinity() for each in found if len(each.cpu_affinity()) == 1]
            pinned = {core for affinity in alone for core in affinity}
            time.sleep(0.05)
        assert pinned == cores
        assert {each.cmdline()[-2] for each in found} == {"memory", "bursts"}
    assert not [each for each in psutil.Process().children() if "proof.noise" in each.cmdline()]
