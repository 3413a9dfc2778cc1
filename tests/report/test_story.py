"""The story of a chain of variants: which steps there are, what is said of each, what when much is missing."""

import dataclasses

import pytest
from story_records import CHAIN, COUNTS, LINES, STEPS, run_of

import kernels
from kernels.catalog import _registered
from workbench import figures
from workbench.errors import InputError, WorkbenchError
from workbench.record import Verdict
from workbench.report import cell_progress, story, story_profiles
from workbench.report.chain import chain_of
from workbench.report.story_words import conclusion


def test_the_chain_of_a_kernel_leads_from_its_root_to_every_leaf():
    chain = chain_of("order_book")
    book = kernels.get("order_book")
    assert [step.variant for step in chain.steps[:2]] == ["baseline", "ladder"]
    assert {step.variant for step in chain.all} == {n for n, v in book.variants.items() if not v.missing()}
    by_name = {step.variant: step for step in chain.steps}
    for step in chain.steps:
        assert step.parent == book.variants[step.variant].parent
        assert step.depth == (by_name[step.parent].depth + 1 if step.parent else 0)
        assert step.root == "baseline"
    peers = [peer.variant for peer in chain.peers]
    assert {("ladder", "aligned"), ("baseline", "aligned"), *((peer, "aligned") for peer in peers)} <= set(
        chain.pairs()
    )
    assert len(chain.pairs()) == len(set(chain.pairs())) and all(a != b for a, b in chain.pairs())


def test_ancestors_of_what_is_named_come_along():
    assert [step.variant for step in chain_of("order_book", ["aligned"]).steps] == ["baseline", "ladder", "aligned"]
    with pytest.raises(InputError, match="no variant 'none'"):
        chain_of("order_book", ["none"])
    with pytest.raises(InputError, match="there is no kernel"):
        chain_of("none")


def test_a_kernel_of_ones_own_has_a_chain_whose_missing_link_is_told(monkeypatch):
    book = kernels.get("order_book")
    mine = dataclasses.replace(book, name="mine")
    variants = {name: dataclasses.replace(book.variants[name]) for name in ("baseline", "ladder", "aligned")}
    for variant in variants.values():
        variant.kernel = mine
    variants["ladder"].missing = lambda: "it is away"
    mine.__dict__["variants"] = variants  # in place of what lies in the package's folder
    monkeypatch.setitem(_registered, "mine", mine)
    chain = chain_of("mine")
    assert [(step.variant, step.parent, step.depth) for step in chain.steps] == [
        ("baseline", None, 0),
        ("aligned", "baseline", 1),
    ]
    assert chain.left_out == ("ladder was left out: it is away.",)


def test_what_refuses_the_usual_parameters_is_left_out(monkeypatch):
    ladder = kernels.get("order_book").variants["ladder"]
    monkeypatch.setattr(ladder, "refuses", lambda parameters: f"it has no window of {parameters['window_ticks']}")
    chain = chain_of("order_book", ["aligned"])
    assert [step.variant for step in chain.steps] == ["baseline", "aligned"]
    assert "ladder was left out: it has no window of 4096." in chain.left_out


def test_each_step_is_concluded_from_the_records():
    run = story.with_counts(run_of(), CHAIN, COUNTS)
    root, ladder, aligned = (conclusion(CHAIN, step, run, LINES, COUNTS) for step in STEPS)
    assert root[0] == "It is where the chain begins: 60.0 ns an operation."
    assert ladder[0].startswith("The step paid: 3.75 times as fast against baseline (cost 0.267, 0.264 to 0.270)")
    assert ladder[1] == "Most was saved in find: 30.0 ns before, 0 ns after."
    assert ladder[2].startswith("Simulated, an operation takes fewer instructions (400 before, 200 after)")
    assert ladder[3] == "It is 3.62 times as fast as peer." and "may not read it" in ladder[4]
    assert aligned[0].startswith("The step did not pay here: +25 % in cost against ladder")
    assert aligned[1] == "Most was added in fetch: 0 ns before, 8.00 ns after."
    assert len(aligned) == 2, "half a percent more instructions is no finding"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [(Verdict.UNCHANGED, "changed nothing that counts"), (Verdict.UNRESOLVED, "is not settled")],
)
def test_a_step_that_is_not_settled_is_given_no_reason(verdict, words):
    told = conclusion(CHAIN, STEPS[2], run_of((Verdict.FASTER, verdict)), LINES, COUNTS)
    assert words in told[0] and not any("Most was" in sentence for sentence in told)


def test_the_page_shows_lines_side_by_side_and_escapes_everything():
    run = story.with_counts(run_of(), CHAIN, COUNTS)
    page = story.tell_steps(CHAIN, run, LINES, COUNTS)
    html = page._repr_mimebundle_()["text/html"]
    assert "<img" not in html and "find &lt;code&gt;" in html and "find.py:1" in html
    assert html.count("the lines that take most") == 1 + 2 + 2
    assert "0.267" in html and "400" in html and "ladder (parent)" in html and "peer (peer)" in html
    assert "3.00" in html, "misses of the line, per operation"
    assert "href" not in html, "outside a job there are no pages to lead to"
    assert " 30.00 ns" in str(page)


def test_what_cannot_be_profiled_is_said_and_the_rest_is_told(monkeypatch):
    none = story.Profiles("cpu", reason="this machine cannot sample")
    some = story.Profiles("cache", {}, {"ladder": "it failed"}, reason="it failed", operations=10)
    run = story.with_counts(run_of(), CHAIN, some)
    outcome = story.conclude_story(CHAIN, run, none, some).outcome
    assert outcome.headline.startswith("ladder is the fastest step of order_book: 16.0 ns an operation, 3.75 times")
    assert "Lines are not shown: this machine cannot sample." in outcome.findings
    assert "Misses of ladder are not shown: it failed." in outcome.findings
    html = story.tell_steps(CHAIN, run, none, some).to_html()
    assert "Not shown: this machine cannot sample." in html and "0.267" in html
    assert story.counts_figure(run, CHAIN, some).layout.annotations[0].text == "it failed"
    assert len(figures.figure_table(story.worth_figure(run, CHAIN)).rows) == 5


def test_a_profiler_that_fails_for_one_variant_leaves_the_others(monkeypatch, tmp_path):
    def profile_cpu(kernel, variant, **options):
        if variant == "ladder":
            raise WorkbenchError("no such luck")
        return LINES.found[variant]

    monkeypatch.setenv("WORKBENCH_TIMING_LOCK", str(tmp_path / "lock"))
    monkeypatch.setenv("WORKBENCH_JOB_FOLDER", str(tmp_path))
    (tmp_path / "log.txt").write_text("begun\n")
    monkeypatch.setattr("workbench.profile.cpu.profile_cpu", profile_cpu)
    monkeypatch.setattr(story_profiles, "_events", lambda workload: None)
    monkeypatch.setattr(story_profiles, "_operations", lambda chain, events: 10)
    found = story.sample_lines(CHAIN)
    assert set(found.found) == {"baseline", "aligned"} and found.absent == {"ladder": "no such luck"}
    assert found.reason == ""
    assert (tmp_path / "profiles" / "aligned-cpu.html").is_file()
    assert "sampling order_book/ladder" in (tmp_path / "log.txt").read_text()
    html = story.tell_steps(CHAIN, run_of(), found, COUNTS).to_html()
    assert 'href="profiles/aligned-cpu.html"' in html and "Lines of ladder are not shown: no such luck." in html


def test_without_valgrind_the_reason_is_given(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "valgrind is not installed" in story.simulate(CHAIN).reason
    assert story.simulate(CHAIN, wanted=False).reason == "no misses were asked for"
    assert story.sample_lines(CHAIN, wanted=False).reason == "no lines were asked for"


def test_progress_goes_to_the_log_of_the_job_or_of_the_attempt_in_it(tmp_path):
    attempt = tmp_path / ".attempt-1"
    attempt.mkdir()
    (tmp_path / "log.txt").write_text("begun\n")
    progress = cell_progress.cell_progress(attempt)
    for done in (0.25, 0.26, 0.5):
        progress.advance(done, "sampling" if done < 0.5 else "simulating")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line[21:] for line in lines[1:]] == ["25% sampling", "50% simulating"]
    assert isinstance(cell_progress.cell_progress(None), cell_progress.InCell)
    assert not (attempt / "log.txt").exists()
