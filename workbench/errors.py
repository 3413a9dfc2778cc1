"""Exit codes, and the exceptions that a person reads: one clear sentence each, never a traceback."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every verb. Where several hold, the first of FAILED, INVALID, REGRESSION, UNRESOLVED wins."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    REGRESSION = 3
    UNRESOLVED = 4
    INVALID = 5


class WorkbenchError(Exception):
    """Something failed that is not the person's mistake: exit code 1. Its text is one sentence for a person."""

    exit_code = Exit.FAILED


class InputError(WorkbenchError):
    """Wrong usage or bad input: exit code 2. The sentence says what, where (file, line, field) and what to do."""

    exit_code = Exit.USAGE


def worst(codes: list[Exit]) -> Exit:
    """Return the exit code that tells of several outcomes."""
    for code in (Exit.FAILED, Exit.USAGE, Exit.INVALID, Exit.REGRESSION, Exit.UNRESOLVED):
        if code in codes:
            return code
    return Exit.FINE
