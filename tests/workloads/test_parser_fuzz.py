"""Damaged files of every format: refused in one sentence, or taken with as many events as there are messages.

``WORKBENCH_FUZZ`` sets how many messages each parser takes, without and with bounds checks.
"""

import os
import subprocess
import sys
from pathlib import Path

import parser_fuzz
import pytest

ROOT = Path(__file__).parents[2]
MESSAGES = int(float(os.environ.get("WORKBENCH_FUZZ", "20000")))


@pytest.mark.parametrize("name", list(parser_fuzz.FORMATS))
@pytest.mark.timeout(900 + MESSAGES // 500)  # nothing may be compiled yet
def test_fuzzed_files(name):
    if name == "databento":
        pytest.importorskip("databento_dbn")
    done, taken, refused = parser_fuzz.main(MESSAGES, 5, name)
    assert done >= MESSAGES and refused and taken + refused == done // parser_fuzz.MESSAGES


@pytest.mark.slow
@pytest.mark.timeout(900 + MESSAGES // 200)
def test_fuzzed_files_with_bounds_checks_on():
    pytest.importorskip("databento_dbn")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, parser_fuzz.__file__, str(MESSAGES), "6"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    first, *lines = done.stdout.splitlines()
    assert first == "IndexError" and [line.split(",")[0] for line in lines] == list(parser_fuzz.FORMATS)
