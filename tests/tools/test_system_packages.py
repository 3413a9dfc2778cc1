"""System packages are optional for a person and required in continuous integration, where apt can be had."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "system-packages"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def ask(tmp_path):
    """Return what runs the tool for three packages, with an apt-get that knows what it is told to know."""

    def run(has, *, user="0", required=True):
        (tmp_path / "id").write_text(f"#!/bin/sh\necho {user}\n")
        (tmp_path / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        (tmp_path / "apt-get").write_text(
            f'#!/bin/sh\n[ "$1" = update ] && exit 0\nshift 4\nfor name in "$@"; do\n  case " {has} " in\n'
            f'    *" $name "*) ;;\n    *) exit 100 ;;\n  esac\ndone\necho "$@" >> {tmp_path}/installed\n'
        )
        for name in ("id", "sudo", "apt-get"):
            (tmp_path / name).chmod(0o755)
        environment = {name: value for name, value in os.environ.items() if name != "SYSTEM"}
        environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
        if required:
            environment["SYSTEM"] = "1"
        words = ["bash", "no-such-a", f"no-such-b={tmp_path}/*/absent"]
        done = subprocess.run([TOOL, *words], capture_output=True, text=True, env=environment, timeout=60)
        log = tmp_path / "installed"
        return done, log.read_text().splitlines() if log.is_file() else []

    return run


def test_what_apt_has_is_installed(ask):
    done, installed = ask("no-such-a no-such-b")
    assert (done.returncode, done.stderr, installed) == (0, "", ["no-such-a no-such-b"])


def test_where_they_are_required_what_apt_could_not_install_is_an_error(ask):
    done, installed = ask("no-such-b")
    assert done.returncode == 1 and installed == ["no-such-b"], "the others are installed all the same"
    assert "could not install no-such-a, and SYSTEM=1 requires them" in done.stderr


@pytest.mark.parametrize(("user", "required"), [("0", False), ("1000", True), ("1000", False)])
def test_for_a_person_they_are_optional(ask, user, required):
    done, _ = ask("no-such-b", user=user, required=required)
    assert done.returncode == 0 and "Tests that need them are skipped by name" in done.stdout
