"""environment.yml (conda) and pyproject.toml (pip) name the same dependencies with the same lower bounds."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NATIVE = {"python", "pip", "make", "git", "gxx", "valgrind"}  # what pip cannot install
CONDA_NAMES = {"python-capstone": "capstone", "prometheus_client": "prometheus-client"}


def _split(requirement: str) -> tuple[str, str]:
    """Return the lower-case name and the version bound of a requirement, without its environment marker."""
    name, bound = re.fullmatch(r"\s*([\w-]+)\s*(>=[\w.]+)?.*", requirement.split(";")[0]).groups()
    return CONDA_NAMES.get(name.lower(), name.lower()), bound or ""


def _conda() -> dict[str, str]:
    lines = (ROOT / "environment.yml").read_text().split("dependencies:")[1].splitlines()
    items = [line.split("- ", 1)[1] for line in lines if "- " in line and not line.strip().endswith("pip:")]
    return dict(_split(item) for item in items if not item.startswith("-e"))


def test_conda_and_pip_name_the_same_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = dict(_split(item) for item in project["dependencies"])
    found = {name: bound for name, bound in _conda().items() if name not in NATIVE}
    assert found == wanted


def test_conda_asks_for_the_same_python():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert _conda()["python"] == project["requires-python"]
