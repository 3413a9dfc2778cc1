#!/usr/bin/env python3
"""The proof of the gate: how often it cries wolf on identical code, and what it finds of real extra work.

Trials are stored below docs/proof, by machine, one line each; a run that is stopped loses the trial under way and
nothing else, and the next run goes on. Nothing else should run on the machine meanwhile, except with --noisy.

\b
    tools/prove_gate.py --trials 60                    all arms, until 60 such trials are stored
    tools/prove_gate.py --trials 299 --arms same       identical code alone, which takes far less time
    tools/prove_gate.py --noisy 20                     the same judgement on a machine that is deliberately loaded
    tools/prove_gate.py --doses --omission 10 --planted
    tools/prove_gate.py --table                        write docs/gate-proof.md anew
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from proof import session, storage  # noqa: E402
from proof.arms import CANDIDATES, SAME  # noqa: E402

from workbench.errors import WorkbenchError  # noqa: E402

PAGE = Path(__file__).resolve().parents[1] / "docs" / "gate-proof.md"


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trials", default=0, metavar="N", help="Go on until N trials with these arms are stored here.")
@click.option("--minutes", default=0.0, metavar="M", help="Begin no trial after so many minutes; 0: no such end.")
@click.option(
    "--arms", default="all", show_default=True, help="all, or candidates with commas: " + ", ".join(CANDIDATES)
)
@click.option("--noisy", default=0, metavar="N", help="The same on a machine that is loaded; all: same and dose_5.")
@click.option("--doses", is_flag=True, help="Count the instructions of every variant with callgrind.")
@click.option("--omission", default=0, metavar="N", help="Inject a pause under an open loop, N times.")
@click.option("--planted", is_flag=True, help="Plant a slow commit in a repository, and let gate and bisect find it.")
@click.option("--table", is_flag=True, help="Write docs/gate-proof.md from what is stored.")
@click.option("--folder", default=storage.FOLDER, type=click.Path(path_type=Path), help="Where trials are stored.")
@click.option("--page", default=PAGE, type=click.Path(path_type=Path), help="The page that --table writes.")
def main(
    trials: int,
    minutes: float,
    arms: str,
    noisy: int,
    doses: bool,
    omission: int,
    planted: bool,
    table: bool,
    folder: Path,
    page: Path,
) -> None:
    """Do what the options ask for, in the order of the help."""
    deadline = time.monotonic() + 60 * minutes if minutes else None
    chosen = tuple(CANDIDATES) if arms == "all" else tuple(arms.split(","))
    unknown = [label for label in chosen if label not in CANDIDATES]
    if unknown:
        raise click.UsageError(f"there is no arm {unknown[0]!r}: there are {', '.join(CANDIDATES)}")
    if not (trials or noisy or doses or omission or planted or table):
        raise click.UsageError("say what is to be shown: --trials, --noisy, --doses, --omission, --planted or --table")
    if trials:
        session.run_trials(folder, "trials", chosen, trials, deadline)
    if noisy:
        session.run_trials(folder, "noisy", (SAME, "dose_5") if arms == "all" else chosen, noisy, deadline)
    if doses:
        session.count_doses(folder)
    if omission:
        session.show_omission(folder, omission)
    if planted:
        session.plant(folder)
    if table:
        session.write_table(folder, page)


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except WorkbenchError as error:
        print(f"prove_gate: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
    except KeyboardInterrupt:
        print("stopped: the trial under way was not kept; the same command goes on", file=sys.stderr)
        sys.exit(130)
