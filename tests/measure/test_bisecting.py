"""The search itself, over commits that are letters: which code each has is given, and so is what timing would say."""

import pytest

from workbench.errors import InputError, WorkbenchError
from workbench.measure.bisecting import Bisection, UnresolvedError
from workbench.measure.codes import VariantCode
from workbench.measure.git import Revision
from workbench.measure.turns_job import Code
from workbench.record import Comparison, Verdict


def revision(number):
    return Revision(f"c{number}", f"{number:040d}", f"commit {number}")


def bisection(codes, slow="", unsure="", broken=""):
    """`codes`: one letter a commit, the good one first; which letters are slow, not sure, or do not compile."""
    told, timed = [], []

    def look(asked):
        letter = codes[int(asked.commit)]
        if letter in broken:
            raise WorkbenchError("it does not compile")
        return Code(hash=letter, functions={"replay": letter, "helper": "the same"})

    def judge(asked):
        letter = codes[int(asked.commit)]
        timed.append(letter)
        verdict = Verdict.SLOWER if letter in slow else Verdict.UNRESOLVED if letter in unsure else Verdict.UNCHANGED
        return Comparison(
            a="k/v@good", b="k/v@x", metric="throughput", statistic="mean", ratio=2.0, low=1.9, high=2.1, margin=0.03,
            verdict=verdict, blocks=4, replicates=2, reason="why",
        )  # fmt: skip

    commits = [revision(number) for number in range(1, len(codes))]
    return Bisection(revision(0), commits, look, judge, told.append), told, timed


@pytest.mark.parametrize("first", range(1, 16))
def test_the_first_slow_commit_is_found_and_equal_code_is_never_timed(first):
    search, told, timed = bisection("a" * first + "b" * (16 - first), slow="b")
    finding = search.run()
    assert finding.first == revision(first)
    assert timed == ["b"] and finding.timed == 1, "only the bad revision had to be timed"
    assert finding.functions == ("replay",) and finding.suspects == ()
    assert len(told) <= 5, "16 commits take four steps"


def test_code_that_differs_is_timed():
    search, told, timed = bisection("abcdefgh", slow="fgh")
    finding = search.run()
    assert finding.first == revision(5) and timed == ["h", "d", "f", "e"]
    assert any("commit 3: good, 2.000 (1.900 to 2.100) times the cost" in line for line in told)


def test_what_is_not_sure_or_does_not_compile_is_skipped_and_suspected():
    search, told, _ = bisection("aaxuba", slow="ba", unsure="u", broken="x")
    search.commits = search.commits[:4]  # up to b
    finding = search.run()
    assert finding.first == revision(4)
    assert finding.suspects == (revision(2), revision(3))
    assert any("commit 2: skipped, it does not compile" in line for line in told)
    assert any("commit 3: skipped, 2.000 (1.900 to 2.100) times the cost is not sure" in line for line in told)


def test_a_skipped_commit_elsewhere_is_no_suspect():
    search, _, _ = bisection("axaabb", slow="b", broken="x")
    assert search.run().suspects == ()


def test_the_same_code_on_another_state_is_timed():
    search, _, timed = bisection("aaAA", slow="A")
    letters = search.look
    search.look = lambda asked: letters(asked).model_copy(update={"hash": "1", "state": letters(asked).hash})
    assert search.run().first == revision(2) and timed == ["A"]
    assert VariantCode("k/v", (Code(hash="1", state="a"), Code(hash="1", state="b"))).state_alone
    assert not VariantCode("k/v", (Code(hash="1", state="a"), Code(hash="2", state="b"))).state_alone
    assert not VariantCode("k/v", (Code(source="1", hash="1"), Code(source="1"))).state_alone


def test_nothing_to_find():
    with pytest.raises(InputError, match="have the same machine code"):
        bisection("aba")[0].run()
    with pytest.raises(InputError, match=r"is not slower than .* nothing to find"):
        bisection("ab")[0].run()
    with pytest.raises(UnresolvedError, match=r"is not sure: 2\.000"):
        bisection("ab", unsure="b")[0].run()
    with pytest.raises(WorkbenchError, match="does not compile"):
        bisection("ab", broken="a")[0].run()
