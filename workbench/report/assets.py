"""One copy of plotly.js for all pages of a batch, instead of one in each: 4.8 MB less a page.

The file lies in ``assets`` beside the jobs, and its name has plotly's version, so that pages that were written with an
earlier one keep it. The copies of several batches may be hard links to one file: a thousand nights take the room of
one, and a batch that is copied away alone still has its own.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from workbench.files import write_text

FOLDER = "assets"
_LEVELS = 2  # a job's report lies two folders below its batch


def share_assets(folder: Path, common: Path | None = None) -> Path:
    """Put plotly.js where the reports at most two folders below `folder` find it, and return the file.

    From then on `shared_script` finds it, and reports are written without a copy of their own. With `common`, as the
    folder of all batches, the file is a link to the one that lies there, which is made where it is missing.
    """
    target = folder / FOLDER / _name()
    if target.is_file():
        return target
    if common is None:
        from plotly.offline import get_plotlyjs

        write_text(target, get_plotlyjs())
        return target
    first = share_assets(common)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(first, target)
    except FileExistsError:  # another process was faster
        pass
    except OSError:  # a file system without hard links
        shutil.copyfile(first, target)
    return target


def shared_script(page_folder: Path) -> str | None:
    """Return the address of plotly.js for a page in `page_folder`; None where it is not shared."""
    name, here = _name(), page_folder.absolute()
    for level, folder in enumerate([here, *here.parents][: _LEVELS + 1]):
        if (folder / FOLDER / name).is_file():
            return "../" * level + f"{FOLDER}/{name}"
    return None


def _name() -> str:
    from plotly.offline import get_plotlyjs_version

    return f"plotly-{get_plotlyjs_version()}.min.js"
