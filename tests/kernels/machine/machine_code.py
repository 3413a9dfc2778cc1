"""What the tests of this folder share: the machine code of a function, and runs under another target."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numba
import pytest

from kernels._jit import OPTIONS

IS_X86 = llvm.get_process_triple().startswith("x86_64")
needs_x86 = pytest.mark.skipif(not IS_X86, reason="the expected instructions are those of x86-64")
TARGETS = {
    "x86-64": {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""},
    "x86-64-v3": {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""},
    "host": {},
}


def assembly(function, *signature):
    """Compile `function` in memory (the disk cache keeps no listing); return its own body, one space between words."""
    dispatcher = numba.njit(**OPTIONS)(function)
    dispatcher.compile(signature)
    (listing,) = dispatcher.inspect_asm().values()
    return re.sub(r"[ \t]+", " ", body(listing, function.__name__))


def body(listing, name):
    """Cut the compiled function out of a listing: not the wrapper that Python calls."""
    labels = [m for m in re.finditer(r"^(_ZN\S+):", listing, re.M) if name in m[1] and "cpython" not in m[1]]
    assert labels, f"no function {name} in the listing"
    start = labels[0].end()
    end = re.search(r"^\.Lfunc_end|^\s+\.size\s", listing[start:], re.M)
    return listing[start : start + end.start()] if end else listing[start:]


def run_program(name, target, *arguments):
    """Run a program of this folder in a fresh process for `target`; return the JSON that it prints."""
    if target != "host" and not IS_X86:
        pytest.skip("the other targets are those of x86-64")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_CPU")}
    environment |= TARGETS[target]
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[3]), str(Path(__file__).parent)])
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name(name)), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
