"""The fixture: functions are measured in fresh processes, judged, kept in the store, and told.

Against another function both run side by side in the same processes. Against a saved baseline of the same test the two
were measured at different times, so a yardstick that nobody changes runs beside the function, then and now, and what
the machine did to it is taken out. Nothing fails but SLOWER, and that only when fresh processes confirm it.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from workbench import policy, record
from workbench.errors import InputError, WorkbenchError
from workbench.gate.baseline import compare_with_baseline
from workbench.gate.margins import Margins
from workbench.measure.driver import Measurement, Report, Request
from workbench.measure.function_name import name_function, short_name
from workbench.measure.functions import Examined, arguments_of, examine, request
from workbench.measure.machine import fingerprint
from workbench.measure.results import compare
from workbench.measure.runs import build_run
from workbench.record import Verdict
from workbench.store import open_store
from workbench.testing.names import kernel_of
from workbench.testing.settings import Line, Settings

BASELINE = "pytest"  # the name of every test's baseline; the kernel says which project, Python and test
Setup = Callable[[], Any] | None


class Performance:
    """What the fixture ``performance`` is. One for each test."""

    def __init__(
        self,
        test: str,
        module: ModuleType | None,
        settings: Settings,
        keep: Callable[[Line], None],
        tell: Callable[[str], None],
    ):
        self._test, self._module, self._settings = test, module, settings
        self._keep, self._tell = keep, tell
        self._times = 0

    def __call__(self, function: Callable[..., Any], *arguments: Any, setup: Setup = None) -> record.Comparison | None:
        """Judge `function` against the baseline of this test; save one where there is none yet.

        The arguments are `arguments`, or what `setup` returns. Returns the comparison, None where nothing was judged.
        Fails the test when it is SLOWER, or when it cannot be measured, with one sentence.
        """
        with _failures():
            name = short_name(function)
            given = arguments_of(arguments, setup)
            examined = examine(self._next_kernel(), {name: function}, given)
            if self._settings.against is not None:
                return self._against_revision(examined, name, given, setup)
            return self._against_baseline(examined, name, given, setup)

    def compare(
        self,
        old: Callable[..., Any],
        new: Callable[..., Any],
        *arguments: Any,
        setup: Setup = None,
        tolerance: float | None = 1e-9,
    ) -> record.Comparison | None:
        """Judge `new` against `old`, interleaved in the same processes, on the same arguments.

        Both must return the same, up to a relative `tolerance` of floating-point numbers; None compares no results.
        """
        with _failures():
            a, b = short_name(old), short_name(new)
            if old is new:
                raise InputError(f"{a} is compared with itself: give two functions")
            if a == b:
                a, b = f"{a} (old)", f"{b} (new)"
            given = arguments_of(arguments, setup)
            examined = examine(self._next_kernel(), {a: old, b: new}, given, tolerance)
            return self._side_by_side(examined, a, b, given, setup)

    def _side_by_side(
        self, examined: Examined, a: str, b: str, arguments: Sequence[Any], setup: Setup
    ) -> record.Comparison | None:
        first, second = f"{examined.kernel}/{a}", f"{examined.kernel}/{b}"

        def once() -> tuple[record.Run, record.Comparison]:
            report = self._measure(examined, arguments, setup)
            run = build_run(report, [])
            rows = compare(run.replicates, first, second, margins=self._margins())
            rows = [_without_change(row, run) for row in rows]
            return run.model_copy(update={"comparisons": rows, "notes": [*run.notes, *examined.notes]}), _mean(rows)

        run, row = self._confirmed(once)
        return self._conclude(f"{b} against {a}", row, run.record_id, examined.notes)

    def _against_revision(
        self, examined: Examined, name: str, arguments: Sequence[Any], setup: Setup
    ) -> record.Comparison | None:
        from workbench.testing.revision import measure_against

        revision = self._settings.against or ""
        found = name_function(examined.functions[name], self._module)

        def once() -> tuple[record.Run, record.Comparison]:
            with self._request(examined, arguments, setup, any_file=True) as wanted:
                report, *labels = measure_against(wanted, found, revision, _Telling(self._tell))
            run = build_run(report, [])
            then, now = (f"{examined.kernel}/{name}@{label}" for label in labels)
            rows = [_without_change(row, run) for row in compare(run.replicates, then, now, margins=self._margins())]
            return run.model_copy(update={"comparisons": rows, "notes": [*run.notes, *examined.notes]}), _mean(rows)

        run, row = self._confirmed(once)
        return self._conclude(f"{name} against {revision}", row, run.record_id, examined.notes)

    def _against_baseline(
        self, examined: Examined, name: str, arguments: Sequence[Any], setup: Setup
    ) -> record.Comparison | None:
        store = open_store()
        baseline = None
        if not self._settings.save:
            found = store.baseline(BASELINE, examined.kernel, fingerprint().hardware_key)
            baseline = found if isinstance(found, record.Run) else None
        if baseline is None:
            run = build_run(self._measure(examined, arguments, setup, yardstick=True), [])
            store.save_baseline(BASELINE, run)
            figure = _time_of(run, name)
            self._line(name, None, figure, "saved as this test's baseline, to be judged against from now on", run)
            return None
        since = f"its baseline of {baseline.created:%Y-%m-%d %H:%M}"
        title = f"{name} against {since}"
        if baseline.workload.sha256 != examined.workload.sha256:
            why = "its arguments are not the baseline's: make the same ones each time, or give --performance-save"
            self._finish(Line(self._test, title, Verdict.UNRESOLVED.value, "", why))
            return None
        if all(row.variant != name for row in baseline.results):
            why = f"its baseline is of another function, not of {name}: give --performance-save"
            self._finish(Line(self._test, title, Verdict.UNRESOLVED.value, "", why))
            return None
        if _hash_of(baseline, f"{examined.kernel}/{name}") == examined.code_hash.get(name, "") != "":
            why = "no code change: the same machine code and arguments, so nothing was timed"
            self._finish(Line(self._test, title, Verdict.UNCHANGED.value, "", why, baseline.record_id))
            return None
        settings = baseline.parameters[examined.kernel]

        def once() -> tuple[record.Run, record.Comparison]:
            report = self._measure(examined, arguments, setup, yardstick=True, settings=settings)
            run = build_run(report, [])
            margins = Margins({"": {"throughput": self._margins()["mean"]}})
            rows = compare_with_baseline(run, baseline, BASELINE, ("throughput",), margins)
            rows = [row for row in rows if row.b == f"{examined.kernel}/{name}"]
            return run.model_copy(update={"comparisons": rows, "notes": [*run.notes, *examined.notes]}), _mean(rows)

        run, row = self._confirmed(once)
        return self._conclude(title, row, run.record_id, examined.notes)

    def _measure(self, examined: Examined, arguments: Sequence[Any], setup: Setup, **options: Any) -> Report:
        """Time what was examined in fresh processes. Waits for its turn where another timing job runs, and says so."""
        with self._request(examined, arguments, setup, **options) as wanted:
            return Measurement(wanted, _Telling(self._tell)).run()

    @contextlib.contextmanager
    def _request(self, examined: Examined, arguments: Sequence[Any], setup: Setup, **options: Any) -> Iterator[Request]:
        """Give a request for what was examined, whose files exist inside the block. `options` are `request`'s."""
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            yield request(
                examined,
                Path(folder),
                arguments=arguments,
                setup=setup,
                module=self._module,
                paths=[path for path in sys.path if path],
                replicates=self._settings.replicates or policy.REPLICATES,
                seconds=self._settings.seconds or policy.SECONDS,
                **options,
            )

    def _confirmed(
        self, once: Callable[[], tuple[record.Run, record.Comparison]]
    ) -> tuple[record.Run, record.Comparison]:
        """Measure; where that says SLOWER, again in fresh processes: it stands only when both say so. All are kept."""
        store = open_store()
        run, row = once()
        store.add(run)
        if row.verdict is not Verdict.SLOWER:
            return run, row
        again, second = once()
        store.add(again)
        if second.verdict is Verdict.SLOWER:
            return again, second
        reason = f"SLOWER at first ({row.ratio:.3f}), which fresh processes did not confirm"
        return again, second.model_copy(update={"verdict": Verdict.UNRESOLVED, "reason": reason})

    def _conclude(self, title: str, row: record.Comparison, record_id: str, notes: Sequence[str]) -> record.Comparison:
        figure = f"{row.ratio:.3f} ({row.low:.3f} .. {row.high:.3f})"
        reason = "; ".join([row.reason, *notes] if row.reason else notes)
        self._finish(Line(self._test, title, row.verdict.value, figure, reason, record_id))
        return row

    def _line(self, title: str, verdict: Verdict | None, figure: str, reason: str, run: record.Run) -> None:
        self._keep(Line(self._test, title, verdict.value if verdict else None, figure, reason, run.record_id))

    def _finish(self, line: Line) -> None:
        """Keep the line, and fail the test where its verdict asks for that."""
        self._keep(line)
        unclear = line.verdict in (Verdict.UNRESOLVED.value, Verdict.ENVIRONMENT_INVALID.value)
        if line.verdict == Verdict.SLOWER.value or (unclear and self._settings.strict):
            pytest.fail(line.sentence, pytrace=False)

    def _margins(self) -> dict[str, float]:
        threshold = self._settings.threshold
        if threshold is None:
            return policy.MARGINS
        return {
            name: max(threshold, margin) if margin > policy.MARGIN else threshold
            for name, margin in policy.MARGINS.items()
        }

    def _next_kernel(self) -> str:
        """Return the name of the next measurement of this test as a kernel."""
        self._times += 1
        name = kernel_of(self._settings.project, self._test)
        return name if self._times == 1 else f"{name} #{self._times}"


class _Telling:
    """Progress for a test run: nothing but what a person has to wait for."""

    def __init__(self, tell: Callable[[str], None]):
        self._tell = tell

    def note(self, text: str) -> None:
        """Say that it waits for another timing job."""
        if text.startswith("waiting"):
            self._tell(text)

    def advance(self, done: float, doing: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Turn what cannot be measured into a failure of one sentence."""
    try:
        yield
    except WorkbenchError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _mean(rows: Sequence[record.Comparison]) -> record.Comparison:
    """Return the row that decides: the mean of a call, from the runs without a probe."""
    return next(row for row in rows if row.metric == "throughput")


def _without_change(row: record.Comparison, run: record.Run) -> record.Comparison:
    """Two functions of the same machine code differ by the environment only, whatever was measured."""
    codes = [_hash_of(run, name) for name in (row.a, row.b)]
    if codes[0] and codes[0] == codes[1] and row.verdict in (Verdict.SLOWER, Verdict.FASTER):
        reason = "both have the same machine code: the environment or the memory layout made the difference"
        return row.model_copy(update={"verdict": Verdict.ENVIRONMENT_INVALID, "reason": reason})
    return row


def _hash_of(run: record.Run, variant: str) -> str:
    """Return the hash of a variant's machine code; empty where it is unknown or not the same in all processes."""
    found = {replicate.code_hash.get(variant, "") for replicate in run.replicates}
    return found.pop() if len(found) == 1 else ""


def _time_of(run: record.Run, name: str) -> str:
    means = [row for row in run.results if row.variant == name and row.statistic == "batch_mean"]
    return f"{means[0].value:,.4g} ns a call" if means else ""
