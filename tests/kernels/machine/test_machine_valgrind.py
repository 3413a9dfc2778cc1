"""Client requests: nothing happens without Valgrind, and only the marked region is counted with it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from machine_code import TARGETS, assembly, needs_x86, run_program

from kernels.machine import valgrind

PROGRAM = Path(__file__).with_name("valgrind_program.py")
CALLGRIND = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no", "--cache-sim=yes"]
GEOMETRY = ["--I1=32768,8,64", "--D1=32768,8,64", "--LL=8388608,16,64"]


def test_nothing_happens_without_valgrind():
    assert run_program("valgrind_program.py", "x86-64-v3") == {"total": 16384.0, "valgrinds": 0}


@needs_x86
def test_a_request_is_the_sequence_that_valgrind_looks_for():
    def asks():
        valgrind.toggle_collect()

    listing = assembly(asks)
    assert re.findall(r"rolq \$(\d+), %rdi", listing) == ["3", "13", "61", "51"]
    assert "xchgq %rbx, %rbx" in listing


@needs_x86
@pytest.mark.valgrind
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_only_the_marked_region_is_counted(tmp_path):
    run_program("valgrind_program.py", "x86-64-v3")  # compiled and cached outside
    environment = {**os.environ, **TARGETS["x86-64-v3"]}
    environment["PYTHONPATH"] = os.pathsep.join([str(PROGRAM.parents[3]), str(PROGRAM.parent)])
    command = [*CALLGRIND, *GEOMETRY, f"--callgrind-out-file={tmp_path}/out", sys.executable, str(PROGRAM)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=800)
    assert json.loads(done.stdout) == {"total": 16384.0, "valgrinds": 1}
    (dump,) = (file for file in tmp_path.iterdir() if "walk by 8" in file.read_text())
    events = re.search(r"^events: (.+)$", dump.read_text(), re.M)[1].split()
    counted = re.search(r"^(?:summary|totals): (.+)$", dump.read_text(), re.M)[1].split()
    counts = dict(zip(events, map(int, counted), strict=False))
    assert 8192 <= counts["Dr"] <= 2 * 8192  # the elements and what LLVM spills; an interpreter would make millions
    assert 8192 <= counts["D1mr"] <= 8192 + 64  # each of them on a line of its own, and 512 KB fit no L1
