"""Planted costs of memory are found at their line, in processes of their own; hostile subjects end in one sentence."""

import re
import shutil
import sys
import threading
from pathlib import Path

import memory_subjects
import numpy as np
import pytest
from memray import FileReader

from workbench import abilities, workloads
from workbench.errors import InputError, WorkbenchError
from workbench.profile.annotated import page
from workbench.profile.memory import profile_memory
from workbench.profile.memory_places import WRAPPER
from workbench.profile.profile import from_record
from workbench.profile.users import know
from workbench.report.memory import MemoryStudy, flame_figure
from workbench.report.memory_words import memory_outcome

ADDRESS = re.compile(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    package = memory_subjects.write_kernel(tmp_path_factory.mktemp("kernel"))
    know(str(package))
    yield package
    sys.path.remove(str(package.parent))


@pytest.fixture(scope="module")
def wasteful(package, kept):
    events = workloads.synthetic(1, 5_000, 1, name="small")
    return profile_memory("tally/wasteful", workload=events, keep=kept, seconds=0.1)


@pytest.fixture(scope="module")
def leaking(tmp_path_factory, kept):
    file = memory_subjects.write_functions(tmp_path_factory.mktemp("functions"))
    return file, profile_memory(f"{file}:leaks", keep=kept, seconds=0.1)


def test_an_allocation_inside_compiled_code_is_found_at_its_line(wasteful, package):
    planted = memory_subjects.line_of(package / "wasteful.py", "# planted")
    (line,) = wasteful.counters
    assert (Path(line.file).name, line.line, line.function) == ("wasteful.py", planted, "pair")
    assert wasteful.per_operation(line) == 1
    assert wasteful.counters[line]["temporary"] == wasteful.counters[line]["allocations"]
    assert "leaked" not in wasteful.counters[line]
    assert wasteful.badges == {"replay_from": "same code"}
    assert "# planted" in wasteful.source(line)
    assert wasteful.outside[WRAPPER] > 0
    assert 5_000 <= wasteful.facts.watched.nrt_allocations_per_call < 5_010, "Numba counts as many"
    stack = max(wasteful.stacks, key=wasteful.stacks.get)
    assert [frame.function for frame in stack][-2:] == ["replay_from", "pair"]


def test_the_process_is_watched_and_every_cost_is_stated(wasteful):
    watched = wasteful.facts.watched
    assert [phase.name for phase in watched.phases] == ["start", "load", "warm-up", "calls"]
    assert sum(phase.minor_faults for phase in watched.phases) > 1_000
    assert watched.calls >= 8 and 20e6 < watched.peak_rss_bytes < 500e6
    assert len(watched.rss_over_time) > 10 and all(size > 0 for _, size in watched.rss_over_time)
    assert watched.growth_bytes == 0
    names = ("memray_slowdown_ratio", "rss_sample_interval_ms", "rss_sample_cost_us", "rss_sampler_core_share")
    assert all(wasteful.overhead[name] > 0 for name in names)


def test_memray_reads_its_own_file_and_counts_the_same(wasteful, kept):
    file = next(Path(each) for each in wasteful.artefacts if each.endswith(".memray.bin"))
    with FileReader(file) as reader:
        temporary = sum(each.n_allocations for each in reader.get_temporary_allocation_records(threshold=1))
    tracked = wasteful.facts.tracked
    assert abs(temporary - tracked.temporary) <= 0.01 * tracked.temporary


def test_memrays_flame_graphs_ask_for_no_other_file(leaking):
    _, profile = leaking
    pages = [Path(each) for each in profile.artefacts if each.endswith(".html")]
    assert [each.name.split("memray-")[1] for each in pages] == ["peak.html", "leaks.html"]
    assert not any(ADDRESS.search(each.read_text()) for each in pages)


def test_a_leak_is_found_at_its_line(leaking):
    file, profile = leaking
    calls = profile.facts.tracked.calls
    (line,) = (line for line, counters in profile.counters.items() if counters.get("leaked_calls", 0) >= calls)
    assert line.line == memory_subjects.line_of(file, "# planted leak")
    assert 8_000 <= profile.counters[line]["leaked_bytes"] / calls < 9_000
    assert profile.facts.watched.growth_bytes_per_call > 4_000
    again = from_record(profile.to_record(_machine()))
    assert again.counters[line] == profile.counters[line]


def _machine():
    from workbench.measure.machine import fingerprint

    return fingerprint()


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("raises", InputError, r"raises raised IndexError at .*planted\.py:\d+ \(list index out of range\)"),
        ("leaves", WorkbenchError, r"ends its process \(exit status 3\)"),
        ("vanishes", WorkbenchError, r"ended by itself with exit status 7"),
        ("gone", InputError, r"has no function gone: it has .*leaks, once"),
    ],
)
def test_a_function_that_ends_otherwise_is_told_in_one_sentence(leaking, name, kind, told):
    file, _ = leaking
    with pytest.raises(kind, match=told) as raised:
        profile_memory(f"{file}:{name}", seconds=0.1)
    assert "\n" not in str(raised.value)


def test_nothing_allocated_a_name_with_markup_and_no_heaptrack(tmp_path, monkeypatch):
    file = memory_subjects.write_functions(tmp_path, "x<script>.py")
    monkeypatch.setenv("PATH", "/nowhere")
    profile = profile_memory(f"{file}:nothing", seconds=0.1, native="heaptrack", keep=tmp_path / "kept")
    assert not profile.counters and profile.facts.tracked.allocations == 0
    assert "<script" not in page(profile).replace("&lt;script", "")
    assert all("<" not in Path(each).name for each in profile.artefacts)
    told = memory_outcome([profile])
    assert told.headline.startswith("No allocation per call, and no leak")
    assert any("heaptrack was left out: heaptrack is not on this machine" in each for each in told.findings)


def test_without_memray_the_process_is_watched_and_what_is_missing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(abilities, "memray", lambda: abilities.Ability("memray", False, "memray is not here", "", "x"))
    file = memory_subjects.write_functions(tmp_path)
    profile = profile_memory(f"{file}:squares", setup="three", seconds=0.05, keep=tmp_path / "kept")
    assert profile.facts.watched.calls >= 8 and profile.facts.watched.nrt_allocations_per_call >= 1
    told = memory_outcome([profile])
    assert told.headline == "Allocations and leaks of planted.py:squares were not recorded: memray is missing."
    assert "as memray is not here (x); Numba's own count is" in told.findings[0]
    assert any("memray is not here" in note for note in profile.notes)
    assert "memray is missing" in flame_figure(MemoryStudy([profile], [])).layout.annotations[0].text


@pytest.mark.slow
def test_massif_is_read_where_valgrind_is(tmp_path, monkeypatch):
    """A stand-in for valgrind, which takes minutes: it writes what massif writes, and runs the program."""
    fake = tmp_path / "bin" / "valgrind"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\nfor each; do case "$each" in --massif-out-file=*) out="${each#*=}";; --*) ;; *) break;; esac; '
        'shift; done\nprintf "mem_heap_B=5\\nmem_heap_B=7000000\\nmem_heap_B=3\\n" > "$out"\nexec "$@"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    file = memory_subjects.write_functions(tmp_path)
    profile = profile_memory(f"{file}:nothing", seconds=0.1, native="massif", keep=tmp_path / "kept")
    assert "its heap was 7.00 MB at most" in profile.facts.native_heap
    assert any(each.endswith(".massif.out") for each in profile.artefacts)


@pytest.mark.parametrize(
    ("subject", "options", "told"),
    [
        ("/nowhere/file.py:f", {}, "there is no file"),
        ("order_book/gone", {}, "has no variant 'gone'"),
        ("gone/gone", {}, "there is no kernel 'gone'"),
        ("order_book/aligned", {"native": "guess"}, "no native heap profiler"),
        ("order_book/aligned", {"seconds": 0}, "cannot be watched"),
        (lambda: None, {"workload": "synthetic"}, "takes its own arguments"),
        (lambda guard: None, {"argument": True}, "cannot be taken to another process"),
    ],
)
def test_bad_input_is_refused_before_a_process_starts(subject, options, told):
    arguments = [threading.Lock()] if options.pop("argument", False) else []
    with pytest.raises(InputError, match=told):
        profile_memory(subject, *arguments, **options)


@pytest.mark.slow
def test_a_function_of_a_session_crosses_with_its_lines():
    scope = {"__name__": "__main__"}
    source = "import numpy as np\nfrom numba import njit\n@njit\ndef f(x):\n    y = x * 2\n    return y.sum()\n"
    exec(compile(source, "<a cell>", "exec"), scope)
    profile = profile_memory(scope["f"], np.arange(10.0), seconds=0.1)
    assert [(line.file, line.line, profile.per_operation(line)) for line in profile.counters] == [("<a cell>", 5, 1)]


@pytest.mark.slow
@pytest.mark.browser
def test_memrays_flame_graph_makes_no_request_in_a_browser(leaking):
    if shutil.which("chromium") is None:
        pytest.skip("no chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    file = next(each for each in leaking[1].artefacts if each.endswith("memray-leaks.html"))
    asked = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page_ = browser.new_page()
        page_.on("request", lambda request: asked.append(request.url))
        page_.goto(f"file://{file}", timeout=60_000)
        page_.get_by_text("planted leak").first.wait_for(state="attached", timeout=60_000)
        browser.close()
    assert asked == [f"file://{file}"]


@pytest.mark.slow
def test_a_clean_kernel_has_no_finding():
    profile = profile_memory("order_book/aligned", workload=workloads.synthetic(1, 5_000, 1, name="s"), seconds=0.2)
    assert not profile.counters
    told = memory_outcome([profile])
    assert told.headline == "No allocation per operation, and no leak, in order_book/aligned."
    assert not any("keeps" in each or "allocates" in each for each in told.findings)


@pytest.mark.slow
def test_heaptrack_keeps_its_file(tmp_path):
    if shutil.which("heaptrack") is None:
        pytest.skip("heaptrack is not installed")
    file = memory_subjects.write_functions(tmp_path)
    profile = profile_memory(f"{file}:once", seconds=0.1, native="heaptrack", keep=tmp_path / "kept")
    assert "peak heap memory consumption" in profile.facts.native_heap
    assert any(".heaptrack." in each and Path(each).stat().st_size for each in profile.artefacts)
    assert not any("keeps" in each for each in memory_outcome([profile]).findings), "a cache is no leak"
