"""Random events, good and bad, on every variant at once: no crash, the reference's answers, and counts that add up.

``WORKBENCH_FUZZ`` sets how many messages each variant takes, without and with bounds checks.
"""

import os
import subprocess
import sys
from pathlib import Path

import book_fuzz
import pytest
from streams import ANY_EVENTS, BOOK, OURS

ROOT = Path(__file__).parents[3]
MESSAGES = int(float(os.environ.get("WORKBENCH_FUZZ", "40000")))


@pytest.mark.timeout(900 + MESSAGES // 500)
def test_fuzzed_events():
    variants = [BOOK.variants[name] for name in ANY_EVENTS if not BOOK.variants[name].missing()]
    assert book_fuzz.main(MESSAGES, 21, variants) >= MESSAGES


@pytest.mark.slow
@pytest.mark.timeout(900 + MESSAGES // 500)
@pytest.mark.parametrize("name", OURS)
def test_fuzzed_events_with_bounds_checks_on(name):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, book_fuzz.__file__, name, str(MESSAGES), "22"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    first, count = done.stdout.split()
    assert first == "IndexError" and int(count) >= MESSAGES
