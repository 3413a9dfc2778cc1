"""A job is done again when the person's own code that its parameters name was changed."""

import factory
import pytest

from workbench.batch.job import job_key
from workbench.batch.own_code import named_files, own_code_hash


@pytest.mark.parametrize(
    ("parameters", "file"),
    [
        ({"kernel": "own/vwap.py:vwap/fast"}, "own/vwap.py"),
        ({"several": ["order_book", "own/vwap.py:vwap"]}, "own/vwap.py"),
        ({"module": "own"}, "own/deeper/part.py"),
        ({"modules": ["own.deeper"]}, "own/deeper/part.py"),
        ({"module": "own.vwap"}, "own/vwap.py"),
        ({"module": "./own"}, "own/vwap.py"),
    ],
)
def test_an_edit_of_named_code_makes_another_key(tmp_path, monkeypatch, parameters, file):
    monkeypatch.chdir(tmp_path)
    for name in ("own/__init__.py", "own/vwap.py", "own/deeper/__init__.py", "own/deeper/part.py", "beside.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('it was imported')")
    notebook, machine = tmp_path / "n.ipynb", factory.machine()
    before = job_key(notebook, parameters, machine)
    (tmp_path / "beside.py").write_text("x = 2")
    assert job_key(notebook, parameters, machine) == before
    (tmp_path / file).write_text("x = 2")
    changed = job_key(notebook, parameters, machine)
    assert changed != before
    (tmp_path / file).unlink()
    assert job_key(notebook, parameters, machine) not in (before, changed)


def test_what_is_no_code_names_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = {"kernel": "order_book/l1", "n": 5, "settings": ["a=b:c"], "module": "numpy", "title": "x.py", "f": None}
    assert named_files(plain) == []
    for odd in ("a\x00b.py:x", "/" * 5000 + "x.py:x", "absent.module", "", "~nobody-is-called-so/x.py:x"):
        own_code_hash({"kernel": odd, "module": odd})
