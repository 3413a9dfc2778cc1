"""What variants cost besides time, and where each wins, in words computed from the record."""

import factory

from workbench.record import Result, Side, Verdict
from workbench.report.variants_words import (
    Compared,
    costs,
    counter_rows,
    counters,
    over_grid,
    variants_outcome,
    whole_run,
    winners,
)

CODE = {"baseline": (20_000.0, 9.0), "ladder": (50_000.0, 14.0), "aligned": (64_000.0, 30.0)}


def row(variant, metric, statistic, unit, value):
    return Result(
        kernel="order_book", variant=variant, metric=metric, statistic=statistic, unit=unit, value=value, low=None,
        high=None, samples=1,
    )  # fmt: skip


def measured(speeds, code=False):
    best = min(speeds, key=speeds.get)
    rows = [factory.comparison("order_book/baseline", f"order_book/{best}", 0.5, Verdict.FASTER, metric="throughput")]
    run = factory.run(speeds=speeds, comparisons=rows if best != "baseline" else [])
    more = [row(name, "service_time", "batch_mean", "ns", value) for name, value in speeds.items()]
    for name, (size, seconds) in CODE.items() if code else ():
        more += [row(name, "code_size", "sum", "bytes", size), row(name, "compile_time", "cold", "s", seconds)]
    return run.model_copy(update={"results": [*run.results, *more]})


def compared():
    main = measured({"baseline": 180.0, "ladder": 40.0, "aligned": 31.0}, code=True)
    small = measured({"baseline": 60.0, "ladder": 20.0, "aligned": 25.0})
    return Compared("order_book", main, (("1,000 events", small),), ("2 threads was left out: it is for one.",))


def test_the_fastest_is_told_with_its_price_and_where_another_one_wins():
    outcome = variants_outcome(compared())
    assert outcome.headline == "aligned is the fastest variant of order_book: 31.0 ns, 2 times as fast as baseline."
    told = " ".join(outcome.findings)
    assert "machine code 64.0 k bytes (3.20 times that of baseline)" in told
    assert "Compiling: least with baseline (9.00 s), most with aligned (30.0 s)." in told
    assert "At 1,000 events ladder is faster: 20.0 ns." in told
    assert "2 threads was left out: it is for one." in outcome.findings


def test_the_fastest_is_told_only_where_the_blocks_say_so():
    """The shortest mean is no verdict: 20.0 and 20.1 ns are one time, and 31.0 and 31.1 as well."""
    main = measured({"baseline": 180.0, "ladder": 31.1, "aligned": 31.0})
    point = measured({"baseline": 60.0, "ladder": 20.0, "aligned": 20.1})
    other = measured({"baseline": 60.0, "ladder": 20.0, "aligned": 25.0})
    alike = variants_outcome(Compared("order_book", main, (("1,000 events", point),)))
    assert alike.headline == (
        "aligned and ladder cannot be told apart as the fastest variants of order_book: 31.0 ns and 31.1 ns, aligned "
        "2 times as fast as baseline."
    )
    assert "aligned and ladder cannot be told apart at the other point too." in alike.findings
    sure = variants_outcome(Compared("order_book", other, (("1,000 events", point),)))
    assert sure.headline.startswith("ladder is the fastest variant of order_book: 20.0 ns")
    assert "At 1,000 events ladder and aligned cannot be told apart: 20.0 ns and 20.1 ns." in sure.findings
    same = variants_outcome(Compared("order_book", other, (("1,000 events", other),)))
    assert "ladder is the fastest at the other point too." in same.findings
    assert not any("faster" in each for each in (*alike.findings, *sure.findings))
    unknown = other.model_copy(update={"replicates": []})
    assert "cannot be told apart" in variants_outcome(Compared("order_book", unknown)).headline
    assert winners(Compared("order_book", main)).rows[0][1] == "aligned or ladder"


def test_the_tables_hold_every_variant_and_point():
    assert [r[0] for r in costs(compared()).rows] == ["baseline", "ladder", "aligned"]
    assert costs(compared()).rows[2][-2:] == ("64.0 k bytes", "30.0 s")
    assert [(r[0], r[1], r[4]) for r in winners(compared()).rows] == [
        ("as above", "aligned", "FASTER"), ("1,000 events", "ladder", "FASTER")
    ]  # fmt: skip


def test_a_point_has_its_own_names_in_the_record():
    run = whole_run(compared())
    assert {r.variant for r in run.results if r.variant.startswith("ladder")} == {"ladder", "ladder@1,000 events"}
    assert ("order_book/baseline@1,000 events", "order_book/ladder@1,000 events") in {
        (r.a, r.b) for r in run.comparisons
    }
    assert run.notes[-1].startswith("2 threads was left out")


def test_what_the_probe_counted_is_told_for_an_operation():
    run = factory.run(speeds={"baseline": 100.0})
    replicate = run.replicates[0]
    side = Side(variant="order_book/baseline", place=0, operations=100, elapsed_ns=5, counters={"lines": 250})
    block = replicate.blocks[0].model_copy(update={"sides": [side, side]})
    run = run.model_copy(update={"replicates": [replicate.model_copy(update={"blocks": [block]})]})
    (counted,) = counter_rows(run, "order_book")
    assert (counted.metric, counted.value, counted.samples) == ("counter.lines", 2.5, 200)
    told = Compared("order_book", run.model_copy(update={"results": [*run.results, counted]}))
    assert counters(told).rows == (("baseline", "2.5"),)


def test_a_kernel_for_one_thread_leaves_threads_out():
    told = over_grid(compared(), threads=[2])
    assert told.points == () and "is a kernel for one thread" in told.left_out[0]
