"""The Jupyter kernel of a job: ``python -m workbench.batch.jupyter_kernel -f FILE``. Ends at once when its job dies.

ipykernel by itself looks once a second whether its parent lives: long enough to disturb what is timed next, and to
write into a folder where the job runs again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from workbench.parent import end_with_parent


def main() -> None:
    """Run ipykernel, as its own launcher does: without the current folder in the way of its imports."""
    end_with_parent(int(os.environ["JPY_PARENT_PID"]))  # jupyter_client sets it
    if Path(sys.path[0]) == Path.cwd():
        del sys.path[0]  # IPython puts it back
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
