"""``vwap.py:vwap`` on a command line: the file is imported, and what is wrong with it is told."""

import os
import sys
from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.own.files import plain_name
from workbench.own.registry import find

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
        ("user_file_d.py", "import sys\nsys.exit(0)", "ends the program when it is imported: put what calls sys.exit"),
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


def declaring(kernel, *variants):
    lines = "".join(f"@wb.variant({kernel!r}, {name!r})\ndef {name}(x):\n    return x\n\n\n" for name in variants)
    return f"import workbench as wb\n\n\n@wb.workload({kernel!r})\ndef make(n: int = 4):\n    return (n,)\n\n\n{lines}"


def test_a_file_that_was_edited_is_imported_again(tmp_path):
    file = tmp_path / "user_file_edited.py"
    file.write_text(declaring("user_edited", "baseline", "fast"))
    stamp = file.stat()
    plain_name(f"{file}:user_edited")
    first = sys.modules["user_file_edited"].fast
    plain_name(f"{file}:user_edited")
    assert sys.modules["user_file_edited"].fast is first, "it is imported once while it stays as it is"

    file.write_text(declaring("user_edited", "baseline", "slow"))  # of the same length, and at the same time
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    plain_name(f"{file}:user_edited/slow")
    assert set(find("user_edited").variants) == {"baseline", "slow"}

    file.write_text("x = (")
    for _ in range(2):
        with pytest.raises(InputError, match="never closed"):
            plain_name(f"{file}:user_edited")
    assert set(find("user_edited").variants) == {"baseline", "slow"}, "an edit that is broken loses nothing"

    file.write_text(declaring("user_other", "baseline"))
    with pytest.raises(InputError, match="declares no kernel user_edited: it declares user_other"):
        plain_name(f"{file}:user_edited")
