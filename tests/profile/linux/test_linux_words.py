"""The conclusions name what was planted, say what is missing, and find nothing in what is clean."""

import factory
import pytest
from recorded import a_contention_profile, a_system_profile, against, share_line

from workbench.figures.contention import throughput_by_threads
from workbench.figures.jitter import jitter_percentiles
from workbench.figures.system import calls_per_operation
from workbench.figures.table import figure_table
from workbench.profile.contention import ContentionProfile
from workbench.profile.measured import MeasuredProfile, measured_in
from workbench.profile.profile import from_record
from workbench.record import ProfileRecord, from_json
from workbench.report.contention_words import contention_outcome
from workbench.report.system_words import system_outcome

PLANTED = {"getppid": {"calls_per_operation": 1.0, "share_of_operation": 0.4}}


def test_a_system_call_in_the_hot_path_is_named_with_its_line():
    outcome = system_outcome(a_system_profile(PLANTED))
    assert outcome.headline == (
        "mine/fast makes a system call in its hot path: getppid once an operation at mine.py:7 in work."
    )
    assert any("about 40 % of its time" in sentence for sentence in outcome.findings)
    assert any("made an operation 120 times as long" in sentence for sentence in outcome.findings)
    assert any("took 0.05 % of it, in 250 gaps/s" in sentence for sentence in outcome.findings)


@pytest.mark.parametrize(
    ("name", "words"), [("clock_nanosleep", "sleeps in its hot path"), ("futex", "waits for a lock in Linux")]
)
def test_calls_that_wait_are_named_as_that(name, words):
    calls = {name: {"calls_per_operation": 0.5, "typical_ns": 60_000.0, "share_of_operation": 0.9}}
    assert words in system_outcome(a_system_profile(calls)).headline


def test_a_clean_operation_has_no_finding():
    rare = {"mmap": {"calls_per_operation": 0.001, "share_of_operation": 0.0002}}
    outcome = system_outcome(a_system_profile(rare))
    assert outcome.headline == (
        "mine/fast asks nothing of Linux in its hot path: no system call, switch or page fault counts."
    )


@pytest.mark.parametrize("name", ["pselect6", "epoll_pwait", "ppoll"])
def test_every_call_that_sleeps_is_named_as_that(name):
    calls = {name: {"calls_per_operation": 0.5, "typical_ns": 60_000.0, "share_of_operation": 0.9}}
    assert "sleeps in its hot path" in system_outcome(a_system_profile(calls)).headline
    control = {"epoll_ctl": calls[name]}
    assert "makes a system call" in system_outcome(a_system_profile(control)).headline


def test_what_could_not_be_counted_is_not_said_to_be_absent():
    profile = a_system_profile({"futex": {}})
    for figure in ("calls_per_operation", "share_of_operation"):
        del profile.measured["system call futex"][figure]
    told = system_outcome(profile)
    assert told.headline.endswith("counts; how often it makes system calls could not be told.")
    assert "How often an operation makes these calls could not be told: futex." in told.findings
    assert figure_table(calls_per_operation("x", profile.rows())).rows[-1][1] == "not known"
    no_run = system_outcome(a_system_profile(run={"traced_runs": 0.0}))
    assert no_run.headline.endswith("could not be told.")
    assert any(each.startswith("No run was traced from its begin") for each in no_run.findings)
    whole = system_outcome(a_system_profile(run={"traced_runs": 2.0}))
    assert "asks nothing of Linux" in whole.headline


def test_without_strace_the_time_inside_linux_speaks():
    notes = ["system calls were not counted: strace is not on this machine; switches are shown"]
    quiet = system_outcome(a_system_profile(traced=False, notes=notes))
    assert "its system calls were not counted" in quiet.headline
    assert any(sentence.startswith("System calls were not counted: strace is not") for sentence in quiet.findings)
    busy = system_outcome(a_system_profile(run={"system_share": 0.6}, traced=False, notes=notes))
    assert busy.headline == "mine/fast spends 60 % of its CPU time inside Linux."


def test_switches_and_faults_count_by_their_worth():
    slept = system_outcome(a_system_profile(run={"voluntary_switches_per_operation": 0.02}))
    assert "goes to sleep 0.02 times an operation" in slept.headline
    touched = system_outcome(a_system_profile(run={"minor_faults_per_operation": 0.1}))
    assert "touches new memory: 0.1 page faults an operation" in touched.headline


def test_a_noisy_core_is_told():
    profile = a_system_profile()
    profile.measured["jitter of core 1, alone"]["share"] = 0.3
    assert any("too much for a tail" in sentence for sentence in system_outcome(profile).findings)
    assert "asks nothing" in system_outcome(profile).headline, "the machine's noise is no fault of the code"


def test_a_record_holds_all_and_its_figures_show_it():
    profile = a_system_profile(PLANTED)
    record = from_json(profile.to_record(factory.machine()).to_json())
    assert isinstance(record, ProfileRecord)
    assert measured_in(record.results) == profile.measured
    assert from_record(record).counters
    calls = figure_table(calls_per_operation(record.variant, record.results))
    assert [row[0] for row in calls.rows] == ["getppid", "munmap"] and calls.rows[0][-1] == "mine.py:7 in work"
    jitter = figure_table(jitter_percentiles(record.variant, record.results))
    assert jitter.rows[0][2] == "0.05 %"
    assert "getppid" in str(profile) and "All figures" in profile._repr_mimebundle_()["text/html"]


def test_figures_without_data_say_so():
    assert "no system calls" in calls_per_operation("x", []).layout.annotations[0].text
    assert "makes no system call" in calls_per_operation("x", a_system_profile().rows()).layout.annotations[0].text
    assert "not measured" in jitter_percentiles("x", []).layout.annotations[0].text
    assert "no throughput" in throughput_by_threads("x", []).layout.annotations[0].text


def test_names_from_outside_do_no_harm_in_a_profile():
    profile = MeasuredProfile("<b>x</b>", "system", notes=["<script>1</script>"])
    profile.measured["<i>y</i>"] = {"<u>z</u>": 1.0}
    html = profile._repr_mimebundle_()["text/html"]
    assert "<script>" not in html and "<i>" not in html and "<u>" not in html and "<b>" not in html


def test_the_cause_stands_in_the_headline_of_contention():
    profile = a_contention_profile(
        ("packed", 1, 1e8, {}), ("packed", 2, 0.2e8, {}), ("padded", 1, 1e8, {}), ("padded", 2, 1.9e8, {})
    )
    share_line(profile, "packed", 2, 1)
    share_line(profile, "padded", 2, 0)
    from workbench.profile.contention_findings import judge

    profile.findings = judge(profile.measured, {2: [against("packed", "padded", 0.1)]}, profile.details)
    outcome = contention_outcome(profile)
    assert outcome.headline == "mine: packed shares a cache line falsely with 2 threads."
    assert any(
        sentence == "padded: 2 threads do 1.90 times what one does; p99 of an operation is 700 ns, 700 ns with one."
        for sentence in outcome.findings
    )
    table = figure_table(throughput_by_threads("mine", profile.rows()))
    assert [row[:2] for row in table.rows] == [("packed", "1"), ("packed", "2"), ("padded", "1"), ("padded", "2")]


def test_clean_threads_and_one_core_are_told():
    clean = a_contention_profile(("fast", 1, 1e6, {}), ("fast", 2, 1.9e6, {}))
    clean.judge()
    assert contention_outcome(clean).headline.startswith("No lock convoy, false sharing or lost exchanges")
    alone = ContentionProfile("mine", "contention", notes=["contention cannot be measured on one core: take two"])
    outcome = contention_outcome(alone)
    assert outcome.headline == "Contention of mine cannot be measured on one core."
    assert outcome.findings == ["Contention cannot be measured on one core: take two."]
