"""``vwap.py:vwap`` on a command line: the file is imported, and what is wrong with it is told."""

import sys
from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.own.files import plain_name

FILE = Path(__file__).with_name("vwap_of_a_user.py")


@pytest.fixture(autouse=True)
def imports_as_before():
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("user_file"):
            del sys.modules[name]


def test_other_names_pass_as_they_are():
    assert [plain_name(text) for text in ("order_book", "order_book/aligned", "main", "@monday")] == [
        "order_book",
        "order_book/aligned",
        "main",
        "@monday",
    ]


def test_a_file_is_imported_once_and_its_kernel_named():
    assert plain_name(f"{FILE}:user_vwap") == "user_vwap"
    assert plain_name(f"{FILE}:user_vwap/fast") == "user_vwap/fast"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("user_file_a.py", "x = (", r"fails when it is imported \('\(' was never closed in line 1\)"),
        ("user_file_b.py", "1 // 0", "fails when it is imported .ZeroDivisionError"),
        ("user_file_c.py", "x = 1", "declares no kernel vwap: it declares none; put @wb.variant"),
        ("user-file.py", "x = 1", "rename it to letters"),
        ("json.py", "x = 1", "is called json too: rename it"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        plain_name(f"{tmp_path / name}:vwap")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*gone"):
        plain_name(f"{tmp_path}/gone.py:vwap")
