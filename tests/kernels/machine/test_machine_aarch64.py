"""64-bit ARM: what is emitted compiles for it, to the instructions meant (client requests: as LLVM's text only).

It has not been run there.
"""

import llvmlite.binding as llvm
import pytest
from machine_code import run_program

EXPECTED = {
    "publish": "stlr",
    "look": "ldar",
    "count": "ldadd",
    "swap": "casal",
    "fetch": "prfm",
    "add_up": "fmla",
    "pause": "yield",
    "stream_fence": "dmb",
    "running_on_valgrind": "orr\tx10, x10, x10",
    "toggle_collect": "ror x12, x12, #61",
}


@pytest.fixture(scope="module")
def listings():
    llvm.initialize_all_targets()
    try:
        llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError:
        pytest.skip("this LLVM was built without 64-bit ARM")
    return run_program("aarch64_program.py", "host")


@pytest.mark.parametrize("name", EXPECTED)
def test_instructions(listings, name):
    assert EXPECTED[name].replace("\t", " ") in listings[name].replace("\t", " ")
