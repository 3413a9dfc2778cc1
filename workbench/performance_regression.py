"""``check_performance_regression --threshold 10``: the gate under the name that build scripts look for.

With ``--against REVISION`` it measures that revision and the working tree in turns; without, it judges the newest
stored runs against the saved baseline. Every option and exit code is that of ``workbench gate``.
"""

from __future__ import annotations

import sys

from workbench import cli

DEFAULT_THRESHOLD_PERCENT = "10"


def main() -> None:
    """Run ``workbench gate`` with this program's words, and a threshold of 10 % where they set none."""
    words = sys.argv[1:]
    helps = {"-h", "--help", "--workflow"} & set(words)
    if not helps and not any(word.partition("=")[0] in ("--threshold", "--margins") for word in words):
        words += ["--threshold", DEFAULT_THRESHOLD_PERCENT]
    sys.argv[1:] = ["gate", *words]
    cli.main()
