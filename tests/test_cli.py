"""The command line as a person meets it: help at once, one sentence for a mistake, the right exit code."""

import subprocess
import sys

import pytest


def workbench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *arguments], capture_output=True, text=True, check=False, timeout=400
    )


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom click.testing import CliRunner\nfrom workbench.cli import workbench\n"
        "result = CliRunner().invoke(workbench, ['--help'])\n"
        "assert result.exit_code == 0 and 'doctor' in result.output, result.output\n"
        "heavy = {'numba', 'numpy', 'scipy', 'pydantic', 'plotly', 'sqlalchemy', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["runn", "order_book"], "runn"),
        (["doctor", "--jsn"], "--jsn"),
        (["run", "order_bok"], "order_book"),
        (["run", "order_book/lader"], "ladder"),
        (["run", "order_book", "--input", "/nonexistent/file"], "/nonexistent/file"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(arguments, word):
    done = workbench(*arguments)
    assert done.returncode == 2, done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_each_verb_has_help():
    from workbench.cli import workbench as group

    for verb in group.list_commands(None):
        command = group.get_command(None, verb)
        assert command.help, verb
        assert verb == command.name, "the file's name is the verb"


def test_version():
    done = workbench("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("workbench, version ")
