"""Timing a feed from its bytes: both sides see the same book, and what is wrong is said."""

import subprocess
import sys

import numpy as np
import pytest

import kernels
from kernels.feeds.itch import ItchError
from workbench import workloads
from workbench.errors import InputError
from workbench.measure import feed

BOOK = kernels.get("order_book")


@pytest.fixture(scope="module")
def itch(tmp_path_factory):
    path = tmp_path_factory.mktemp("feed") / "market.itch"
    market = workloads.synthetic(symbols=2, events=20_000, seed=3)
    workloads.write_itch(path, market.events, tick_sizes=market.tick_sizes)
    return path


def test_pairs_are_timed_and_compared(itch):
    data = np.fromfile(itch, np.uint8)
    parsing, given = feed.measure(data, BOOK.variants["aligned"], BOOK.variants["ladder"], 0.01)
    assert len(parsing) == len(given) >= feed.LEAST_PAIRS
    assert min(parsing + given) > 0


def test_it_prints_the_ratio_and_refuses_what_is_not_there(itch):
    run = [sys.executable, "-m", "workbench.measure.feed"]
    done = subprocess.run(
        [*run, itch, "order_book/aligned", "order_book/ladder", "--seconds", "0.01"], capture_output=True, text=True
    )
    assert (done.returncode == 0 and "ratio 0." in done.stdout) or "ratio 1." in done.stdout, done.stderr
    done = subprocess.run([*run, itch, "order_book/nothing", "order_book/ladder"], capture_output=True, text=True)
    assert done.returncode == 2 and "no variant 'order_book/nothing'" in done.stderr


def test_damaged_bytes_and_unknown_names_are_refused(itch):
    data = np.fromfile(itch, np.uint8)
    with pytest.raises(ItchError):
        feed.measure(data[:-3], BOOK.variants["aligned"], BOOK.variants["ladder"], 0.01)
    with pytest.raises(InputError):
        feed._variant("nothing/at_all")
