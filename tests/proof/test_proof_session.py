"""A proof can be stopped at any moment and goes on where it was; what is stored is whole."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from proof import logs, session, storage
from proof.arms import AGAIN, BASE, CANDIDATES, STATISTICS

from workbench import policy
from workbench.measure.machine import fingerprint

TOOLS = Path(__file__).resolve().parents[2] / "tools"

KILLED = """
import sys, time
sys.path[:0] = [{tools!r}, {root!r}]
from pathlib import Path
from proof import session
class Trial:
    made = 0
    def __init__(self, candidates, recording, make_progress): self.candidates = candidates
    def run(self):
        Trial.made += 1
        if Trial.made == 3:
            print("in the third", flush=True)
            time.sleep(600)
        gates = {{label: {{"verdict": "UNCHANGED", "cells": {{}}, "fired": []}} for label in self.candidates}}
        return {{"schema": "workbench/gate-proof/1", "hardware_key": {key!r}, "duration_s": 1.0, "gates": gates}}
session.run_trials(Path({folder!r}), "trials", ("same",), 5, make=Trial)
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def trial_of(make_record):
    made = []

    class Trial:
        def __init__(self, candidates, recording, make_progress):
            self.candidates = candidates

        def run(self):
            made.append(self.candidates)
            return make_record(self.candidates, seed=len(made), key=fingerprint().hardware_key)

    return Trial, made


def test_trials_accumulate_to_the_number_that_is_wanted(tmp_path, trial_of):
    make, made = trial_of
    assert session.run_trials(tmp_path, "trials", ("same",), 2, make=make) == 2
    assert session.run_trials(tmp_path, "trials", ("same",), 5, make=make) == 3
    assert session.run_trials(tmp_path, "trials", ("same",), 5, make=make) == 0
    assert session.run_trials(tmp_path, "trials", ("same", "dose_5"), 1, make=make) == 1, "other arms, other trials"
    assert session.run_trials(tmp_path, "trials", ("dose_5",), 1, make=make) == 0, (
        "one with these arms and more is there"
    )
    assert session.run_trials(tmp_path, "noisy", ("same",), 0, make=make) == 0
    stored = storage.read(tmp_path, fingerprint().hardware_key, "trials")
    assert [tuple(each["gates"]) for each in stored] == made


def test_the_time_given_is_kept(tmp_path, trial_of):
    make, made = trial_of
    session.run_trials(tmp_path, "trials", ("same",), 5, deadline=time.monotonic() - 1, make=make)
    assert made == []


def test_a_proof_that_is_killed_in_a_trial_loses_that_trial_alone(tmp_path, trial_of):
    key = fingerprint().hardware_key
    program = KILLED.format(tools=str(TOOLS), root=str(TOOLS.parent), key=key, folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "in the third" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert len(storage.read(tmp_path, key, "trials")) == 2
    make, made = trial_of
    session.run_trials(tmp_path, "trials", ("same",), 5, make=make)
    assert len(made) == 3


def test_a_torn_line_is_passed_over_and_ended(tmp_path, make_record):
    path = storage.append(tmp_path, "trials", make_record(seed=1))
    whole = path.read_bytes()
    with path.open("ab") as stream:
        stream.write(whole[: len(whole) // 2])
    assert len(storage.read(tmp_path, "machine", "trials")) == 1
    storage.append(tmp_path, "trials", make_record(seed=2))
    found = storage.read(tmp_path, "machine", "trials")
    assert [each["trial"] for each in found] == ["000000000001", "000000000002"]


def test_sixty_trials_of_all_arms_stay_small(make_record):
    record = make_record(tuple(CANDIDATES), blocks=policy.BLOCKS_PER_REPLICATE)
    later = {label: {each: logs.pack([[6.9]] * 9) for each in STATISTICS} for label in (BASE, AGAIN, *CANDIDATES)}
    record["phases"] += 2 * [{"what": "confirmation", "replicates": 9, "seconds": 60.0, "logs": later}]
    text = json.dumps(record, separators=(",", ":"))
    assert 60 * len(text) < 3_000_000
