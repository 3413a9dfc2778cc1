"""A writer with a reader beside it: what is counted, and that a torn snapshot would be told."""

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

import kernels
from kernels._jit import kernel_jit
from kernels.messages import EVENT, Kind
from workbench.errors import InputError
from workbench.measure import readers

BOOK = kernels.get("order_book")


def trading(n=20_000):
    """Return events that add two orders to each of two symbols, then change one of them again and again."""
    events = np.zeros(n, EVENT)
    events["kind"], events["size"] = Kind.MODIFY, np.arange(n) % 50 + 1
    events["kind"][:4] = Kind.ADD
    events["order_id"] = np.arange(n) % 4 + 1
    events["symbol"], events["side"] = np.arange(n) % 4 // 2, np.arange(n) % 2
    events["price_ticks"] = 100 + np.arange(n) % 30 + 40 * events["side"]
    return events


def measured(names, **options):
    variants = [BOOK.variants[name] if isinstance(name, str) else name for name in names]
    return readers.measure_beside(variants, trading(), {"symbols": 2}, items=2, rounds=2, **options)


def test_variants_with_and_without_a_mutex_are_measured_alike():
    for result, name in zip(measured(["lock_free", "baseline"]), ["lock_free", "baseline"], strict=True):
        assert result.variant == f"order_book/{name}"
        assert result.torn == result.unchecked == 0
        assert result.reads > 0 and result.reads_per_s > 0
        assert result.alone_ns > 0 and result.beside_per_s == pytest.approx(1e9 / result.beside_ns)
        if result.latency_beside_ns["p99"]:
            assert result.latency_beside_ns["p99"] >= result.latency_beside_ns["p50"]


def test_a_rate_is_kept():
    (result,) = measured(["lock_free"], read_rate_per_s=200_000)
    busy_s = 4 * result.beside_ns * len(trading()) / 1e9
    assert result.reads < 200_000 * busy_s + 4 * 5_000  # those before the writer began, which a busy machine delays


@kernel_jit
def read_nonsense(state, item):
    return 1, 2, 3, 4, 0


def test_a_snapshot_that_never_was_is_told():
    variant = dataclasses.replace(BOOK.variants["lock_free"], read=read_nonsense)
    variant.kernel = BOOK
    (result,) = measured([variant])
    assert result.torn == 4  # one different snapshot in each of the four sides with a reader


def test_bad_requests_are_refused():
    with pytest.raises(InputError, match="ladder offers nothing that another thread can read"):
        measured(["ladder"])
    with pytest.raises(InputError, match="give a rate above 0"):
        measured(["lock_free"], read_rate_per_s=0)


def test_the_command_prints_a_table(tmp_path):
    np.save(tmp_path / "events.npy", trading(2000))
    arguments = ["order_book/lock_free", "--workload", str(tmp_path / "events.npy"), "--rounds", "1"]
    shown = CliRunner().invoke(readers.main, arguments)
    assert shown.exit_code == 0, shown.output
    assert "order_book/lock_free" in shown.output and "reads/s" in shown.output
    assert CliRunner().invoke(readers.main, ["order_book/none"]).exit_code == 2
