import shutil

import pytest
from IPython.core.interactiveshell import InteractiveShell

from workbench import magics
from workbench.abilities import Ability
from workbench.own.registry import find
from workbench.profile.sampler import is_sampling


@pytest.fixture(scope="module")
def shell():
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "workbench")
    yield shell
    InteractiveShell.clear_instance()


def run(shell, source, capsys):
    """Run a cell; return its result and what it printed."""
    result = shell.run_cell(source)
    captured = capsys.readouterr()
    return result, captured.out, captured.err


DEFINE = """
import numpy as np, numba
@numba.njit
def summed(values):
    total = 0.0
    for i in range(values.shape[0]):
        total += 1.0 / values[i]   # the line
    return total
values = np.ones(100_000)
summed(values)
"""


def test_lines_of_a_function_that_was_compiled_in_an_earlier_cell(shell, capsys):
    result, _, _ = run(shell, DEFINE, capsys)
    assert result.success
    result, out, err = run(shell, "%%lines --rate 2000\nfor _ in range(3000): summed(values)\n7", capsys)
    assert result.success, err
    assert result.result == 7
    assert "# the line" in out
    profile = shell.user_ns["_profile"]
    assert profile.badges == {"summed": "same code"}
    top, _ = profile.top(1)[0]
    assert profile.source(top).strip().endswith("# the line")
    loop = {
        line: share
        for line, share in profile.top()
        if "for i in" in profile.source(line) or "# the line" in profile.source(line)
    }
    assert sum(loop.values()) > 0.9


def test_lines_of_a_function_that_the_cell_itself_defines(shell, capsys):
    source = DEFINE.replace("summed", "local") + "for _ in range(2000): local(values)"
    result, out, err = run(shell, "%%lines\n" + source, capsys)
    assert result.success, err
    assert "# the line" in out
    assert "local" in shell.user_ns


def test_an_exception_in_the_cell_passes_and_the_profile_is_shown(shell, capsys):
    result, out, _ = run(shell, "%%lines\nfor _ in range(1000): summed(values)\nraise ValueError('mine')", capsys)
    assert isinstance(result.error_in_exec, ValueError)
    assert "in compiled code" in out
    assert not is_sampling()


def test_a_wrong_option_is_one_sentence(shell, capsys):
    result, _, err = run(shell, "%%lines --rate soon\n1", capsys)
    assert isinstance(result.error_in_exec, magics.CellStopped)
    assert "invalid float value" in err and "Traceback" not in err


def test_a_trailing_semicolon_hides_the_value(shell, capsys):
    result, _, _ = run(shell, "%%lines\n5;", capsys)
    assert result.result is None


ADD = """
import numpy as np, numba
@numba.njit
def plain(values):
    total = 0.0
    for i in range(values.shape[0]):
        total += values[i]
    return total
@numba.njit
def halves(values):
    total = 0.0
    for i in range(values.shape[0]):
        total += values[i] / 2 + values[i] / 2
    return total
@numba.njit
def wrong(values):
    return 1.0
values = np.ones(1000)
"""


def test_every_magic_is_registered_and_explains_itself(shell):
    assert {"lines", "cache", "memory", "diagnose"} <= set(magics.MAGICS)
    assert {"compare", "doctor"} <= set(magics.LINE_MAGICS)
    for kind, names in (("cell", magics.MAGICS), ("line", magics.LINE_MAGICS)):
        for name in names:
            assert shell.find_magic(name, kind), name
            assert names[name].__doc__


def test_doctor_tells_in_the_notebook(shell, capsys, monkeypatch):
    told = []
    monkeypatch.setattr(
        "workbench.abilities.CHECKS", (lambda: told.append(1) or Ability("tool x", False, "gone", "y"),)
    )
    result, out, err = run(shell, "%doctor", capsys)
    assert result.success and told == [1], err
    assert "tool x" in out and "instead: y" in out and "0 of 1" in out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%compare plain", "required: b"),
        ("%compare plain plain -- values", "itself"),
        ("%compare plain nothing -- values", "no nothing here"),
        ("%compare plain halves -- unknown", "NameError"),
        ("%compare plain wrong -- values", "different results"),
        ("%compare order_book/baseline signals/baseline", "two kernels"),
        ("%compare order_book/baseline order_book/ladder -- 3", "no arguments"),
        ("%compare --workload synthetic plain halves -- values", "no workload"),
    ],
)
def test_a_comparison_that_cannot_be_is_one_sentence(shell, capsys, line, told):
    run(shell, ADD, capsys)
    result, _, err = run(shell, line, capsys)
    assert isinstance(result.error_in_exec, magics.CellStopped)
    assert told in err and "Traceback" not in err


@pytest.mark.slow
def test_two_functions_of_the_session_are_compared_in_fresh_processes(shell, capsys):
    run(shell, ADD, capsys)
    result, _, err = run(shell, "%compare --seconds 0.4 --replicates 2 plain halves -- values", capsys)
    assert result.success, err
    assert (result.result.a, result.result.b) == ("compared/plain", "compared/halves")
    assert result.result.row("throughput", "mean").replicates == 2
    assert shell.user_ns["_comparison"] is result.result


def test_a_second_comparison_replaces_the_first_and_options_are_handed_on(shell, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr("workbench.measure.api.compare", lambda *names, **options: asked.append((names, options)))
    run(shell, ADD, capsys)
    for line in ("plain halves -- values", "--seconds 2 halves wrong -- values * 2, 7", "wrong plain"):
        result, _, err = run(shell, f"%compare {line}", capsys)
        assert result.success, err
        own = find("compared")
        assert list(own.variants) == list(asked[-1][0][1:])
        assert all(own.variants[name].function is shell.user_ns[name] for name in own.variants)
        if "7" in line:
            assert own.make()[1] == 7 and own.make()[0][0] == 2.0
    assert own.make() == ()
    assert asked[1][1]["seconds"] == 2.0 and asked[0][1]["replicates"] == 6
    run(shell, "%compare --workload synthetic order_book/baseline order_book/ladder", capsys)
    assert asked[-1][0] == ("order_book", "baseline", "ladder", "synthetic")


@pytest.mark.slow
def test_memory_names_the_line_that_allocates(shell, capsys):
    source = """
@numba.njit
def squares(values):
    total = 0.0
    for i in range(50):
        total += (values * i).sum()  # allocates
    return total
squares(values)
"""
    run(shell, ADD + source, capsys)
    result, out, err = run(shell, "%%memory --seconds 0.3\nsquares(values)", capsys)
    assert result.success, err
    assert result.result == shell.user_ns["squares"](shell.user_ns["values"])
    profile = shell.user_ns["_profile"]
    top, _ = profile.top(1)[0]
    assert profile.kind == "memory" and profile.source(top).strip().endswith("# allocates")
    assert "# allocates" in out


@pytest.mark.slow
@pytest.mark.valgrind
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_cache_counts_the_misses_of_a_line(shell, capsys):
    run(shell, ADD.replace("np.ones(1000)", "np.ones(100_000)"), capsys)
    result, out, err = run(shell, "%%cache\nplain(values)", capsys)
    assert result.success, err
    profile = shell.user_ns["_profile"]
    lines = {profile.source(line).strip(): counters for line, counters in profile.counters.items()}
    assert 12_000 < lines["total += values[i]"]["d1_misses"] < 13_500, "100,000 numbers lie on 12,500 cache lines"
    assert "simulated" in out
