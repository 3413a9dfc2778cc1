"""Parameters are checked by name and type before a Jupyter kernel starts."""

import json

import nbformat
import pytest
from tiny_notebook import write_notebook

from workbench.batch.parameters import check_parameters, declared_parameters, fits, parse_values, read_notebook
from workbench.errors import InputError

CELL = """count: int = 5  # how many [items]
rate: float = 1.5  # how fast [1/s]
name: str = "a # b"  # with a hash in it
on: bool = True
names: list[str] = []  # several
sizes: list[int] = [1, 2]  # in bytes [B]
"""


def declare(cell):
    code = nbformat.v4.new_code_cell(cell, metadata={"tags": ["parameters"]})
    return declared_parameters(nbformat.v4.new_notebook(cells=[code]), "n.ipynb")


def test_each_line_gives_name_type_default_help_and_unit():
    found = {parameter.name: parameter for parameter in declare(CELL)}
    assert (found["count"].type, found["count"].default, found["count"].help) == ("int", 5, "how many")
    assert (found["rate"].unit, found["sizes"].unit, found["names"].unit) == ("1/s", "B", "")
    assert (found["name"].default, found["name"].help) == ("a # b", "with a hash in it")
    assert found["on"].help == ""


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("count = 5", "line 1 .* must have the form"),
        ("import os", "must have the form"),
        ("a: int = 1\nb: dict = {}", "line 2 .* the type 'dict'"),
        ("a: int = f()", "needs a plain value"),
        ("a: int = 'x'", "is not a whole number"),
        ("a: int", "must have the form"),
        ("a: int = = 5", "is not Python"),
    ],
)
def test_a_wrong_line_is_told(cell, says):
    with pytest.raises(InputError, match=says):
        declare(cell)


def test_defaults_fill_in_and_whole_numbers_do_for_numbers():
    values = check_parameters(declare(CELL), {"rate": 2, "names": ["x"]}, "n.ipynb")
    assert values == {"count": 5, "rate": 2.0, "name": "a # b", "on": True, "names": ["x"], "sizes": [1, 2]}
    assert isinstance(values["rate"], float)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"cuont": 5}, "no parameter 'cuont': it has count, rate"),
        ({"count": "5"}, "count is a whole number .how many., not '5'"),
        ({"count": True}, "count is a whole number"),
        ({"count": 1.0}, "count is a whole number"),
        ({"rate": float("nan")}, "rate is a number"),
        ({"names": ["a", 1]}, "names is a list of texts"),
        ({"names": "a"}, "names is a list of texts"),
        ({"on": 1}, "on is true or false"),
        ({"<script>" + "x" * 10_000: 1}, "no parameter '<script>x"),
    ],
)
def test_a_wrong_name_or_value_is_refused(values, says):
    with pytest.raises(InputError, match=says) as caught:
        check_parameters(declare(CELL), values, "n.ipynb")
    assert len(str(caught.value)) < 400


def test_typed_texts_become_values_by_their_declared_type():
    texts = {"count": "7", "rate": "1e3", "on": "no", "names": "a, b", "sizes": "[3,4]", "name": "7", "other": "1"}
    assert parse_values(declare(CELL), texts, "n") == {
        "count": 7, "rate": 1000.0, "on": False, "names": ["a", "b"], "sizes": [3, 4], "name": "7", "other": "1"
    }  # fmt: skip
    assert parse_values(declare(CELL), {"count": "many"}, "n") == {"count": "many"}


def test_nothing_but_json_types_fits():
    import numpy as np

    assert not fits(np.int64(5), "int") and not fits((1, 2), "list[int]")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\xff\xfe", "is no notebook"), (b"[1, 2]", "has no cells"), (b'{"cells": 1}', "has no cells"), (b"", "is no")],
)
def test_a_file_that_is_no_notebook_is_told(tmp_path, content, says):
    path = tmp_path / "n.ipynb"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_notebook(path)
    with pytest.raises(InputError, match="there is no notebook"):
        read_notebook(tmp_path / "absent.ipynb")


def test_two_parameter_cells_are_refused(tmp_path):
    notebook = json.loads(write_notebook(tmp_path / "n.ipynb").read_text())
    notebook["cells"].append(notebook["cells"][1])
    with pytest.raises(InputError, match="keep one"):
        declared_parameters(notebook, "n.ipynb")
