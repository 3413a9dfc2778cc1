"""The name of a test's measurements: no two tests, projects or Pythons have the same, and it can name a kernel."""

import types

from workbench.testing import names
from workbench.testing.names import kernel_of


def test_it_says_project_python_and_test(monkeypatch):
    monkeypatch.setattr(names, "sys", types.SimpleNamespace(version_info=(3, 99, 0)))
    assert kernel_of("prices", "tests/unit/test_a.py::Test::test_it[1-2.5]") == (
        "prices 3.99 tests.unit.test_a::Test::test_it[1-2.5]"
    )


def test_what_is_replaced_makes_no_two_the_same():
    tests = [
        ("p", "a/test_b.py::test"),
        ("p", "a.test_b.py::test"),
        ("p", "a@/test_b.py::test"),
        ("p", "a(at)/test_b.py::test"),
        ("p", "test_b.py::test[a/b]"),
        ("p", "test_b.py::test[a.b]"),
        ("p", "test_b.py::test[a,b]"),
        ("p", "test_b.py::test[a;b]"),
        ("p,", "test_b.py::test"),
        ("p;", "test_b.py::test"),
    ]
    found = {kernel_of(project, test) for project, test in tests}
    assert len(found) == len(tests)
    assert not any(character in name for name in found for character in "/@,")
