"""Find the commit that made a variant slower: machine code first, time in turns where it differs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from workbench import policy
from workbench.commands._measuring import make_request, measuring_options
from workbench.errors import Exit, InputError

if TYPE_CHECKING:
    from workbench.measure.bisecting import Finding
    from workbench.measure.codes import Memo
    from workbench.measure.driver import Request
    from workbench.measure.git import Revision
    from workbench.measure.revisions import Source
    from workbench.measure.turns_job import Code
    from workbench.record import Comparison

ON = {"throughput": ("throughput", "mean"), "p50": ("service_time", "p50"), "p99": ("service_time", "p99")}


@click.command("bisect")
@click.argument("good")
@click.argument("bad")
@click.argument("variant", metavar="KERNEL/VARIANT")
@click.option("--on", default="throughput", show_default=True, type=click.Choice(list(ON)), help="What became slower.")
@click.option(
    "--threshold", type=click.FloatRange(min=0, min_open=True), metavar="PERCENT", help="What counts. [3; p99: 10]"
)
@measuring_options
def command(good: str, bad: str, variant: str, on: str, threshold: float | None, as_json: bool, **options: Any) -> int:
    """Find the commit between GOOD and BAD that made KERNEL/VARIANT slower.

    Walks the first parents. A commit whose machine code is that of one already judged is not timed; another is timed
    against GOOD, in two processes that take turns; one that is not sure is measured once more, then skipped, as is
    one that cannot be imported or compiled. BAD may be ".", the folder as it is now. --seconds are for each commit.

    Exit codes: 0 found, 4 not sure (also where skipped commits could be the one), 2 nothing to find or wrong usage.

    \b
    workbench bisect v1.2 HEAD order_book/aligned
    workbench bisect main~40 . mykernel/fast -m mypackage.mykernel --on p99 --threshold 20
    """
    from workbench.measure.bisecting import Bisection, UnresolvedError
    from workbench.measure.git import first_parents, resolve
    from workbench.measure.revisions import source_of

    if "/" not in variant:
        raise InputError(f"{variant} names no variant: write KERNEL/VARIANT")
    if threshold is not None and not math.isfinite(threshold):  # click's range lets nan through
        raise InputError(f"a threshold of {threshold:g} % cannot be judged: give a number above 0")
    request = make_request([variant], **options)
    source = source_of(request.modules, request.paths)
    first, last = resolve(source.repository, good), resolve(source.repository, bad)
    commits = first_parents(source.repository, first, last)
    margin = policy.margin_for(ON[on][1]) if threshold is None else threshold / 100
    bench = Bench(source, first, request, on, margin)

    def tell(text: str) -> None:
        click.echo(text, err=True)

    tell(f"{len(commits)} commits from {first} to {commits[-1]}")
    try:
        finding = Bisection(first, commits, bench.look, bench.judge, tell).run()
    except UnresolvedError as error:
        click.echo(
            json.dumps({"schema": "workbench/bisect/1", "found": None, "reason": str(error)}) if as_json else error
        )
        return Exit.UNRESOLVED
    click.echo(_document(finding, variant) if as_json else "\n".join(_lines(finding, variant, first)))
    return Exit.UNRESOLVED if finding.suspects else Exit.FINE


class Bench:
    """Looks at a commit's machine code and times it against the good one."""

    def __init__(self, source: Source, good: Revision, request: Request, on: str, margin: float):
        self._source = source
        self._good = good
        self._request = request
        self._on = ON[on]
        self._margin = margin
        self._by_source: Memo = {}
        self._by_tree: dict[tuple[str | None, ...], Code] = {}

    def look(self, revision: Revision) -> Code:
        """Return the code of the variant in `revision`; what has the same files is not looked at twice."""
        from workbench.measure.codes import codes_in_arms
        from workbench.measure.git import tree_of
        from workbench.measure.progress import Silent
        from workbench.measure.revisions import arms_of

        folders = self._source.folders if self._request.modules else ("kernels",)
        trees = tuple(tree_of(self._source.repository, revision, folder) for folder in folders)
        if trees in self._by_tree and None not in trees:
            return self._by_tree[trees]
        with arms_of(self._source, [revision]) as arms:
            found, _ = codes_in_arms(self._request, arms, Silent(), self._by_source)
        if not found:
            raise InputError(f"{self._request.selectors[0]} is a peer's code, which no commit here changes")
        code = found[0].codes[0]
        assert code is not None
        self._by_tree[trees] = code
        return code

    def judge(self, revision: Revision) -> Comparison:
        """Time `revision` against the good one; where that is not sure, once more with as many processes again.

        Each of the two looks may be wrong half as often, so that both together are wrong as often as one look.
        """
        from workbench.measure.plan import Plan
        from workbench.measure.progress import choose_progress
        from workbench.measure.revisions import arms_of
        from workbench.measure.turns import measure_in_turns
        from workbench.record import Verdict

        with arms_of(self._source, [self._good, revision]) as arms:
            report = measure_in_turns(self._request, arms, choose_progress())
            names = [chosen.name for chosen in report.outcomes[0].chosen]
            replicates = [outcome.replicate for outcome in report.outcomes]
            row = self._row(replicates, names)
            if row.verdict is Verdict.UNRESOLVED:
                plans = {name: Plan(each.blocks, each.repeats) for name, each in report.outcomes[0].shares.items()}
                again = replace(self._request, replicates=max(self._request.replicates, 2))
                begin = self._request.replicates
                more = measure_in_turns(again, arms, choose_progress(), plans=plans, first_replicate=begin)
                row = self._row([*replicates, *(outcome.replicate for outcome in more.outcomes)], names)
        return row

    def _row(self, replicates: list[Any], names: list[str]) -> Comparison:
        from workbench.measure.results import compare, not_compared

        metric, statistic = self._on
        rows = compare(replicates, names[0], names[1], alpha=policy.ALPHA / 2, margins={statistic: self._margin})
        for row in rows:
            if (row.metric, row.statistic) == (metric, statistic):
                return row
        raise InputError("; ".join(not_compared(replicates, names[0], names[1])) or f"{statistic} was not measured")


def _lines(finding: Finding, variant: str, good: Revision) -> list[str]:
    from workbench.measure.bisecting import in_words

    lines = [f"the first slow commit is {finding.first}", f"{variant}: {in_words(finding.row)} of {good}"]
    if finding.suspects:
        told = "; ".join(str(each) for each in finding.suspects)
        lines.append(f"it may be one of these instead, which were skipped: {told}")
    if finding.functions:
        lines.append(f"other machine code than in the last good commit: {', '.join(finding.functions)}")
    return [*lines, f"{finding.looked} revisions were looked at, {finding.timed} of them timed"]


def _document(finding: Finding, variant: str) -> str:
    made = {
        "schema": "workbench/bisect/1",
        "found": {"commit": finding.first.commit, "subject": finding.first.subject},
        "variant": variant,
        "comparison": finding.row.model_dump(mode="json"),
        "changed_functions": finding.functions,
        "suspects": [{"commit": each.commit, "subject": each.subject} for each in finding.suspects],
        "looked": finding.looked,
        "timed": finding.timed,
    }
    return json.dumps(made)
