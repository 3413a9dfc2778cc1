"""Allocation in a loop: each turn asks the allocator for memory, and gives it back."""

from __future__ import annotations

import ast

from workbench.profile.diagnosis.model import Fix, Rewrite, Suspicion
from workbench.profile.diagnosis.rewrites import (
    insert_before,
    invariant_in,
    loops_around,
    names_stored,
    replace_statement,
)
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "memory allocated in a loop"

FILLS = {"zeros": 0, "ones": 1, "empty": None, "full": None}


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report the lines where a call of NRT's allocator remains inside a loop."""
    calls = [i for i in subject.instructions(in_loop=True) if i.opcode == "call" and _allocates(i.text)]
    lines = sorted({i.line for i in calls if i.line is not None})
    if not lines:
        return []
    return [
        Suspicion(
            check="allocation",
            lines=tuple(lines),
            what="Memory is allocated and freed again at each turn of the loop.",
            evidence=f"LLVM IR: {len(calls)} calls of NRT_MemInfo_alloc or NRT_Allocate inside a loop",
            fix="Allocate once before the loop and reuse it, or pass a work array in.",
            tries=(Fix("allocated once before the loop", rewrite=hoist_allocations(set(lines)), tolerance=1e-12),),
        )
    ]


def _allocates(text: str) -> bool:
    return any(name in text for name in ("@NRT_MemInfo_alloc", "@NRT_Allocate", "@NRT_MemInfo_varsize_alloc"))


def hoist_allocations(lines: set[int]) -> Rewrite:
    """Return the rewrite that moves ``name = np.zeros(n)`` on `lines` before the loop, and refills the array inside.

    Only where the shape does not change in the loop. Whether the array escaped (was appended or returned) is not
    looked at: the results then differ, and the trial says so.
    """

    def rewrite(tree: ast.FunctionDef) -> bool:
        changed = False
        for statement in [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and node.lineno in lines]:
            call = statement.value
            loops = loops_around(tree, statement.lineno)
            if not loops or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            made = call.func.attr.removesuffix("_like")
            target = statement.targets[0]
            if made not in FILLS or not isinstance(target, ast.Name):
                continue
            outer = next((loop for loop in loops if _allocation_fixed(call, loop)), None)
            if outer is None:
                continue
            refill = _refill(call, target.id, made)
            if refill is None and made == "full":
                continue
            insert_before(tree, outer, [ast.Assign([ast.Name(target.id, ast.Store())], call)])
            replace_statement(tree, statement, [refill] if refill else [ast.Pass()])
            changed = True
        return changed

    return rewrite


def _allocation_fixed(call: ast.Call, loop: ast.For | ast.While) -> bool:
    shape = [*call.args[:1], *[k.value for k in call.keywords if k.arg == "dtype"], *call.args[2:]]
    return all(invariant_in(part, loop) for part in shape) and not (names_stored(loop) & {"np", "numpy"})


def _refill(call: ast.Call, name: str, made: str) -> ast.stmt | None:
    """Return ``name[...] = value``; None for an array that starts undefined."""
    value: ast.expr | None = None
    if made == "full":
        value = call.args[1] if len(call.args) > 1 else None
    elif FILLS[made] is not None:
        value = ast.Constant(FILLS[made])
    if value is None:
        return None
    whole = ast.Subscript(ast.Name(name, ast.Load()), ast.Slice(), ast.Store())
    return ast.Assign([whole], value)
