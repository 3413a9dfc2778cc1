"""Makes a package callable, so that ``workbench.measure(...)`` and ``workbench.profile(...)`` are what they read like.

The folder is called after what it holds and the call after what it does, and both are the same word.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


def make_callable(package: str, function: str) -> None:
    """Let the package named `package` be called: it then calls ``module:name``, imported when it is first called."""
    module_name, _, name = function.partition(":")

    class Callable(ModuleType):
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            return getattr(importlib.import_module(module_name), name)(*arguments, **options)

    sys.modules[package].__class__ = Callable
