"""A process that another tool's script started ends with the one that started the script."""

import subprocess
import sys

CHILD = "import sys, time; from workbench.parent import end_with_ancestor; end_with_ancestor(int(sys.argv[1]));"
WAIT = CHILD + "print('here', flush=True); time.sleep(600)"


def test_it_ends_when_the_ancestor_is_killed():
    ancestor = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    command = [sys.executable, "-c", WAIT, str(ancestor.pid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout.readline() == b"here\n"
            assert child.poll() is None
            ancestor.kill()
            ancestor.wait()
            assert child.wait(30) == 1
        finally:
            child.kill()
    late = subprocess.run([sys.executable, "-c", WAIT, str(ancestor.pid)], timeout=30, check=False, capture_output=True)
    assert (late.returncode, late.stdout) == (1, b"")
