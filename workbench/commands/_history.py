"""How `workbench history` prints, and how it accepts a step."""

from __future__ import annotations

import datetime
import getpass
import itertools
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from workbench.gate.history import SeriesHistory
    from workbench.store import Store

_BARS = "▁▂▃▄▅▆▇█"
SPARKS = 20  # columns of a sparkline


def accept_steps(
    store: Store,
    histories: Sequence[SeriesHistory],
    chosen: Sequence[tuple[str, str | None]],
    night: datetime.date,
    because: str,
    by: str | None,
    metric: str | None,
    statistic: str | None,
    now: datetime.datetime,
) -> None:
    """Keep the step of `night` as accepted, for what was chosen. Raises InputError where there is no step near it."""
    from workbench.gate.history import step_near
    from workbench.store.steps import AcceptedStep, accept

    who = (by or _login()).strip()
    if not because.isprintable() or not who.isprintable() or max(len(because), len(who)) > 500:
        raise InputError("--because and --by take at most 500 printable characters: write one line")
    found: dict[AcceptedStep, None] = {}
    for kernel, variant in chosen:
        for history in histories:
            key, near = history.series.key, step_near(history, night)
            if near and key.kernel == kernel and variant in (None, key.variant):
                first = min(night, history.series.nights[near.change.index].date)
                known = AcceptedStep(kernel, variant, metric, statistic, key.hardware_key, first, because, who, now)
                found[known] = None
    if not found:
        there = sorted({str(h.series.nights[step.change.index].date) for h in histories for step in h.steps})
        raise InputError(f"there is no step near {night}: steps are at {', '.join(there) or 'no night'}")
    for known in found:
        accept(store, known)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise InputError("this user has no name: say who accepts with --by NAME") from None


def print_histories(histories: Sequence[SeriesHistory], where: str, page: Path | None) -> None:
    """Print the table of series, then their steps, then what to do next."""
    from rich.console import Console
    from rich.markup import escape

    from workbench.gate.history_words import details

    if not histories:
        click.echo(f"{where} has no night of this yet: `workbench run KERNEL` measures and saves one")
        return
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)
    parts = _parts(histories)
    if len(parts) > 1:
        console.print(f"{len(parts)} groups: machines, inputs and parameters are never mixed in one series")
    console.print("changes are of the cost, also where more is better: above zero is slower")
    for about, part in parts.items():
        console.print(escape(about))
        console.print(_table(part), soft_wrap=False)
        for history in part:
            if lines := details(history):
                console.print(escape(history.series.key.name))
                for line in lines:
                    console.print("  " + escape(line))
    if page is not None:
        console.print(f"page: {escape(str(page))}")


def _table(histories: Sequence[SeriesHistory]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from workbench.gate import history_words as words

    table = Table(box=None, pad_edge=False)
    for column in ("series", "nights", "newest", "cost to the last", "trend", "state"):
        table.add_column(column, justify="left" if column in ("series", "trend", "state") else "right", no_wrap=True)
    for history in histories:
        values = [night.value for night in history.series.nights]
        row = (
            history.series.key.name,
            str(len(values)),
            words.newest_value(history),
            words.to_the_last(history),
            sparkline(values),
            words.state(history),
        )
        table.add_row(*map(escape, row))
    return table


def sparkline(values: Sequence[float], columns: int = SPARKS) -> str:
    """Return `values` as bars, medians where there are more than columns; the lowest is the least of them."""
    from workbench.stats.median import median

    if not values:
        return ""
    count = min(columns, len(values))
    edges = [round(place * len(values) / count) for place in range(count + 1)]
    logs = [math.log(median(values[start:end])) for start, end in itertools.pairwise(edges)]
    low, span = min(logs), max(logs) - min(logs)
    if span < 1e-12:
        return _BARS[0] * count
    return "".join(_BARS[min(len(_BARS) - 1, int((each - low) / span * len(_BARS)))] for each in logs)


def _parts(histories: Sequence[SeriesHistory]) -> dict[str, list[SeriesHistory]]:
    """Return the series by machine, input and parameters."""
    from workbench.gate.history_words import about

    parts: dict[str, list[SeriesHistory]] = {}
    for history in histories:
        parts.setdefault(about(history), []).append(history)
    return parts
