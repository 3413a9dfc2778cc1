"""What every process that measures does: takes its job from the driver, says what it is doing, dies with the driver.

JSON objects come on standard input and go out on standard output, one a line. What kernels print goes to standard
error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from workbench.errors import WorkbenchError
from workbench.parent import end_with_parent


class Driver:
    """The driver, as its child sees it. Nothing else may write to the pipe."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what a kernel or a peer prints must not reach the pipe

    def tell(self, **message: Any) -> None:
        """Send one message."""
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()

    def ask(self, question: str, **message: Any) -> dict[str, Any]:
        """Send one message and wait for its answer."""
        self.tell(asks=question, **message)
        answer: dict[str, Any] = json.loads(self.line())
        return answer

    def line(self) -> str:
        """Return the next line from the driver. Ends this process when the driver has gone or given up."""
        return sys.stdin.readline() or sys.exit(1)


def serve(work: Callable[[str, Driver], None]) -> None:
    """Take one job, pass its text to `work`, and exit. An expected failure is told on the pipe, in one sentence."""
    driver = Driver()
    end_with_parent()  # one that died before this call has closed the pipe, and `line` ends the process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides
    driver.tell(done="start")
    text = driver.line()
    status = 1
    try:
        work(text, driver)
        status = 0
    except WorkbenchError as error:
        driver.tell(error=str(error), code=int(error.exit_code))
    except Exception:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)  # taking LLVM and NumPy down in order takes 0.2 s, and all that was found is delivered
