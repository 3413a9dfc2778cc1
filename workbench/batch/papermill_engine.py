"""papermill with the parts that a measuring batch needs: progress, one deadline, and failures that are told as such."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from workbench.batch.job import Failure

OnCell = Callable[[int, int], None]
ENGINE = "workbench"
START_TIMEOUT_S = 120
_MARKER = "papermill-error-cell-tag"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Execution:
    """How far a notebook came: kept outside papermill, which lets go of it when a cell's time runs out."""

    def __init__(self) -> None:
        self.notebook: NotebookNode | None = None
        self.cell = 0  # the one that runs, from 1
        self.cells = 0


class _SameInterpreter(AsyncKernelManager):  # type: ignore[misc]
    """Starts the Jupyter kernel with this Python, whatever kernel specifications a person has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "workbench.batch.jupyter_kernel", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


def execute(
    notebook: NotebookNode,
    parameters: Mapping[str, Any],
    limit_s: float,
    environment: Mapping[str, str],
    execution: Execution,
    on_cell: OnCell,
    log: logging.Logger,
) -> Failure | None:
    """Run `notebook` within `limit_s` seconds; `execution` holds what came of it, whatever happened.

    Returns why it failed, or None. ``on_cell(cell, cells)`` is called as each cell starts; nothing is saved or asked
    while a cell runs, because a cell may be measuring.
    """
    import papermill
    from papermill.engines import papermill_engines
    from papermill.exceptions import PapermillExecutionError

    papermill_engines.register(ENGINE, _engine())
    execution.notebook = notebook
    execution.cells = len(notebook.cells)
    deadline = time.monotonic() + limit_s
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries, about each other
            papermill.execute_notebook(
                notebook,
                None,
                parameters=dict(parameters),
                engine_name=ENGINE,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                request_save_on_cell_execute=False,
                autosave_cell_every=0,
                start_timeout=START_TIMEOUT_S,
                told=(execution, on_cell, log, deadline, dict(environment)),
            )
    except PapermillExecutionError as error:
        sentence = f"cell {execution.cell} raised {error.ename}: {_first_line(error.evalue)}"
        failure = Failure(
            kind="exception", sentence=sentence, cell=execution.cell, source=error.source,
            traceback=_ANSI.sub("", "\n".join(error.traceback)),
        )  # fmt: skip
    except (CellTimeoutError, TimeoutError):
        failure = _mark(execution, "timeout", f"cell {execution.cell} was ended: the job's {limit_s:g} s were over")
    except DeadKernelError:
        failure = _mark(execution, "dead Jupyter kernel", f"the Jupyter kernel died in cell {execution.cell}")
    except RuntimeError as error:
        failure = _mark(
            execution, "dead Jupyter kernel", f"the Jupyter kernel did not start: {_first_line(str(error))}"
        )
    else:
        return None
    finally:
        _clean(execution)
    return failure


def _engine() -> type:
    """Return papermill's engine class with our client; made here because papermill takes 0.5 s to import."""
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine

    class Engine(NBClientEngine):  # type: ignore[misc]
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, told: Any, **options: Any) -> None:
            execution, on_cell, log, deadline, environment = told
            execution.notebook = nb_man.nb
            execution.cells = len(nb_man.nb.cells)

            def started(cell: NotebookNode, cell_index: int) -> None:
                execution.cell = cell_index + 1
                log.info(f"cell {execution.cell} of {execution.cells}")
                on_cell(execution.cell, execution.cells)

            def remaining(_cell: NotebookNode) -> int:
                seconds: float = deadline - time.monotonic()
                return max(1, math.ceil(seconds))

            client = PapermillNotebookClient(
                nb_man,
                kernel_manager_class=_SameInterpreter,  # the client makes it, and so ends it
                timeout_func=remaining,
                startup_timeout=options.get("start_timeout", START_TIMEOUT_S),
                on_cell_start=started,
                shutdown_kernel="immediate",
                store_widget_state=False,  # a report shows figures, and the state of one costs megabytes
                log=log,
                log_output=False,
            )
            # What the Jupyter kernel itself says (not its cells) belongs into the job's log.
            streams = [handler.stream for handler in log.handlers if isinstance(handler, logging.FileHandler)]
            client.execute(env=environment, **({"stderr": streams[0], "stdout": streams[0]} if streams else {}))

    return Engine


def _mark(execution: Execution, kind: Any, sentence: str) -> Failure:
    """Say inside the notebook, below the cell that ran, what ended it: papermill would call that cell completed."""
    source = ""
    if execution.notebook is not None and execution.cell:
        cell = execution.notebook.cells[execution.cell - 1]
        source = cell.source
        if cell.cell_type == "code":
            ended = nbformat.v4.new_output("error", ename=kind, evalue=sentence, traceback=[sentence])
            cell.outputs = [*cell.outputs, ended]
        cell.metadata.setdefault("papermill", {}).update(exception=True, status="failed")
        for later in execution.notebook.cells[execution.cell :]:
            later.metadata.setdefault("papermill", {})["status"] = "pending"
    return Failure(kind=kind, sentence=sentence, cell=execution.cell or None, source=source)


def _clean(execution: Execution) -> None:
    """Take out papermill's own red marker cells (the report has better ones) and what it says of file names."""
    notebook = execution.notebook
    if notebook is None:
        return
    notebook.cells = [cell for cell in notebook.cells if _MARKER not in cell.metadata.get("tags", [])]
    notebook.metadata.get("papermill", {}).pop("environment_variables", None)
    execution.notebook = nbformat.from_dict(json.loads(json.dumps(notebook)))


def _first_line(text: str) -> str:
    stripped = _ANSI.sub("", text).strip()
    return stripped.splitlines()[0][:300] if stripped else "no message"
