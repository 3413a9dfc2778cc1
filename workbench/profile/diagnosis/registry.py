"""The checks that a diagnosis runs, in order. A new one is a file in ``checks`` and a name here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from workbench.profile.diagnosis.model import Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

Look = Callable[[Subject, Trials], list[Suspicion]]

CHECKS = [
    "object_mode",
    "allocation",
    "reference_counts",
    "bounds_check",
    "wraparound",
    "division_check",
    "float_mixing",
    "layout",
    "float_order",
    "frozen_globals",
    "recompiles",
    "parallel",
    "nogil",
]

WITHOUT_TYPES = {"object_mode", "recompiles"}
"""The checks that make sense for a function compiled in object mode."""


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong."""

    name: str
    help: str
    look: Look


def checks() -> list[Check]:
    """Import the checks and return them in order."""
    modules = [(name, importlib.import_module(f"workbench.profile.diagnosis.checks.{name}")) for name in CHECKS]
    return [Check(name, str(module.HELP), module.look) for name, module in modules]


def help_of(name: str) -> str:
    """Return the short description of a check."""
    return str(importlib.import_module(f"workbench.profile.diagnosis.checks.{name}").HELP)
