"""The name under which the measurements of a test are kept."""

from __future__ import annotations

import hashlib
import sys


def kernel_of(project: str, test: str) -> str:
    """Return the kernel that a test is: the project, the Python and the node id, none the same for two tests.

    Tests of all projects share one store, and one function costs another time in another Python. A kernel's name holds
    no slash, @ or comma. Slashes between folders become dots; where anything else is replaced, or a dot was there
    before, a short hash keeps two names apart.
    """
    file, colons, rest = test.partition("::")
    file = file.removesuffix(".py")
    others = f"{project} {rest}"
    python = ".".join(map(str, sys.version_info[:2]))
    name = f"{project} {python} {file.replace('/', '.')}{colons}{rest}"
    for character, instead in (("/", "."), ("@", "(at)"), (",", ";")):
        name = name.replace(character, instead)
    if any(character in file for character in ".@,") or any(character in others for character in "/@,"):
        name += f" {hashlib.sha256(f'{project} {test}'.encode()).hexdigest()[:8]}"
    return name
