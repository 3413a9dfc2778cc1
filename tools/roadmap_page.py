"""Write what a roadmap measured into its page: ``python tools/roadmap_page.py RESULTS docs/optimization-roadmap.md``.

RESULTS is the ``results.json`` of a run of the notebook ``roadmap``. What stands between the page's two marks is
replaced, all else is left as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from workbench import record
from workbench.files import write_text
from workbench.measure.ablation import read_back
from workbench.report.roadmap_words import markdown

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main(results: Path, page: Path) -> None:
    """Put the tables and sentences of `results` into `page`."""
    run = record.read(results)
    if not isinstance(run, record.Run):
        raise SystemExit(f"{results} is not the record of a run")
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} lacks the marks {BEGIN} and {END}")
    write_text(page, f"{before}{BEGIN}\n{markdown(read_back(run))}\n{END}{after}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
