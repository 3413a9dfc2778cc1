import collections
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numba
import numpy as np
import pytest

from workbench import codemap
from workbench.codemap.disassembly import disassemble
from workbench.errors import InputError
from workbench.profile import handler, keeper, ring
from workbench.profile.sampler import is_sampling, paused, sampling

ROOT = Path(__file__).resolve().parents[2]
VALUES = np.linspace(1.0, 2.0, 1000)


@numba.njit(nogil=True)
def busy(values, rounds):
    total = 0.0
    for _ in range(rounds):
        for i in range(values.shape[0]):
            total += 1.0 / values[i] + total * 1e-30
    return total


@pytest.fixture(scope="module", autouse=True)
def compiled():
    busy(VALUES, 1)


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        busy(VALUES, 100)


def names_of(samples) -> collections.Counter:
    found = codemap.code_map()
    functions = (found.function_at(address) for address in samples.pc.tolist())
    return collections.Counter(each.function.rpartition(".")[2] for each in functions if each is not None)


def disposition() -> object:
    """What SIGPROF does, by its address: Python does not know of handlers that it did not install."""
    from workbench.profile import posix

    old = posix.set_handler(keeper.SIGNAL, int(signal.SIG_DFL))
    posix.restore_handler(keeper.SIGNAL, old)
    return old.handler, old.flags & ~0x04000000  # SA_RESTORER is the C library's own affair


def test_samples_fall_on_the_function_that_runs():
    before = disposition()
    with sampling(2000) as samples:
        assert is_sampling()
        spin(0.3)
    assert not is_sampling()
    assert disposition() == before
    assert len(samples.pc) >= 50
    assert names_of(samples)["busy"] >= 0.8 * sum(threading.get_native_id() == each for each in samples.thread.tolist())
    assert samples.lost == 0
    assert samples.sample_cost_ns >= 0  # a busy machine may hide it
    assert 0.3 <= samples.duration_s < 30


def test_all_threads_are_seen_also_those_that_start_later():
    ids = []

    def work():
        ids.append(threading.get_native_id())
        spin(0.4)

    with sampling(1000) as samples:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counted = collections.Counter(samples.thread.tolist())
    assert all(counted[each] > 10 for each in ids)
    assert all(each in samples.names for each in ids)


def test_nested_regions_share_the_sampler_and_end_in_order():
    with sampling(1000) as outer:
        spin(0.1)
        with sampling(500) as inner:
            spin(0.1)
        between = is_sampling()
        spin(0.1)
    assert between and not is_sampling()
    assert inner.rate_per_s == 1000 and "nested" in inner.notes[0]
    assert 0 < len(inner.pc) < len(outer.pc)


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_disarms_and_keeps_the_samples(failure):
    with pytest.raises(failure), sampling(1000) as samples:
        spin(0.1)
        raise failure
    assert not is_sampling()
    assert len(samples.pc) > 0
    time.sleep(0.01)  # a signal still on its way would end the process here


def test_nothing_is_sampled_in_a_pause_and_its_time_does_not_count():
    with sampling(1000) as samples:
        opened = time.perf_counter()
        spin(0.1)
        began = time.perf_counter()
        with paused():
            time.sleep(0.03)  # a signal on its way arrives
            before = int(ring.CONTROL[handler.SLOT])
            spin(0.2)
            assert int(ring.CONTROL[handler.SLOT]) == before
        rested_s = time.perf_counter() - began
        spin(0.1)
        assert int(ring.CONTROL[handler.SLOT]) > before
        whole_s = time.perf_counter() - opened
    assert rested_s > 0.2
    assert samples.duration_s == pytest.approx(whole_s - rested_s, abs=0.1)
    with paused():
        pass  # no region is open: nothing to pause


@pytest.mark.timeout(120)  # it would wait for itself
def test_a_pause_in_a_pause_is_refused_and_the_first_one_ends_as_it_should():
    with sampling(1000) as samples:
        with paused(), pytest.raises(InputError, match="has paused the sampler already"), paused():
            pass
        with paused():
            pass
        spin(0.1)
    assert len(samples.pc) > 0


def test_an_interrupt_from_outside_ends_the_region():
    timer = threading.Timer(0.1, signal.raise_signal, (signal.SIGINT,))
    with pytest.raises(KeyboardInterrupt), sampling(1000):
        timer.start()
        spin(20)
    assert not is_sampling()


def test_a_forked_child_is_not_sampled_and_can_sample_itself():
    with sampling(1000):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                alone = not is_sampling()
                with sampling(1000) as samples:
                    spin(0.1)
                code = 0 if alone and len(samples.pc) > 0 else 2
            finally:
                os._exit(code)
        spin(0.05)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        subprocess.run([sys.executable, "-c", "pass"], check=True)


def test_what_the_ring_has_overwritten_is_counted(monkeypatch):
    monkeypatch.setattr(ring, "RING_ENTRIES", 64)
    control = np.zeros(handler.CONTROL_WORDS, np.int64)
    entries = np.zeros((64, handler.ENTRY_WORDS), np.int64)
    slots = np.arange(100)
    entries[slots & 63, handler.SEQUENCE] = slots + 1
    entries[slots & 63, handler.PC] = slots
    control[handler.SLOT] = 101
    monkeypatch.setattr(ring, "CONTROL", control)
    monkeypatch.setattr(ring, "_RING", entries)
    taken, lost = ring.take(0)
    assert lost == 37  # slots 0 .. 36 lie under later ones, and slot 100 is claimed but not yet written
    assert taken[:, handler.PC].tolist() == list(range(37, 100))


def test_the_handler_calls_nothing():
    compiled = handler.make_handler(ring.CONTROL.ctypes.data)
    found = codemap.code_map()
    wrapper = found.function_at(compiled.address)
    inner = [each for each in found.functions if each.code is wrapper.code and each is not wrapper]
    called = [each for each in disassemble(wrapper.code, wrapper.symbol) if each.mnemonic == "call"]
    assert len(called) == 1  # the C entry calls the body
    for each in inner:
        assert not [step for step in disassemble(each.code, each.symbol) if step.mnemonic.startswith("call")]


@pytest.mark.parametrize("wrong", [{"rate_per_s": 0}, {"rate_per_s": 1e6}, {"clock": "moon"}])
def test_refuses_what_it_cannot_do(wrong):
    with pytest.raises(InputError), sampling(**wrong):
        pass


def test_the_clock_of_cpu_time_leaves_waiting_out():
    with sampling(200, "cpu") as samples:
        time.sleep(0.3)
    mine = sum(each == threading.get_native_id() for each in samples.thread.tolist())
    assert mine <= 5


def test_survives_code_that_is_compiled_meanwhile():
    with sampling(1000) as samples:
        fresh = numba.njit(lambda values, rounds: busy(values, rounds) + 1)
        fresh(VALUES, 1)
        for _ in range(200):
            fresh(VALUES, 100)
    assert len(samples.pc) > 0
