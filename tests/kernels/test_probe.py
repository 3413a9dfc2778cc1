"""The probe: absent from the machine code when it is None, right when it is there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kernels._jit import kernel_jit
from kernels.probe import SCALE_BITS, Probe, clear_probe, count, lap, make_probe, start, stop

ROOT = Path(__file__).parents[2]
PROBE_CALL = r"(\w+ = )?start\(probe\)|stop\(probe, \w+\)|count\w*\(probe, .*\)"
PROBE_LINE = re.compile(rf"^( *)({PROBE_CALL})(  # .*)?$", re.MULTILINE)
PRINT_CODE = """
import sys
import numba
from kernels import get
from kernels._jit import OPTIONS
kernel = get("order_book")
variant = kernel.variants[sys.argv[1]]
instance = variant.build(instrumented=sys.argv[2] == "probe")
events = kernel.prepare(__import__("numpy").zeros(0, __import__("kernels.messages").messages.EVENT), {})
replay = numba.njit(**{**OPTIONS, "_nrt": False})(variant.replay_from.py_func)
replay(instance.state, events, kernel.output(events, {}), 0, instance.probe)
print(replay.inspect_asm(replay.signatures[0]))
"""


def machine_code(root, variant, probe, cache):
    """Return the instructions of a variant's `replay` and of all that it calls, compiled in a fresh process."""
    environment = {**os.environ, "PYTHONPATH": str(root), "WORKBENCH_CACHE": str(cache)}
    command = [sys.executable, "-c", PRINT_CODE, variant, "probe" if probe else "none"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return re.findall(r"^\t([a-z][^.\n].*)$", without_names(done.stdout), re.MULTILINE)


def without_names(assembly):
    """Replace symbols and labels by their number in order of appearance: they hold hashes and counters of Numba's."""
    seen = {}
    return re.sub(
        r"\.L\w+|_Z\w+|\b\w*const\.\w+", lambda found: f"name{seen.setdefault(found[0], len(seen))}", assembly
    )


def copy_without_probe_lines(folder):
    """Copy the kernels to `folder` with the probe's lines deleted; return how many there were."""
    deleted = 0
    shutil.copytree(ROOT / "kernels", folder / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (folder / "kernels" / "order_book").glob("*.py"):
        bare, lines = PROBE_LINE.subn(r"\1pass", file.read_text())  # `pass`: one may be all that a block holds
        deleted += lines
        assert not re.search(r"^ *(\w+ = )?(start|stop|count\w*)\(", bare, re.MULTILINE), "a call on several lines"
        file.write_text(bare)
    return deleted


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["baseline", "ladder", "aligned", "combined"])
def test_without_a_probe_the_code_is_that_of_the_source_without_its_lines(variant, tmp_path):
    assert copy_without_probe_lines(tmp_path) > 10
    ours = machine_code(ROOT, variant, probe=False, cache=tmp_path / "ours")
    bare = machine_code(tmp_path, variant, probe=False, cache=tmp_path / "bare")
    assert len(ours) > 500
    assert not any("rdtsc" in line for line in ours)
    assert ours == bare


def test_with_a_probe_the_code_reads_the_clock(tmp_path):
    assert any("rdtsc" in line for line in machine_code(ROOT, "baseline", probe=True, cache=tmp_path))


@kernel_jit
def _work(n, probe):
    total = 0
    for i in range(n):
        stamp = start(probe)
        total += i
        count(probe, 1, 2)
        stop(probe, stamp)
    return total


def test_a_probe_records_and_counts():
    probe = make_probe(2, 0.5)
    assert _work(10, probe) == _work(10, None) == 45
    assert probe.counters.tolist() == [0, 20]
    assert probe.histogram.sum() == 10
    assert probe.scale[0] == 2 ** (SCALE_BITS - 1)
    clear_probe(probe)
    assert not np.any(probe.histogram) and not np.any(probe.counters) and probe.scale[0]


@kernel_jit
def _staged(n, probe):
    ordered = True
    for i in range(n):
        first = start(probe)
        second = lap(probe, 0, first)
        if i % 2:
            second = lap(probe, 1, second)
        ordered &= second >= first
        stop(probe, first)
    return n if ordered else -1


def test_a_probe_records_stages():
    probe = make_probe(1, 0.5, stages=2)
    assert _staged(10, probe) == _staged(10, None) == 10
    assert probe.stages.sum(axis=1).tolist() == [10, 5] and probe.histogram.sum() == 10
    clear_probe(probe)
    assert not np.any(probe.stages)
    without = Probe(probe.histogram, probe.counters, probe.scale)
    assert without.stages.size == 0
    _staged(10, without)  # a stage that a probe does not have is not recorded, and nothing is written beside it
    assert probe.histogram.sum() == 10 and without.stages.size == 0


def test_probe_calls_are_for_compiled_code_only():
    for call in (lambda: start(None), lambda: stop(None, 0), lambda: lap(None, 0, 0), lambda: count(None, 0, 1)):
        with pytest.raises(RuntimeError, match="compiled code only"):
            call()
