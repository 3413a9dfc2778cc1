"""What is said of a profile of time is what was counted; what is missing is said; the tools' costs are told."""

import pytest

from workbench.codemap.lines import Frame
from workbench.errors import InputError, WorkbenchError
from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.report import cpu
from workbench.report.cpu_words import CpuProfiles, agreement, costs_of, cpu_outcome


def profile(title, overhead=None, **amounts):
    found = Profile(title, "cpu", overhead=overhead or {})
    for place, (name, amount) in enumerate(amounts.items(), 1):
        found.add(Line(name, "/w/code.py", place), "samples", float(amount))
        found.stacks[(Frame("replay", "/w/code.py", 50), Frame(name, "/w/code.py", place))] = float(amount)
    found.sources["/w/code.py"] = ["first = 1", "second = 2", "third = 3"]
    return found


def told():
    watched = {"wall_slowdown": 1.3, "cpu_slowdown": 1.01, "tool_cpu_s": 0.4, "samples": 100.0}
    found = {
        ("baseline", "sampler"): profile("k/baseline", {"slowdown": 1.01, "samples": 1000.0}, find=70, apply=30),
        ("ladder", "sampler"): profile("k/ladder", {"slowdown": 1.02, "samples": 1000.0}, find=20, apply=80),
        ("ladder", "py-spy"): profile("k/ladder", watched, find=30, apply=70),
    }
    return CpuProfiles("k", found, {("baseline", "perf"): "perf is away", ("ladder", "perf"): "perf is away"})


def test_the_headline_is_the_line_that_takes_most_of_the_last_variant():
    outcome = cpu_outcome(told())
    assert outcome.headline == "k/ladder spends 80 % of its time on code.py:2 in apply: second = 2"
    assert "baseline: 70 % code.py:1: first = 1" in outcome.findings
    assert outcome.verdict is None


def test_what_changed_between_variants_is_told_by_function():
    (change,) = [text for text in cpu_outcome(told()).findings if text.startswith("From baseline to ladder")]
    assert "find 70 → 20 %" in change and "apply 30 → 80 %" in change
    same = told()
    same.found["ladder", "sampler"] = same.found["baseline", "sampler"]
    assert any("no function's share changes" in text for text in cpu_outcome(same).findings)


def test_each_tool_tells_its_cost_and_how_far_it_agrees():
    findings = cpu_outcome(told()).findings
    assert "sampler on ladder: a call took +2.0 % while it watched, 1,000 samples." in findings
    (spied,) = [text for text in findings if text.startswith("py-spy on ladder")]
    assert "+30.0 %" in spied, "py-spy stops its target, so the wall's time counts"
    assert "0.4 s of CPU itself" in spied and "90 % those of the sampler" in spied
    assert agreement(profile("k/a", find=1), profile("k/a", apply=1, find=1)) == pytest.approx(0.5)


def test_what_is_missing_is_said_once_for_all_variants():
    assert "Missing: perf (baseline, ladder), since perf is away." in cpu_outcome(told()).findings
    assert [cost.absent for cost in costs_of(told())][-2:] == ["perf is away", "perf is away"]
    nothing = CpuProfiles("k", {}, {("ladder", "sampler"): "there is no Linux"})
    outcome = cpu_outcome(nothing)
    assert outcome.headline == "No line of k could be timed." and "there is no Linux" in outcome.findings[0]


def test_a_tool_that_fails_leaves_the_others(monkeypatch):
    def take(tool, kernel, variant, **options):
        if tool == "perf":
            raise WorkbenchError("perf is away")
        return profile(f"{kernel}/{variant}", {"slowdown": 1.0}, find=1)

    monkeypatch.setattr(cpu, "profile_with", take)
    found = cpu.profile_time("order_book", ["ladder"], tools=["perf", "sampler"], seconds=0.1)
    assert list(found.found) == [("ladder", "sampler")] and found.absent == {("ladder", "perf"): "perf is away"}
    assert "by sampler" in cpu.main_flame(found, "perf").layout.title.text
    assert not cpu.change_flame(found).data, "nothing to compare: a profile is not held against itself"
    assert cpu.change_lines(found).layout.annotations[0].text == cpu.ALONE and cpu.cost_figure(found).data


def test_unknown_tools_and_kernels_are_refused():
    with pytest.raises(InputError, match="asked for was gprof"):
        cpu.profile_time("order_book", tools=["gprof"])
    with pytest.raises(InputError, match="no_such"):
        cpu.profile_time("no_such")
