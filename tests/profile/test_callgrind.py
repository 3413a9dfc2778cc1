"""Misses agree with what the loops must miss, and stand on their lines; needs valgrind."""

import shutil
import subprocess

import numpy as np
import pytest
from numba import njit

import kernels
from kernels.machine.atomics import RELAXED, add
from workbench import workloads
from workbench.errors import InputError, WorkbenchError
from workbench.profile import callgrind
from workbench.profile.formats import callgrind as dumps

pytestmark = pytest.mark.valgrind
needs_valgrind = pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")

LENGTH = 16384  # twice what the simulated first-level cache holds
ATOMICS = 2048
DOUBLES_A_LINE = 8
BONUS = 1.5


@njit(nogil=True)
def add_bonus(x):
    return x + BONUS


@njit(nogil=True)
def planted(dense, sparse, places, out):
    total = 0.0
    for i in range(dense.shape[0]):
        total += dense[i]  # stride 1
    for i in range(dense.shape[0]):
        total += sparse[i * 8]  # stride 64
    for i in range(2048):
        add(places, i * 8, 1, RELAXED)  # atomics
    out[0] = add_bonus(total)
    out[1] += 1.0


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    keep = tmp_path_factory.mktemp("kept")
    arguments = np.ones(LENGTH), np.ones(LENGTH * DOUBLES_A_LINE), np.zeros(LENGTH, np.int64), np.zeros(2)
    found = callgrind.profile_call(planted, *arguments, keep=keep)
    assert arguments[3][1] == 0.0  # the caller's arrays are not touched
    return found


def on(profile, mark: str) -> dict[str, float]:
    lines = [line for line in profile.counters if mark in profile.source(line)]
    assert len(lines) == 1, lines
    return profile.counters[lines[0]]


def near(value: float, analytic: float) -> bool:
    return abs(value - analytic) <= 0.03 * analytic + 64


@pytest.mark.parametrize(
    ("mark", "counter", "analytic"),
    [
        ("# stride 1", "d1_read_misses", LENGTH / DOUBLES_A_LINE),
        ("# stride 64", "d1_read_misses", LENGTH),
        ("# stride 64", "d1_bytes_unused", LENGTH * 56),
        ("# stride 1", "data_reads", LENGTH),
        ("# atomics", "atomics", ATOMICS),
        ("# atomics", "d1_read_misses", ATOMICS),
    ],
)
def test_counts_are_the_analytic_ones_and_on_the_line(profile, mark, counter, analytic):
    assert near(on(profile, mark)[counter], analytic)
    line = next(line for line in profile.counters if mark in profile.source(line))
    if counter == "atomics":
        assert profile.share(line, counter) >= 0.95


def test_misses_stand_on_the_planted_lines(profile):
    total = sum(counters.get("d1_misses", 0.0) for counters in profile.counters.values())
    planted_ = sum(on(profile, f"# {mark}")["d1_misses"] for mark in ("stride 1", "stride 64", "atomics"))
    assert planted_ >= 0.95 * total


def test_it_says_that_it_is_simulated_and_another_build(profile):
    assert any(note.startswith("simulated") for note in profile.notes)
    assert any("not the one that is timed" in note for note in profile.notes)
    assert {line.file for line in profile.counters} == {__file__}


def test_the_kept_file_is_read_by_callgrind_annotate(profile):
    lines = next(path for path in profile.artefacts if not path.endswith("addresses.callgrind.out"))
    told = subprocess.run(["callgrind_annotate", "--auto=yes", lines], capture_output=True, text=True, check=True)
    assert "test_callgrind.py" in told.stdout and "# stride 64" in told.stdout


@pytest.mark.timeout(900)
@needs_valgrind
def test_a_variant_of_a_kernel():
    kernel = kernels.get("signals")  # the quickest to compile
    found = callgrind.profile_variant(kernel, "baseline", workloads.synthetic(1, 2000, seed=3).events)
    assert found.title == "signals/baseline"
    assert found.total > 2000
    assert any("signals" in line.file for line in found.counters)


def test_without_valgrind_it_is_one_sentence(monkeypatch):
    monkeypatch.setattr(callgrind.shutil, "which", lambda name: None)
    with pytest.raises(WorkbenchError, match="valgrind is not installed"):
        callgrind.profile_call(add_bonus, 1.0)


def test_what_cannot_cross_is_one_sentence():
    with pytest.raises(InputError, match="cannot be taken"):
        callgrind.profile_call(add_bonus, object())
    with pytest.raises(InputError, match=r"compiled with numba\.njit"):
        callgrind.profile_call(len)


DUMP = """version: 1
creator: callgrind-3.19.0
cmd: python
part: 1
desc: Trigger: Client Request: workbench

positions: instr line
events: Ir Dr

ob=/lib/libm.so
fn=0x1000
0x1000 0 3 1
cob=/lib/libc.so
cfn=memcpy
calls=2 0x5000 0
0x1004 0 40 8
0x1008 0 5

totals: 48 9
"""


def test_dump_is_read_calls_apart(tmp_path):
    file = tmp_path / "callgrind.out.1"
    file.write_text(DUMP)
    dump = dumps.read(file)
    assert dump.events == ("Ir", "Dr") and "workbench" in dump.trigger
    own = [(cost.address, cost.amounts) for cost in dump.costs if not cost.called]
    assert own == [(0x1000, (3, 1)), (0x1008, (5, 0))]
    call = next(cost for cost in dump.costs if cost.called)
    assert (call.called, call.called_library, call.called_address, call.calls) == ("memcpy", "/lib/libc.so", 0x5000, 2)
    assert call.amounts == (40, 8)


@pytest.mark.parametrize(
    ("text", "what"), [("positions: line\n", "dump-instr"), ("0xzz 1 2\n", "not a cost"), ("", "events")]
)
def test_another_format_is_refused(tmp_path, text, what):
    file = tmp_path / "bad"
    file.write_text(text)
    with pytest.raises(WorkbenchError, match=what):
        dumps.read(file)


def test_written_totals_are_the_sums(tmp_path):
    path = tmp_path / "out"
    costs = [dumps.LineCost("f", "/a.py", 3, (5, 1)), dumps.LineCost("f", "/a.py", 2, (7, 0))]
    dumps.write(path, "f", ["Ir", "Dr"], costs, ["simulated"])
    text = path.read_text()
    assert "totals: 12 1" in text and text.index("\n2 7 0") < text.index("\n3 5 1")
