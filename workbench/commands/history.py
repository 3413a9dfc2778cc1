"""Show a kernel's figures over the nights: steps, their causes, drift; exit 3 when the newest level is too slow."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.errors import Exit, InputError
from workbench.record import Verdict

if TYPE_CHECKING:
    from workbench.gate.history import SeriesHistory
    from workbench.gate.series import Series
    from workbench.store import Store

METRICS = ("service_time", "response_time", "throughput")
PIN = "history"


@click.command("history")
@click.argument("selectors", nargs=-1, metavar="[KERNEL[/VARIANT]]...")
@click.option("--metric", help="Only this metric.  [service_time, response_time and throughput]")
@click.option("--statistic", help="Only this statistic, as p99.  [all]")
@click.option("--since", metavar="DATE", help="Leave out what was measured before this day.")
@click.option("--accept", "accepted", metavar="DATE|RECORD", help="The step of that night is known and wanted.")
@click.option("--because", metavar="TEXT", help="With --accept: why.")
@click.option("--by", metavar="NAME", help="With --accept: who.  [the login name]")
@click.option("--pin", metavar="DATE|RECORD", help="Hold every later night against this one.")
@click.option("--html", "page", metavar="FILE", type=click.Path(path_type=Path), help="Write a page with plots.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    selectors: tuple[str, ...],
    metric: str | None,
    statistic: str | None,
    since: str | None,
    accepted: str | None,
    because: str | None,
    by: str | None,
    pin: str | None,
    page: Path | None,
    as_json: bool,
) -> int:
    """Show a kernel's figures over the nights: steps, their causes, drift; exit 3 when the newest level is too slow.

    Of several runs in one night the median counts. A level needs five nights, so steps are looked for from ten on.
    Without KERNEL, all that the store holds. An accepted step is no regression any more, and what follows it becomes
    the base; so does a pinned night. Both are kept in the store, acceptances with who, when and why.

    \b
    workbench history order_book
    workbench history order_book/aligned --statistic p99 --html history.html
    workbench history order_book --accept 2026-11-03 --because "bounds checks, wanted"
    workbench history order_book --pin 2026-11-20
    """
    from workbench.store import open_store

    _check(selectors, accepted, because, pin)
    store = open_store()
    chosen = _chosen(store, selectors)
    first = None if since is None else _date(since, "--since")
    now = datetime.datetime.now(datetime.UTC)
    series = [
        one for kernel, variant in chosen for one in _series(store, kernel, variant, metric, statistic, first, now)
    ]
    if pin is not None:
        _pin(store, pin, chosen, series)
    histories = _analyse(store, series)
    if accepted is not None:
        from workbench.commands._history import accept_steps

        night = _night(store, accepted)
        accept_steps(store, histories, chosen, night, str(because), by, metric, statistic, now)
        histories = _analyse(store, series)
    if page is not None:
        from workbench.report.history import write_history

        write_history(page, histories, store.where)
    if as_json:
        from workbench.gate.history_words import document

        click.echo(json.dumps(document(histories)))
    else:
        from workbench.commands._history import print_histories

        print_histories(histories, store.where, page)
    slower = any(history.verdict is Verdict.SLOWER for history in histories)
    return Exit.REGRESSION if slower else Exit.FINE


def _check(selectors: tuple[str, ...], accepted: str | None, because: str | None, pin: str | None) -> None:
    if accepted is not None and not (because or "").strip():
        raise InputError("--accept needs a reason: add --because TEXT")
    if because is not None and accepted is None:
        raise InputError("--because is the reason of an accepted step: give --accept too")
    if (accepted is not None or pin is not None) and not selectors:
        raise InputError("--accept and --pin need a kernel: name it")


def _chosen(store: Store, selectors: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """Return kernels with the variant that was asked for, None for all. Raises InputError for unknown ones."""
    from workbench.store.steps import known_kernels

    known = known_kernels(store)
    if not selectors:
        return [(kernel, None) for kernel in known]
    chosen: list[tuple[str, str | None]] = []
    for selector in dict.fromkeys(selectors):
        kernel, _, variant = selector.partition("/")
        if kernel not in known:
            import kernels

            if kernel not in kernels.catalog():
                there = ", ".join(known) or "none yet"
                raise InputError(f"there is no kernel {kernel!r}: the store has figures of {there}")
        elif variant and variant not in known[kernel]:
            raise InputError(f"{kernel} has no variant {variant!r} in the store: there are {', '.join(known[kernel])}")
        chosen.append((kernel, variant or None))
    return chosen


def _series(
    store: Store,
    kernel: str,
    variant: str | None,
    metric: str | None,
    statistic: str | None,
    first: datetime.date | None,
    now: datetime.datetime,
) -> list[Series]:
    from workbench.gate.series import build_series
    from workbench.store.steps import rows_of

    equal = {name: value for name, value in (("metric", metric), ("statistic", statistic)) if value is not None}
    rows = rows_of(store, kernel, variant, **equal)
    rows = [row for row in rows if metric is not None or row["metric"] in METRICS]
    if first is not None:
        rows = [row for row in rows if row["created"][:10] >= first.isoformat()]
    return build_series(rows, now)


def _analyse(store: Store, series: list[Series]) -> list[SeriesHistory]:
    from workbench.gate.history import analyse
    from workbench.store.steps import accepted_steps

    names = dict.fromkeys(one.key.kernel for one in series)
    steps = [step for kernel in names for step in accepted_steps(store, kernel)]
    pinned = {}
    for kernel, machine in dict.fromkeys((one.key.kernel, one.key.hardware_key) for one in series):
        record = store.baseline(PIN, kernel, machine)
        if record is not None:
            pinned[kernel, machine] = record.created
    return analyse(series, steps, pinned)


def _pin(store: Store, text: str, chosen: list[tuple[str, str | None]], series: list[Series]) -> None:
    """Pin the night of a record, or of a day, for each kernel and kind of machine. Raises InputError for no night.

    The newest record of the night stands for it: all series that ran in that night are held against it.
    """
    day = _as_date(text)
    wanted = None if day is not None else store.get(text).record_id
    newest: dict[tuple[str, str], tuple[datetime.datetime, str]] = {}
    for one in series:
        family = (one.key.kernel, one.key.hardware_key)
        for night in one.nights:
            if night.date == day or wanted in night.records:
                found = (night.moment, wanted or night.records[-1])
                newest[family] = max(newest.get(family, found), found)
    if not newest:
        named = ", ".join(kernel if variant is None else f"{kernel}/{variant}" for kernel, variant in chosen)
        raise InputError(
            f"{text} is no night or record of {named}: name one that `workbench run` measured (a gate's are no nights)"
        )
    for record_id in dict.fromkeys(record_id for _, record_id in newest.values()):
        store.save_baseline(PIN, store.get(record_id))


def _night(store: Store, text: str) -> datetime.date:
    return _as_date(text) or store.get(text).created.astimezone(datetime.UTC).date()


def _as_date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _date(text: str, option: str) -> datetime.date:
    day = _as_date(text)
    if day is None:
        raise InputError(f"{option} takes a day as 2026-11-03, not {text[:40]!r}")
    return day
