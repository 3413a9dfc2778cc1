"""What the parent of a watched process makes of its samples, and how long it waits."""

import json

import pytest

from workbench.profile.memory_job import PHASES
from workbench.profile.memory_watch import Samples, watched_of

ANSWER = {"calls": 8, "duration_s": 1.0, "before_rss_bytes": 100, "after_rss_bytes": 110}


@pytest.mark.parametrize(("sampled", "peak"), [(True, 900), (False, 120)])
def test_the_highest_sample_of_the_calls_stands_in_where_linux_tells_no_peak(tmp_path, sampled, peak):
    rows = [("load", 0), ("calls", 2), ("end", 4)]
    lines = [json.dumps({"name": name, "at_ns": at_s * 10**9, "minor": 0, "major": 0}) for name, at_s in rows]
    (tmp_path / PHASES).write_text("\n".join(lines))
    samples = Samples(rows=[(1.0, 5_000), (2.5, 300), (3.0, 900), (5.0, 7_000)])
    answer = ANSWER | {"peak_rss_bytes": 120, "peak_is_sampled": sampled}
    watched = watched_of(answer, samples, tmp_path)
    assert (watched.peak_rss_bytes, watched.peak_is_sampled) == (peak, sampled)
