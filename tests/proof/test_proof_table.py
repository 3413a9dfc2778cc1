"""The page is what the stored trials say, with few of them and with those in the repository."""

from pathlib import Path

import pytest
from proof import logs, storage, tally
from proof.table import page_of
from scipy.stats import binom

from workbench.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("hits", "count"), [(0, 60), (0, 299), (1, 60), (7, 20), (20, 20)])
def test_bounds_are_where_the_binomial_distribution_leaves_five_in_a_hundred(hits, count):
    share = tally.Share(hits, count)
    if hits < count:
        assert binom.cdf(hits, count, share.upper) == pytest.approx(0.05)
    else:
        assert share.upper == 1
    if hits:
        assert binom.sf(hits - 1, count, share.lower) == pytest.approx(0.05)
    else:
        assert share.lower == 0


def test_none_of_299_is_at_most_one_in_a_hundred():
    assert tally.Share(0, 299).upper < 0.01 < tally.Share(0, 298).upper + 1e-3
    assert tally.Share(0, 298).upper > 0.01
    assert tally.Share(0, 0).upper == 1


def test_logarithms_come_back_to_a_hundredth_of_a_percent():
    groups = [[6.90776, 6.91], [6.5, 7.123456]]
    back = logs.unpack(logs.pack(groups))
    for before, after in zip(groups, back, strict=True):
        assert after == pytest.approx(before, abs=logs.UNIT / 2 + 1e-12)


def test_a_page_of_one_trial(make_record, tmp_path):
    storage.append(tmp_path, "trials", make_record())
    page = page_of(tmp_path)
    assert "SLOWER: 0 of 1, bound 95.0 %" in page
    assert "| false alarms, identical code |" in page and "| 0 of 60 | no |" in page
    assert "dose" not in page.split("### Other tools")[0].split("### What is found")[1]


def test_alarms_and_finds_are_counted(make_record, tmp_path):
    labels = ("same", "dose_5")
    for seed in range(10):
        verdicts = {"dose_5": {"mean": "SLOWER", "p50": "SLOWER" if seed else "UNRESOLVED"}}
        verdicts |= {"same": {"p999": "SLOWER"}} if seed == 3 else {}
        record = make_record(labels, shift={"dose_5": 0.0488}, verdicts=verdicts, seed=seed)
        if seed == 9:
            record["gates"]["dose_5"]["verdict"] = "ENVIRONMENT INVALID"
        storage.append(tmp_path, "trials", record)
    page = page_of(tmp_path)
    assert "SLOWER: 1 of 10, bound 39.4 %" in page
    found = (
        "| 5 % more rounds in every call |  | 9 | 9 | 8 | 0 | 0 | throughput and p50 in 90 %; never p99, p99.9 | no |"
    )
    assert found in page, "an invalid gate found nothing, and nine are too few to say that a goal is reached"
    (pyperf,) = [line for line in page.splitlines() if line.startswith("| pyperf")]
    assert "10 of 10" in pyperf, "5 % is plain in these samples"
    (bench,) = [line for line in page.splitlines() if line.startswith("| asv")]
    assert "| 0 of 10 | 25.9 % |  |  |  | 0 of 10 |" in bench


def test_the_other_rows_appear_with_their_records(make_record, tmp_path):
    storage.append(tmp_path, "trials", make_record(("same", "dose_5"), seed=1))
    for seed in range(20):
        verdicts = {"same": {"mean": "UNRESOLVED"}, "dose_5": {"mean": "SLOWER"}}
        storage.append(tmp_path, "noisy", make_record(("same", "dose_5"), verdicts=verdicts, seed=seed))
    pause = {"schema": "workbench/gate-proof/1", "hardware_key": "machine", "corrected_p99_ns": 19_021_823}
    pause |= {"analytic_p99_ns": 19_005_439, "uncorrected_p99_ns": 50, "bucket_ns": 16_384}
    storage.append(tmp_path, "omission", pause)
    page = page_of(tmp_path)
    goal = "UNRESOLVED or ENVIRONMENT INVALID, 20 of 20"
    assert f"identical code | 20 UNRESOLVED | {goal} | yes |" in page
    assert f"5 % more work | 20 SLOWER | {goal} | no |" in page
    assert "p99 within one bucket of the queue's: 1 of 1" in page
    storage.append(tmp_path, "omission", {**pause, "corrected_p99_ns": 19_041_823})
    assert "p99 within one bucket of the queue's: 1 of 2" in page_of(tmp_path)


def test_no_trial_is_told(tmp_path):
    with pytest.raises(InputError, match="holds no trial"):
        page_of(tmp_path)


def test_the_page_in_the_repository_is_that_of_the_stored_trials():
    page = ROOT / "docs" / "gate-proof.md"
    if not page.is_file():
        pytest.skip("no proof is published yet")
    assert page.read_text(encoding="utf-8") == page_of(storage.FOLDER), "run tools/prove_gate.py --table"
