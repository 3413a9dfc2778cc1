import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))  # where proof is imported from, as by the script


@pytest.fixture
def make_record():
    """Return a function that makes the record of a trial as it is stored, from logarithms that the test chooses."""
    import numpy as np
    from proof import logs
    from proof.arms import AGAIN, BASE, CANDIDATES, STATISTICS

    def make(labels=("same",), *, shift=None, verdicts=None, seed=0, key="machine", processes=6, blocks=4):
        draw = np.random.default_rng(seed)

        def arm(label):
            moved = (shift or {}).get(label, 0.0)
            found = {}
            for name, count in [*((statistic, blocks) for statistic in STATISTICS), ("runs", 2 * blocks)]:
                process = draw.normal(0, 0.002, processes)
                values = [6.9 + moved + level + draw.normal(0, 0.003, count) for level in process]
                found[name] = logs.pack(values)
            return found

        def gate(label):
            chosen = (verdicts or {}).get(label, {})
            cells = {
                each: {"verdict": chosen.get(each, "UNCHANGED"), "ratio": 1.0, "low": 0.99, "high": 1.01}
                for each in STATISTICS
            }
            found = [cell["verdict"] for cell in cells.values()]
            order = ("ENVIRONMENT INVALID", "SLOWER", "UNRESOLVED", "FASTER", "UNCHANGED")
            return {"verdict": next(each for each in order if each in found), "cells": cells, "fired": []}

        assert set(labels) <= set(CANDIDATES)
        return {
            "schema": "workbench/gate-proof/1",
            "trial": f"{seed:012x}",
            "created": "2026-11-23T02:00:00+00:00",
            "duration_s": 30.0 + seed,
            "hardware_key": key,
            "machine": {
                "cpu_model": "A CPU",
                "cores": 2,
                "hypervisor": None,
                "linux": "6",
                "load_1min": 0.1,
                "versions": {"python": "3"},
            },
            "revision": "0123456789ab",
            "dirty": False,
            "clock": {"source": "tsc", "cost_ns": 9.0, "step_ns": 10.0},
            "gates": {label: gate(label) for label in labels},
            "phases": [
                {
                    "what": "first look",
                    "replicates": processes,
                    "seconds": 15.0,
                    "logs": {label: arm(label) for label in (BASE, AGAIN, *labels)},
                }
            ],
        }

    return make
