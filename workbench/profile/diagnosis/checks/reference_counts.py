"""Reference counts in a loop: an atomic add and an atomic subtract for an array that is only looked at.

Numba prunes most pairs. They stay for what comes out of a list, a dictionary or an object's attribute.
"""

from __future__ import annotations

import ast

from workbench.profile.diagnosis.model import Fix, Rewrite, Suspicion
from workbench.profile.diagnosis.rewrites import insert_before, invariant_in, loops_around
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "reference counting in a loop"


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report the lines where reference counts remain inside a loop, beyond those that free what the loop allocates."""
    calls = [i for i in subject.instructions(in_loop=True) if i.opcode == "call"]
    raised = [i for i in calls if "@NRT_incref" in i.text]
    lowered = [i for i in calls if "@NRT_decref" in i.text]
    allocated = sum(1 for i in calls if "@NRT_MemInfo_alloc" in i.text or "@NRT_Allocate" in i.text)
    if not raised and len(lowered) <= allocated:
        return []
    counts = raised or lowered
    lines = sorted({i.line for i in counts if i.line is not None})
    return [
        Suspicion(
            check="reference_counts",
            lines=tuple(lines),
            what="At each turn an object's reference count is raised and lowered again, by atomic operations.",
            evidence=f"LLVM IR: {len(raised)} NRT_incref and {len(lowered)} NRT_decref that stayed inside a loop",
            fix="Take the array into a local name before the loop, or pass one 2-D array instead of a list of arrays.",
            tries=(Fix("taken into a local name before the loop", rewrite=hoist_containers(set(lines))),),
        )
    ]


def hoist_containers(lines: set[int]) -> Rewrite:
    """Return the rewrite of ``self.data[i]`` and ``arrays[j][i]``: what is indexed is taken out before the loop.

    Where the loop changes what was taken out, the results differ, and the trial says so.
    """

    def rewrite(tree: ast.FunctionDef) -> bool:
        taken: dict[tuple[int, str], str] = {}
        changed = False
        for node in [node for node in ast.walk(tree) if isinstance(node, ast.Subscript)]:
            base = node.value
            if not isinstance(base, (ast.Attribute, ast.Subscript)) or node.lineno not in lines | _headers(tree, lines):
                continue
            if not isinstance(base.ctx, ast.Load):
                continue
            loops = [loop for loop in loops_around(tree, node.lineno) if invariant_in(base, loop)]
            if not loops:
                continue
            key = (id(loops[0]), ast.dump(base))
            if key not in taken:
                taken[key] = f"__taken{len(taken)}"
                insert_before(tree, loops[0], [ast.Assign([ast.Name(taken[key], ast.Store())], base)])
            node.value = ast.copy_location(ast.Name(taken[key], ast.Load()), base)
            changed = True
        return changed

    return rewrite


def _headers(tree: ast.FunctionDef, lines: set[int]) -> set[int]:
    """Return the lines inside the loops around `lines`: counts of one statement may be filed under its neighbour."""
    found: set[int] = set()
    for line in lines:
        for loop in loops_around(tree, line):
            found.update(range(loop.lineno, (loop.end_lineno or loop.lineno) + 1))
    return found
