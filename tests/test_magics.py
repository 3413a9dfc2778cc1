import pytest
from IPython.core.interactiveshell import InteractiveShell

from workbench import magics
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
