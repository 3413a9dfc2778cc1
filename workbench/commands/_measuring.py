"""What the verbs that measure share: their options, and how figures are written in a table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench import policy
from workbench.errors import InputError

if TYPE_CHECKING:
    from workbench.measure.driver import Report, Request
    from workbench.record import Result, Run

_OPTIONS = (
    click.option("--workload", metavar="NAME", help="A named workload; `workbench list` shows them."),
    click.option("--input", "input_file", metavar="FILE", type=click.Path(path_type=Path), help="Market data."),
    click.option(
        "--replicates", default=policy.REPLICATES, show_default=True, help="Fresh processes, one after the other."
    ),
    click.option(
        "--seconds", default=policy.SECONDS, show_default=True, help="Time measured for each kernel, over all of them."
    ),
    click.option("-P", "parameters", multiple=True, metavar="NAME=VALUE", help="A kernel's parameter; repeatable."),
    click.option("-m", "--module", "modules", multiple=True, help="Import name of your own kernel; repeatable."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def measuring_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `make_request` to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def make_request(
    selectors: Sequence[str],
    workload: str | None,
    input_file: Path | None,
    replicates: int,
    seconds: float,
    parameters: Sequence[str],
    modules: Sequence[str],
    memory: bool = False,
    shards: int = 1,
) -> Request:
    """Return what a person asked for, checked as far as it can be without importing a kernel. Raises InputError."""
    from workbench.measure.driver import Request
    from workbench.measure.job import read_setting

    if workload is not None and input_file is not None:
        raise InputError("--workload and --input both name the data: give one of them")
    selectors, own = _own_functions(selectors, [read_setting(text) for text in parameters])
    if own is not None:
        if workload is not None or input_file is not None or shards != 1:
            raise InputError(
                f"{selectors[0]} is made of functions that bring their own arguments: leave --workload, --input and "
                "--shards away; -P sets what the arguments are made from"
            )
        return Request(selectors=list(selectors), replicates=replicates, seconds=seconds, memory=memory, **own.fields())
    if input_file is not None and not input_file.is_file():
        raise InputError(f"{input_file} is not a file: give the path of a file with market data")
    return Request(
        selectors=list(selectors),
        replicates=replicates,
        seconds=seconds,
        modules=list(modules),
        paths=[str(Path.cwd()), *filter(None, sys.path)] if modules else [],
        workload=workload,
        input_file=None if input_file is None else str(input_file.resolve()),
        parameters=dict(read_setting(text) for text in parameters),
        memory=memory,
        shards=shards,
    )


def plain_names(texts: Sequence[str]) -> list[str]:
    """Return the names of kernels and variants that `texts` say; a user's file, as ``vwap.py:vwap``, is imported."""
    if not any(".py:" in text for text in texts):
        return list(texts)
    from workbench.own.files import plain_name

    return [plain_name(text) for text in texts]


def _own_functions(selectors: Sequence[str], parameters: Sequence[tuple[str, int | str]]) -> tuple[list[str], Any]:
    """Return plain selectors, and how their kernel is measured where it is one of a user's functions, else None."""
    plain = plain_names(selectors)
    if "workbench.own.registry" not in sys.modules:
        return plain, None
    from workbench.own.asking import ask
    from workbench.own.registry import find

    kernels = list(dict.fromkeys(selector.partition("/")[0] for selector in plain))
    if not any(find(kernel) for kernel in kernels):
        return plain, None
    if len(kernels) > 1:
        raise InputError(
            f"{' and '.join(kernels)} cannot be measured in one run: name one kernel of functions at a time"
        )
    variants = [selector.partition("/")[2] for selector in plain]
    return plain, ask(kernels[0], None if "" in variants else variants, dict(parameters), None)


def amount(value: float, unit: str) -> str:
    """Return `value` for a person: 38 ns, 1.24 µs, 71.2 M/s, 187 MB."""
    size, name = _scale(value, unit)
    return f"{_number(value / size)} {name}"


def _scale(value: float, unit: str) -> tuple[float, str]:
    """Return the unit in which `value` reads well, as a multiple of `unit` and by its name."""
    scales = {
        "ns": ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")),
        "operations/s": ((1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")),
        "bytes": ((1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    }.get(unit, ((1.0, unit),))
    return next(((size, name) for size, name in scales if abs(value) >= size), scales[-1])


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def figure(result: Result | None, *, interval: bool = True) -> str:
    """Return a result for a table: its value, and its `interval`; "< 29 ns" where it is only a bound."""
    if result is None:
        return ""
    value = amount(result.value, result.unit)
    if result.bound == "upper":
        return f"< {value}"
    if not interval or result.low is None or result.high is None:
        return value
    size, name = _scale(result.value, result.unit)
    number, low, high = (_number(each / size) for each in (result.value, result.low, result.high))
    return f"{number} ({low} .. {high}) {name}"


def describe_run(run: Run, report: Report) -> list[str]:
    """Return the lines below a table: data, machine, clock, what each phase cost, and what is to be known."""
    clock = run.replicates[0].clock
    source = f" from {run.workload.source}" if run.workload.source else ""
    phases = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in report.phases_s.items())
    noise = [side.noise for replicate in run.replicates for block in replicate.blocks for side in block.sides]
    switches = sum(each.involuntary_switches for each in noise)
    steal = sum(each.steal_ticks for each in noise)
    return [
        f"workload {run.workload.name}{source}: {run.workload.events:,} events, "
        f"{run.workload.symbols:,} symbol{'' if run.workload.symbols == 1 else 's'}",
        f"machine {run.machine.cpu_model}, {run.machine.cores} cores, key {run.machine.hardware_key}; "
        f"{len(run.replicates)} replicates on core {run.replicates[0].core}",
        f"clock {clock.source}: cost {clock.cost_ns:.1f} ns, step {clock.step_ns:.1f} ns; "
        f"percentiles below {clock.floor_ns:.0f} ns are bounds",
        f"while timing: {switches} involuntary switches, {steal} ticks stolen",
        f"first block {report.first_block_after_s:.1f} s after the start: {phases}; {run.duration_s:.0f} s in all",
        *(f"note: {note}" for note in report.notes),
    ]
