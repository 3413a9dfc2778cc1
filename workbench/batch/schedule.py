"""Files that run a plan every night: a systemd service with its timer, a line for cron, a GitHub Actions workflow.

Every path is quoted as its reader wants it, so that a plan in a folder with blanks, quotes or percent signs runs, and
a hostile name runs nothing. What cannot be quoted, as a line break, is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import InputError
from workbench.files import shipped

PASSED_ON = ("WORKBENCH_CACHE", "WORKBENCH_HOME", "WORKBENCH_DATA", "WORKBENCH_STORE", "WORKBENCH_TIMING_LOCK")
"""Settings of the shell that the command was typed in which the nightly run needs as well. A store's URL that holds a
password is not written into a file."""
_ALONE_MINUTES = 23 * 60  # a workflow whose plan has no limit ends before the next night

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Nightly:
    """What is to run, when, where, and with which settings."""

    command: tuple[str, ...]
    """The program and its first arguments, as ``/opt/venv/bin/workbench``."""
    plan: Path
    folder: Path
    """Where it runs: ``reports/out`` is below it."""
    hour: int
    minute: int
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return a name for files: the plan's, and where it is no shipped one what tells it from others called so."""
        return name_of(self.plan.stem, "" if is_shipped(self.plan) else str(self.plan))

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the whole command."""
        return (*self.command, "batch", str(self.plan))


def name_of(stem: str, path: str) -> str:
    """Return a name for files: `stem`, with what no file of systemd's may have replaced, and a short hash of `path`."""
    told = re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:60] or "plan"
    return f"workbench-{told}" + (f"-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}" if path else "")


def is_shipped(plan: Path) -> bool:
    """Return whether `plan` is one that comes with the workbench, and is found by its name alone."""
    return plan.resolve().parent == shipped("reports").resolve()


def read_time(text: str) -> tuple[int, int]:
    """Return hour and minute of ``02:30``. Raises InputError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise InputError(f"--at takes a time as 02:30, not {text[:40]!r}")
    return int(match[1]), int(match[2])


def settings_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of a shell's environment a nightly run needs. Paths in it are made absolute."""
    found = {name: environment[name] for name in PASSED_ON if environment.get(name)}
    address = found.pop("WORKBENCH_STORE", "") if "://" in found.get("WORKBENCH_STORE", "") else ""
    settings = {name: str(Path(value).absolute()) for name, value in found.items()}
    if address and (told := _without_secret(address)):
        settings["WORKBENCH_STORE"] = told
    return settings


def left_out(environment: Mapping[str, str]) -> str:
    """Return what a person has to know of a setting that `settings_of` left out; nothing where there is none."""
    if not environment.get("WORKBENCH_STORE") or "WORKBENCH_STORE" in settings_of(environment):
        return ""
    return (
        "WORKBENCH_STORE holds a password, or is no address, and was left out, so the nights go to the data folder's "
        "store: put the password into ~/.pgpass and leave it out of the address"
    )


def _without_secret(address: str) -> str:
    """Return a store's URL as a nightly run needs it, or nothing where it holds a secret or is none."""
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError

    try:
        url = sa.make_url(address)
    except (ArgumentError, ValueError):
        return ""
    if url.password is not None or any("pass" in name.lower() for name in url.query):
        return ""
    if url.get_backend_name() == "sqlite" and url.database and not url.query:
        return url.set(database=str(Path(url.database).absolute())).render_as_string(hide_password=False)
    return address


def check(nightly: Nightly) -> None:
    """Raise InputError for a path that no such file can hold."""
    for text in (*nightly.arguments, str(nightly.folder), *nightly.settings.values()):
        if not text.isprintable():
            raise InputError(f"{text[:80]!r} has a line break or a mark that cannot be printed: rename it")


def systemd(nightly: Nightly) -> dict[str, str]:
    """Return a service and its timer by file name, for ``~/.config/systemd/user`` or ``/etc/systemd/system``."""
    check(nightly)
    told = f"the plan {nightly.plan.name}".replace("%", "%%")
    settings = "".join(f"Environment={_systemd_word(f'{key}={value}')}\n" for key, value in nightly.settings.items())
    # By env, because the name of a service's own program may hold no quotes and no backslashes.
    words = " ".join(_systemd_word(word, command=True) for word in nightly.arguments)
    service = (
        "[Unit]\n"
        f"Description=Kernel Workbench: {told}\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        f"WorkingDirectory={_systemd_path(nightly.folder)}\n"
        f"{settings}"
        f"ExecStart=/usr/bin/env {words}\n"
        "TimeoutStartSec=infinity\n"
    )
    timer = (
        "[Unit]\n"
        f"Description=Every night: {told}\n"
        "\n"
        "[Timer]\n"
        f"OnCalendar=*-*-* {nightly.hour:02d}:{nightly.minute:02d}:00\n"
        "Persistent=true\n"
        "\n"
        "[Install]\n"
        "WantedBy=timers.target\n"
    )
    return {f"{nightly.name}.service": service, f"{nightly.name}.timer": timer}


def cron(nightly: Nightly) -> str:
    """Return a line for ``crontab -e``: one night at a time (flock), everything it says in a log."""
    check(nightly)
    settings = [f"{name}={shlex.quote(value)}" for name, value in nightly.settings.items()]
    log = shlex.quote(str(nightly.folder / "reports" / "out" / f"{nightly.name}.log"))
    lock = shlex.quote(str(nightly.folder / "reports" / "out" / f".{nightly.name}.lock"))
    words = " ".join(shlex.quote(word) for word in nightly.arguments)
    command = (
        f"cd {shlex.quote(str(nightly.folder))} && mkdir -p reports/out && "
        f"{' '.join(['env', *settings]) + ' ' if settings else ''}flock -n {lock} {words} >> {log} 2>&1"
    )
    escaped = command.replace("%", "\\%")  # cron ends a command at a bare percent sign, and takes the backslash away
    return f"{nightly.minute} {nightly.hour} * * * {escaped}\n"


def in_repository(nightly: Nightly) -> str:
    """Return the plan as a workflow names it: relative to the folder, or a shipped one by its name.

    Raises InputError for any other: a runner that checks the repository out has no such file.
    """
    plan, folder = nightly.plan.resolve(), nightly.folder.resolve()
    if plan.is_relative_to(folder):
        return str(plan.relative_to(folder))
    if is_shipped(nightly.plan):
        return nightly.plan.stem
    raise InputError(
        f"{nightly.plan} lies outside {nightly.folder}, which is all that GitHub checks out: move it there"
    )


def github(nightly: Nightly, plan: str, keep_days: int = 90, batch_s: float | None = None) -> str:
    """Return a workflow for a runner of one's own that measures alone. `plan` is relative to the repository.

    GitHub ends it an hour after `batch_s`, the plan's own limit, so that the plan's limit is the one that is told.
        Raises InputError for a plan that GitHub would read as an expression.
    """
    if "${{" in plan or not plan.isprintable():
        raise InputError(f"GitHub would not take {plan[:80]!r} as a file's name: rename the plan")
    name = name_of(Path(plan).stem, plan if Path(plan).suffix else "")
    minutes = _ALONE_MINUTES if batch_s is None else math.ceil(batch_s / 60) + 60
    return (
        f"name: {json.dumps(f'Nightly: {Path(plan).name}')}\n"
        "on:\n"
        "  schedule:\n"
        f'    - cron: "{nightly.minute} {nightly.hour} * * *" # UTC\n'
        "  workflow_dispatch:\n"
        "permissions:\n"
        "  contents: read\n"
        "concurrency:\n"
        f"  group: {name}\n"
        "jobs:\n"
        "  nightly:\n"
        "    # Times need a machine that nobody shares: register one of your own with this label.\n"
        "    runs-on: [self-hosted, quiet]\n"
        f"    timeout-minutes: {minutes}\n"
        "    env:\n"
        f"      PLAN: {json.dumps(plan)}\n"
        "    steps:\n"
        "      - uses: actions/checkout@v4\n"
        "        with:\n"
        "          clean: false # earlier nights lie below reports/out\n"
        "      - run: python -m pip install kernel-workbench\n"
        '      - run: workbench batch -- "$PLAN"\n'
        "      - if: always()\n"
        '        run: cat reports/out/*/summary.md >> "$GITHUB_STEP_SUMMARY" || true\n'
        "      - if: always()\n"
        "        uses: actions/upload-artifact@v4\n"
        "        with:\n"
        f"          name: {name}\n"
        "          path: reports/out/\n"
        f"          retention-days: {keep_days}\n"
    )


def _systemd_word(text: str, command: bool = False) -> str:
    """Return `text` as one word of a unit file: quoted, ``%`` doubled, and ``$`` too where variables are put in."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped.replace("$", "$$") if command else escaped}"'


def _systemd_path(path: Path) -> str:
    """Return a path that systemd reads as it stands, to the end of the line. Raises InputError where it cannot."""
    text = str(path)
    if text != text.strip() or text.endswith("\\"):
        raise InputError(f"systemd cannot work in {text[:80]!r}: rename the folder")
    return text.replace("%", "%%")
