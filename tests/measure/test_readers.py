"""A writer with readers beside it: what is counted and compared, and that a torn snapshot would be told."""

import dataclasses

import numpy as np
import pytest

import kernels
from kernels._jit import kernel_jit
from kernels.messages import EVENT, Kind
from workbench.errors import InputError
from workbench.measure import readers, readers_replicate
from workbench.measure.clock import measure_clock
from workbench.measure.closed_loop import make_subjects, warm_up
from workbench.measure.driver import Request
from workbench.measure.progress import Silent
from workbench.measure.readers_job import BESIDE, ReadersJob
from workbench.measure.readers_watch import Watchers
from workbench.workloads import write_recording

BOOK = kernels.get("order_book")
SYMBOLS = 2


def trading(n=20_000):
    """Return events that add two orders to each of two symbols, then change one of them again and again."""
    events = np.zeros(n, EVENT)
    events["kind"], events["size"] = Kind.MODIFY, np.arange(n) % 50 + 1
    events["kind"][:4] = Kind.ADD
    events["order_id"] = np.arange(n) % 4 + 1
    events["symbol"], events["side"] = np.arange(n) % 4 // 2, np.arange(n) % 2
    events["price_ticks"] = 100 + np.arange(n) % 30 + 40 * events["side"]
    return events


@pytest.fixture
def recording(tmp_path):
    write_recording(tmp_path / "events.npy", trading())
    return tmp_path / "events.npy"


class Driver:
    """What a replicate says, kept; every question is answered at once."""

    def __init__(self):
        self.told = []

    def tell(self, **message):
        self.told.append(message)

    def ask(self, question, **message):
        return {}


@kernel_jit
def read_nonsense(state, item):
    return 1, 2, 3, 4, 0


def watched(read, period_ticks=0, cores=(0,)):
    """Replay twice with readers, of which `read` is the way to read; return what was seen the second time."""
    clock = measure_clock()
    (subject,) = make_subjects(BOOK, [BOOK.variants["lock_free"]], trading(), {"symbols": SYMBOLS}, clock)
    warm_up(subject)
    watchers = Watchers(read, subject.out, SYMBOLS, cores, period_ticks, clock.ns_per_tick)
    place = readers_replicate.Place(subject, watchers)
    for _ in range(2):
        seen = []
        place.replay(subject.plain, seen)
    return seen[0], clock


def test_a_snapshot_that_never_was_is_told():
    assert watched(read_nonsense)[0].torn == 1
    seen, _ = watched(BOOK.variants["lock_free"].read)
    assert seen.torn == seen.unchecked == 0 and seen.reads > 0


def test_several_readers_are_counted_together():
    seen, _ = watched(read_nonsense, cores=(0, 0))
    assert seen.torn == 2


def test_a_rate_is_kept():
    clock = measure_clock()
    seen, _ = watched(BOOK.variants["lock_free"].read, round(5000 / clock.ns_per_tick))
    assert 0 < seen.per_s < 1.2 * 200_000 + 2e9 / 20_000  # and the first read, which waits for nothing


def test_a_block_holds_every_writer_alone_and_with_readers_forward_and_backward(recording):
    names = ["order_book/baseline", "order_book/lock_free"]
    job = ReadersJob(selectors=names, input_file=str(recording), seconds=0.01, outcome_file="unused")
    driver = Driver()
    outcome = readers_replicate.measure(job, driver)
    order = [side.variant for side in outcome.replicate.blocks[0].sides]
    assert order[:4] == [name + mark for name in names for mark in ("", BESIDE)]
    assert order[4:] == order[3::-1]
    for side in outcome.replicate.blocks[-1].sides:
        assert bool(side.counters) is side.variant.endswith(BESIDE)
        assert side.elapsed_ns > 0 and side.operations == len(trading()) * outcome.share.repeats
        assert side.counters.get("torn", 0) == side.counters.get("unchecked", 0) == 0
    assert outcome.variants == names and outcome.parameters["symbols"] == SYMBOLS
    assert sum("block" in message for message in driver.told) == outcome.share.blocks


def request(recording, *names):
    return Request(list(names), replicates=1, seconds=0.01, input_file=str(recording))


def test_writer_and_readers_on_one_core_are_told_so(recording, monkeypatch):
    monkeypatch.setattr(readers_replicate, "allowed_cores", lambda: (0,))
    monkeypatch.setattr(readers_replicate, "highest_bytes", lambda: 123)  # its own, not what `getrusage` inherits
    job = ReadersJob(selectors=["order_book/lock_free"], input_file=str(recording), seconds=0.01, outcome_file="unused")
    outcome = readers_replicate.measure(job, Driver())
    monkeypatch.setattr(readers, "_replicates", lambda *given: [outcome])
    reading = readers.measure_readers(request(recording, "order_book/lock_free"), Silent())
    assert reading.cores == (0, 0)
    assert outcome.replicate.peak_rss_bytes == 123
    assert any("share core 0, the only one here" in note for note in reading.notes)
    by_name = {(row.variant, row.metric): row for row in reading.run.results}
    assert by_name["lock_free" + BESIDE, "reads_per_s"].value > 0
    assert by_name["lock_free" + BESIDE, "torn"].value == 0
    slowed = [row for row in reading.run.comparisons if row.metric == "throughput"]
    assert [(row.a, row.b) for row in slowed] == [("order_book/lock_free", "order_book/lock_free" + BESIDE)]


def test_what_cannot_be_read_is_refused():
    variants = [dataclasses.replace(BOOK.variants["ladder"]), BOOK.variants["lock_free"]]
    variants[0].kernel = BOOK
    with pytest.raises(InputError, match=r"ladder offers nothing that another thread can read.*lock_free"):
        readers_replicate.readable({BOOK: variants})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"readers": 0}, "give 1 or more"),
        ({"read_rate_per_s": 0.0}, "give a rate above 0"),
        ({"read_rate_per_s": float("nan")}, "give a rate above 0"),
    ],
)
def test_bad_requests_are_refused(recording, options, sentence):
    with pytest.raises(InputError, match=sentence):
        readers.measure_readers(request(recording, "order_book/lock_free"), Silent(), **options)


def test_two_kernels_are_refused(recording):
    with pytest.raises(InputError, match="variants of one"):
        readers.measure_readers(request(recording, "order_book/lock_free", "signals/simd"), Silent())
