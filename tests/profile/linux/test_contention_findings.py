"""Each cause has its signature; what has none of them gets no finding."""

import pytest
from recorded import a_contention_profile, against, share_line

from workbench.profile.contention_findings import judge
from workbench.record import Verdict

CONVOY = {
    "watched_ns_per_operation": 9_000.0,
    "watched_voluntary_switches_per_operation": 0.5,
    "futex_calls_per_operation": 0.9,
}


def kinds(profile, comparisons=()):
    return [(each.kind, each.variant, each.sure) for each in judge(profile.measured, {2: comparisons}, profile.details)]


def test_threads_that_scale_have_no_finding():
    profile = a_contention_profile(("fast", 1, 1e6, {}), ("fast", 2, 1.9e6, {}))
    share_line(profile, "fast", 2, 1)  # which costs nothing
    assert kinds(profile) == []


def test_a_lock_convoy_sleeps_at_futexes_and_does_not_scale():
    profile = a_contention_profile(("locked", 1, 1e6, {}), ("locked", 2, 0.8e6, CONVOY))
    profile.details["locked with 2 threads"] = "replay_from, line 12 of mine.py"
    (found,) = judge(profile.measured, {}, profile.details)
    assert found.kind == "lock convoy" and found.sure
    assert "at replay_from, line 12 of mine.py" in found.sentence and "0.80 times what one does" in found.sentence


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"futex_calls_per_operation": 0.0, "sleeping_calls_per_operation": 0.5}, "waiting"),
        ({"watched_voluntary_switches_per_operation": 1e-4}, None),
        ({"throughput_per_s": 1.9e6}, None),
    ],
)
def test_what_is_no_convoy(change, kind):
    profile = a_contention_profile(("locked", 1, 1e6, {}), ("locked", 2, 0.8e6, CONVOY | change))
    assert [found for found, _, _ in kinds(profile)] == ([kind] if kind else [])


def test_without_strace_a_wait_is_told_but_not_named():
    point = {name: value for name, value in CONVOY.items() if name != "futex_calls_per_operation"}
    profile = a_contention_profile(("locked", 1, 1e6, {}), ("locked", 2, 0.8e6, point))
    del profile.measured["locked with 2 threads"]["futex_calls_per_operation"]
    assert kinds(profile) == [("waiting", "locked", False)]


def test_threads_seen_waiting_at_futexes_need_no_strace():
    seen = {"waiting_in_futex_share": 0.45, "looks": 500.0}
    profile = a_contention_profile(("locked", 1, 1e6, {}), ("locked", 2, 0.9e6, seen))
    del profile.measured["locked with 2 threads"]["futex_calls_per_operation"]
    (found,) = judge(profile.measured, {}, profile.details)
    assert found.kind == "lock convoy" and "45 % of its time waiting for a lock" in found.sentence
    profile.measured["locked with 2 threads"]["looks"] = 5.0
    assert kinds(profile) == [], "five looks say nothing"


def test_who_sleeps_and_was_seen_at_locks_only_stands_in_line_there_on_a_busy_machine_too():
    point = {name: value for name, value in CONVOY.items() if name != "futex_calls_per_operation"}
    seen = {"waiting_in_futex_share": 0.04, "looks": 500.0}
    profile = a_contention_profile(("locked", 1, 1e6, {}), ("locked", 2, 0.8e6, point | seen))
    here = profile.measured["locked with 2 threads"]
    del here["futex_calls_per_operation"]
    assert kinds(profile) == [("lock convoy", "locked", True)]
    here["waiting_in_clock_nanosleep_share"] = 0.2
    assert kinds(profile) == [("waiting", "locked", True)], "most of its sleep is elsewhere"
    here.update({"waiting_in_futex_share": 0.0, "waiting_in_clock_nanosleep_share": 0.0})
    assert kinds(profile) == [("waiting", "locked", False)], "nobody saw it wait"


def test_lost_exchanges_are_true_sharing():
    retried = {"cas_retries_per_operation": 0.4}
    profile = a_contention_profile(("free", 1, 1e6, {"cas_retries_per_operation": 0.0}), ("free", 2, 0.7e6, retried))
    share_line(profile, "free", 2, 1)
    assert kinds(profile) == [("retries", "free", True)]


def test_false_sharing_is_proved_by_a_variant_with_lines_of_its_own():
    profile = a_contention_profile(
        ("packed", 1, 1e8, {}), ("packed", 2, 0.2e8, {}), ("padded", 1, 1e8, {}), ("padded", 2, 1.9e8, {})
    )
    share_line(profile, "packed", 2, 1)
    share_line(profile, "padded", 2, 0)
    (found,) = judge(profile.measured, {2: [against("packed", "padded", 0.1)]}, profile.details)
    assert (found.kind, found.variant, found.sure) == ("false sharing", "packed", True)
    assert "padded, whose threads write lines of their own, is 10.00 times as fast" in found.sentence
    assert "thread 0 bytes 0 to 7 and thread 1 bytes 8 to 15 of a line of counts" in found.sentence
    unresolved = [against("packed", "padded", 0.1, Verdict.UNRESOLVED)]
    assert kinds(profile, unresolved) == [("false sharing", "packed", False)]
    assert kinds(profile, [against("packed", "padded", 1.0, Verdict.UNCHANGED)]) == []
    assert kinds(profile, [against("packed", "padded", 0.95, Verdict.UNRESOLVED)]) == []


def test_false_sharing_without_a_variant_apart_is_likely_when_threads_are_slower_than_one():
    profile = a_contention_profile(("packed", 1, 1e8, {}), ("packed", 2, 0.2e8, {}))
    assert kinds(profile) == []
    share_line(profile, "packed", 2, 1)
    assert kinds(profile) == [("false sharing", "packed", False)]
