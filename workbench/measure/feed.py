"""A variant that parses its feed by itself against one that is given the events: ``python -m workbench.measure.feed``.

    python -m workbench.measure.feed FILE.itch order_book/combined order_book/peer_std_map

reads an ITCH 5.0 file into memory, and times two things by turns in this process, on one core: parsing the bytes block
by block and applying each block by the first variant (`kernels.feeds.replay`), and applying the events, parsed
beforehand and untimed, by the second. So the second has the easier task. What is printed is the ratio of each pair, the
median over the pairs with its sign interval, after both gave the same best bid and offer after every event.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

import kernels
from kernels.catalog import Variant
from kernels.feeds.itch import ItchError, ItchFeed
from kernels.feeds.replay import replay_feed
from kernels.machine.affinity import allowed_cores, pinned
from workbench.errors import InputError, WorkbenchError
from workbench.measure.timing_lock import timing_lock
from workbench.stats.median import median, sign_interval

ALPHA = 0.05
LEAST_PAIRS = 6  # fewer have no sign interval at that level


def measure(data: np.ndarray, first: Variant, second: Variant, seconds: float) -> tuple[list[float], list[float]]:
    """Return the ns for each event of both, pair by pair. Raises WorkbenchError when they disagree about the book."""
    events = np.concatenate(_blocks(data))
    symbols = int(events["symbol"].max()) + 1
    parsing, given = first.build(symbols=symbols), second.build(symbols=symbols)
    out = np.zeros(len(events), first.kernel.output(events, parsing.parameters).dtype)
    prepared = second.kernel.prepare(events, given.parameters)

    def parse_and_apply() -> None:
        replay_feed(parsing, ItchFeed(), data, out)

    def apply() -> None:
        second.replay(given, prepared, answers)

    answers = np.zeros_like(out)
    for _ in range(2):  # compiles, and gives both the room that they need
        for instance, work in ((parsing, parse_and_apply), (given, apply)):
            instance.reset()
            work()
    if not np.array_equal(out, answers):
        place = int(np.flatnonzero(out != answers)[0])
        raise WorkbenchError(
            f"{first.full_name} and {second.full_name} disagree after event {place}: nothing was timed"
        )
    times: tuple[list[float], list[float]] = ([], [])
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(times[0]) < LEAST_PAIRS:
        order = ((0, parsing, parse_and_apply), (1, given, apply))
        for place, instance, work in order if len(times[0]) % 2 else order[::-1]:
            instance.reset()
            times[place].append(_timed_ns(work) / len(events))
    return times


def _blocks(data: np.ndarray) -> list[np.ndarray]:
    feed, blocks = ItchFeed(), []
    feed.push(data)
    while count := feed.pull():
        blocks.append(feed.events[:count].copy())
    feed.finish()
    return blocks


def _timed_ns(work: Callable[[], None]) -> int:
    begin = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - begin


def _variant(name: str) -> Variant:
    kernel, _, variant = name.partition("/")
    try:
        found = kernels.get(kernel).variants[variant]
    except (KeyError, ValueError):
        raise InputError(f"there is no variant {name!r}: `workbench list` shows them") from None
    if found.missing():
        raise WorkbenchError(f"{name} cannot run here: {found.missing()}")
    return found


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("first")
@click.argument("second")
@click.option("--seconds", default=20.0, show_default=True, help="Time measured, over both.")
def command(file: Path, first: str, second: str, seconds: float) -> None:
    """Time parsing FILE and applying it by FIRST against applying its parsed events by SECOND."""
    variants = _variant(first), _variant(second)
    data = np.frombuffer(file.read_bytes(), np.uint8)
    click.echo(f"{file}: {data.size:,} bytes; compiling and comparing the two", err=True)
    with timing_lock(f"parsing {file.name}", click.echo), pinned(sorted(allowed_cores())[-1]):
        parsing, given = measure(data, *variants, seconds)
    ratios = [a / b for a, b in zip(parsing, given, strict=True)]
    interval = sign_interval(ratios, ALPHA)
    assert interval is not None
    click.echo(
        f"parse and apply by {first}: {median(parsing):.2f} ns an event; apply by {second}: {median(given):.2f} ns"
    )
    click.echo(f"ratio {median(ratios):.3f} ({interval.low:.3f} to {interval.high:.3f}), {len(ratios)} pairs")


if __name__ == "__main__":
    try:
        command(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (ItchError, InputError) as error:
        click.echo(f"feed: {error}", err=True)
        sys.exit(2)
    except WorkbenchError as error:
        click.echo(f"feed: {error}", err=True)
        sys.exit(int(error.exit_code))
