"""The latencies of a run as HdrHistogram logs: text files that every HdrHistogram tool reads, without a workbench."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.measure.histogram import Histogram
from workbench.record import Run, Side

_MS = 1e6  # the log gives an interval's maximum in ms, for a person's eye
_HEAD = "#[Histogram log format version 1.3]\n#[StartTime: {start:.3f} (seconds since epoch), {words}]\n"
_LEGEND = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'


def logs_of(run: Run) -> dict[str, str]:
    """Return a log for each variant, and for each stage of one, by a name that can be a file's.

    One line is one side of a block, tagged ``replicate.block.place``. Its time is the start of its process and what the
    sides before it took: a record holds no moment for a single side.
    """
    logs: dict[str, list[str]] = {}
    begin = min((replicate.started for replicate in run.replicates), default=run.created)
    head = _HEAD.format(start=begin.timestamp(), words=begin.isoformat(" "))
    for replicate in run.replicates:
        moment_s = replicate.started.timestamp()
        for block in replicate.blocks:
            for side in block.sides:
                length_s = (side.probed_elapsed_ns or side.elapsed_ns) / 1e9
                for name, text in _histograms(side):
                    tag = f"{replicate.index}.{block.index}.{side.place}"
                    highest_ms = Histogram.decode(text).maximum / _MS
                    line = f"Tag={tag},{moment_s:.6f},{length_s:.6f},{highest_ms:.6f},{text}\n"
                    logs.setdefault(_file_name(name), [head, _LEGEND]).append(line)
                moment_s += length_s
    return {name: "".join(lines) for name, lines in logs.items()}


def _histograms(side: Side) -> Iterator[tuple[str, str]]:
    """Yield the histograms of a side with what each is of."""
    rate = f" at {side.rate_per_s:g} per s" if side.rate_per_s is not None else ""
    if side.histogram is not None:
        yield f"{side.variant}{rate}", side.histogram
    if side.service is not None:
        yield f"{side.variant}{rate} service", side.service
    for stage, text in side.stages.items():
        yield f"{side.variant} stage {stage}", text


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.:()\[\]#= -]", "-", name)[:150]
