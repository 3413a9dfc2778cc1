"""The variants that a notebook takes by itself are ones that its tools accept, and without any it says why."""

from types import SimpleNamespace

import plotly.graph_objects as go
import pytest

import kernels
from workbench import workloads
from workbench.batch.plan import read_plan
from workbench.codemap.build import is_compiled_function
from workbench.errors import InputError
from workbench.files import shipped
from workbench.measure.job import read_setting
from workbench.profile.callgrind_job import variant_job
from workbench.profile.counted import Line
from workbench.profile.profile import Profile
from workbench.profile.system import variant_fields
from workbench.profile.target import target_of
from workbench.report import cache, cpu
from workbench.report.cache_words import CacheStudy
from workbench.report.cpu_words import CpuProfiles
from workbench.report.defaults import first_variant, known_kernel, two_ends

EVENTS = workloads.parse("synthetic").events[:500]
JOBS = [
    (entry.notebook, values["kernel"], tuple(values.get("settings", ())))
    for entry, values in read_plan(shipped("reports") / "nightly.toml").expand()
    if entry.notebook in ("cpu", "system", "cache")
]


@pytest.mark.parametrize(("notebook", "name", "settings"), JOBS)
def test_what_the_nightly_plan_profiles_by_default_can_be_profiled(notebook, name, settings):
    kernel, chosen = kernels.get(name), dict(map(read_setting, settings))
    if notebook == "system":
        title, *_ = variant_fields(kernel, (first_variant(kernel),), EVENTS, chosen)
        assert title == f"{name}/{first_variant(kernel)}"
        return
    variants = two_ends(kernel)
    assert len(variants) == 2, "there is a change to be shown"
    for variant in variants:
        if notebook == "cache":
            assert variant_job(kernel, variant, EVENTS, chosen).title == f"{name}/{variant}"
        else:
            assert is_compiled_function(target_of(kernel, variant, workload=EVENTS, **chosen).function)


def variant(compiled, peer=False):
    return SimpleNamespace(
        peer=peer, replay_from=kernels.get("signals").variant("baseline").replay_from if compiled else len
    )


@pytest.mark.parametrize(
    ("variants", "ends"),
    [
        ({"slow": False, "a": True, "b": True, "c": True}, ["a", "c"]),
        ({"a": True, "combined": True, "c": True}, ["a", "combined"]),
        ({"slow": False, "a": True}, ["a"]),
        ({"slow": False, "slower": False}, ["slow", "slower"]),
    ],
)
def test_the_two_ends_are_compiled_where_anything_is(variants, ends):
    found = {name: variant(compiled) for name, compiled in variants.items()} | {"peer": variant(True, peer=True)}
    kernel = SimpleNamespace(variants=found)
    assert two_ends(kernel) == ends and first_variant(kernel) == ends[0]


def test_an_unknown_kernel_is_one_sentence():
    with pytest.raises(InputError, match="orderbook"):
        known_kernel("orderbook")


def said(figure):
    assert isinstance(figure, go.Figure) and not figure.data
    return figure.layout.annotations[0].text


def test_the_notebook_of_time_finishes_without_a_profile_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_JOB_FOLDER", str(tmp_path))
    profiles = CpuProfiles("order_codec", absent={("baseline", "sampler"): "it is not compiled"})
    for figure in (cpu.main_flame(profiles), cpu.change_flame(profiles), cpu.change_lines(profiles)):
        assert "no variant was profiled" in said(figure)
    assert "no annotated source" in str(cpu.last_profile(profiles))
    cpu.cost_figure(profiles)
    told = str(cpu.conclude_cpu(profiles))
    assert "No line of order_codec could be timed." in told and "it is not compiled" in told
    assert [path.name for path in tmp_path.iterdir()] == ["outcome.json"]


def test_the_notebook_of_caches_finishes_without_a_profile_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_JOB_FOLDER", str(tmp_path))
    study = CacheStudy("order_codec", 10, absent={"baseline": "it is not compiled"})
    for figure in (cache.counts_figure, cache.misses_figure, cache.unused_figure):
        said(figure(study))
    assert "No variant was looked at" in said(cache.change_figure(study))
    assert "No variant was looked at" in str(cache.change(study))
    told = str(cache.conclude_cache(study))
    assert "No variant of order codec could be looked at." in told.replace("_", " ") and "it is not compiled" in told
    assert [path.name for path in tmp_path.iterdir()] == ["outcome.json"]


def a_profile(kind, main):
    profile = Profile("k/only", kind, main)
    profile.add(Line("f", "f.py", 3), main, 9.0)
    return profile


def test_one_profile_is_not_compared_with_itself():
    profiles = CpuProfiles("k", {("only", "sampler"): a_profile("cpu", "samples")})
    for figure in (cpu.change_flame(profiles), cpu.change_lines(profiles)):
        assert "one profile only" in said(figure)
    study = CacheStudy("k", 10, {"only": a_profile("cache", "d1_misses")})
    assert "Only one variant was looked at" in said(cache.change_figure(study))


def test_profiles_by_different_counters_are_not_drawn_line_against_line():
    found = {("a", "sampler"): a_profile("cpu", "samples"), ("b", "scalene"): a_profile("cpu", "time_ms")}
    assert "counts samples and k/only time_ms" in said(cpu.change_lines(CpuProfiles("k", found)))
    found["b", "sampler"] = a_profile("cpu", "samples")
    assert "no line changed" in said(cpu.change_lines(CpuProfiles("k", found)))


def test_a_variant_of_ours_that_is_not_compiled_is_not_called_a_peer():
    with pytest.raises(InputError, match="order_codec/baseline is not compiled by Numba: callgrind"):
        variant_job(kernels.get("order_codec"), "baseline", EVENTS)
    with pytest.raises(InputError, match="order_codec/peer_struct is a peer's code: callgrind"):
        variant_job(kernels.get("order_codec"), "peer_struct", EVENTS)
