"""A notebook's parameters, read from its cell tagged ``parameters`` and checked before any Jupyter kernel starts.

papermill itself only warns of an unknown name, and injects a value of the wrong type as it is.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InputError

TYPES: Mapping[str, str] = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "list[int]": "a list of whole numbers",
    "list[float]": "a list of numbers",
    "list[str]": "a list of texts",
}


class ParameterError(InputError):
    """A parameter that the notebook does not have, or a value of another type, or a parameters cell that is wrong."""


@dataclass(frozen=True)
class NotebookParameter:
    """One line ``name: int = 5  # help [unit]`` of a parameters cell."""

    name: str
    type: str
    default: Any
    help: str
    unit: str


def read_notebook(path: Path) -> dict[str, Any]:
    """Return the notebook in the file `path` as JSON. Raises InputError with one sentence."""
    try:
        notebook = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"there is no notebook {path}: `workbench list` names those that are shipped") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path} is no notebook ({error}): open it in JupyterLab and save it again") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list) or "nbformat" not in notebook:
        raise InputError(f"{path} is no notebook (it has no cells): open it in JupyterLab and save it again")
    return notebook


def declared_parameters(notebook: Mapping[str, Any], name: str) -> list[NotebookParameter]:
    """Return what the parameters cell of `notebook` declares; none without such a cell.

    Raises ParameterError when a line of it is not an annotated assignment of a JSON value.
    """
    tagged = [cell for cell in notebook["cells"] if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if not tagged:
        return []
    if len(tagged) > 1:
        raise ParameterError(f"{name} has {len(tagged)} cells tagged 'parameters': keep one")
    source = tagged[0]["source"]
    text = source if isinstance(source, str) else "".join(source)
    try:
        statements = ast.parse(text).body
    except SyntaxError as error:
        raise ParameterError(f"{name}: line {error.lineno} of its parameters cell is not Python: {error.msg}") from None
    comments = _comments(text)
    return [_parameter(name, statement, comments.get(statement.lineno, "")) for statement in statements]


def _parameter(notebook: str, statement: ast.stmt, comment: str) -> NotebookParameter:
    where = f"{notebook}: line {statement.lineno} of its parameters cell"
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name) or not statement.value:
        raise ParameterError(f"{where} must have the form `name: type = value  # help [unit]`")
    kind = ast.unparse(statement.annotation)
    if kind not in TYPES:
        raise ParameterError(f"{where} has the type {kind!r}: use one of {', '.join(TYPES)}")
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        raise ParameterError(f"{where} needs a plain value, not {ast.unparse(statement.value)[:60]!r}") from None
    match = re.fullmatch(r"(.*?)\s*(?:\[([^\]]*)\])?", comment)
    help_, unit = (match.group(1), match.group(2) or "") if match else (comment, "")
    if not fits(default, kind):
        raise ParameterError(f"{where}: {default!r} is not {TYPES[kind]}")
    return NotebookParameter(statement.target.id, kind, default, help_, unit)


def _comments(text: str) -> dict[int, str]:
    """Return the comments by the number of their line."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string.lstrip("# ").strip() for token in tokens if token.type == tokenize.COMMENT}


def fits(value: Any, kind: str) -> bool:
    """Return whether `value` is a JSON value of the type that is called `kind`."""
    if kind.startswith("list["):
        return isinstance(value, list) and all(fits(item, kind[5:-1]) for item in value)
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "float":
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    expected = {"int": int, "str": str}[kind]
    return isinstance(value, expected) and not isinstance(value, bool)


def check_parameters(declared: list[NotebookParameter], values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return every parameter of the notebook `name` with its value, or its default.

    Raises ParameterError, one sentence, for a name that it does not have or a value of another type.
    """
    known = {parameter.name: parameter for parameter in declared}
    for key, value in values.items():
        if key not in known:
            has = ", ".join(known) or "none (it has no cell tagged 'parameters')"
            raise ParameterError(f"{name} has no parameter {key[:60]!r}: it has {has}")
        if not fits(value, known[key].type):
            needed = TYPES[known[key].type]
            raise ParameterError(f"{name}: parameter {key} is {needed} ({known[key].help}), not {str(value)[:60]!r}")
    chosen = {key: values.get(key, parameter.default) for key, parameter in known.items()}
    return {key: float(value) if known[key].type == "float" else value for key, value in chosen.items()}


def parse_values(declared: list[NotebookParameter], texts: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return parameters that were typed as text, by the types that the notebook declares; unknown names stay text."""
    known = {parameter.name: parameter for parameter in declared}
    return {key: _parse(text, known[key].type) if key in known else text for key, text in texts.items()}


def _parse(text: str, kind: str) -> Any:
    """Return `text` as a value of type `kind`; as it is where it cannot be one, so that the check tells of it."""
    if kind == "str":
        return text
    if kind.startswith("list["):
        items = [item.strip() for item in text.strip("[] ").split(",") if item.strip()]
        return [_parse(item.strip("\"'"), kind[5:-1]) for item in items]
    if kind == "bool":
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower(), text)
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        return text
