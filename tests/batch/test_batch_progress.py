"""How far a batch is, on a terminal and in a log; names from a plan are text there."""

import datetime
import io
import re
import sys
from pathlib import Path

import pytest

from workbench.batch.job import Failure, Job, State
from workbench.commands import _batch_progress

NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
HOSTILE = "a\nb\x1b[31m\u202e" + "x" * 10_000


class Terminal(io.StringIO):
    """What says that it is a terminal."""

    def isatty(self):
        return True


def state(**more):
    return State(status="failed" if more else "finished", key="k", started=NOW, duration_s=7.0, **more)


def play(progress):
    job = Job(notebook="/n.ipynb", title=HOSTILE, parameters={"kernel": "[bold]k"})
    progress.started(0, job)
    progress.started(1, job)  # beside it
    progress.cell(1, job, 3, 9)
    progress.note("waiting for another batch")
    progress.ended(1, job, Path(), state(failure=Failure(kind="exception", sentence=HOSTILE)), again=True)
    progress.ended(0, job, Path(), state(), again=False)
    progress.close()


@pytest.mark.parametrize("make", [io.StringIO, Terminal])
def test_what_happens_is_told_in_a_log_and_on_a_terminal(monkeypatch, make):
    stream = make()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    play(_batch_progress.choose(2))
    told = stream.getvalue()
    assert "waiting for another batch" in told and "failed after 7 s" in told and "not repeated" in told
    assert "\u202e" not in told and "\x1b[31m\x1b" not in told and "x" * 400 not in told and "[bold]k" in told


def test_a_line_of_the_log_has_its_time_and_its_place(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    play(_batch_progress.choose(2))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in lines)
    assert [line.split()[1] for line in lines] == ["[1/2]", "[2/2]", "[2/2]", "waiting", "[2/2]", "[1/2]"]
    assert lines[2].endswith("cell 3 of 9")


def test_the_bar_over_jobs_counts_those_that_ended(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    bars = _batch_progress.choose(2)
    play(bars)
    jobs, cells = bars._bars.tasks
    assert (jobs.completed, jobs.total) == (2, 2) and (cells.completed, cells.total) == (2, 9)
