"""The order of floating-point operations: without a fastmath flag LLVM may not reorder a sum, so it cannot be a vector.

The flags are tried from the smallest set up: ``contract`` allows fused multiply-add only; ``reassoc`` another order of
additions; ``nnan`` and ``nsz`` together make a minimum or maximum a vector operation.
"""

from __future__ import annotations

from workbench.profile.diagnosis.llvm_text import Function, Instruction
from workbench.profile.diagnosis.model import Fix, Suspicion
from workbench.profile.diagnosis.subject import Subject
from workbench.profile.diagnosis.trial import Trials

HELP = "the order of float operations keeps a loop scalar"

ARITHMETIC = ("fadd", "fsub", "fmul")
TOLERANCE = 1e-9  # of float64 sums in another order; the trial tells how far they moved
TOLERANCE_SINGLE = 1e-4


def look(subject: Subject, trials: Trials) -> list[Suspicion]:
    """Report sums, products, minima and maxima that a loop carries from turn to turn, and unfused multiply-adds."""
    if subject.options.get("fastmath") is True:
        return []
    sums: set[int] = set()
    extremes: set[int] = set()
    fusable: set[int] = set()
    for function in subject.functions:
        defined = function.definitions()
        sums |= _carried(function, defined, ARITHMETIC)
        extremes |= _carried(function, defined, ("select",), test="fcmp")
        fusable |= _fusable(function, defined)
    single = any(" float " in i.text for i in subject.instructions(in_loop=True) if i.opcode in ARITHMETIC)
    tolerance = TOLERANCE_SINGLE if single else TOLERANCE
    suspicions = []
    if sums:
        suspicions.append(_suspicion(sums, _SUM, [{"reassoc"}, {"reassoc", "contract"}], tolerance))
    elif fusable:
        suspicions.append(_suspicion(fusable, _FUSED, [{"contract"}], tolerance))
    if extremes - sums:
        suspicions.append(_suspicion(extremes - sums, _EXTREME, [{"nnan", "nsz"}], 0.0))
    return suspicions


_SUM = (
    "Each turn adds to the result of the turn before, in the order written, so the loop runs at the adder's latency.",
    "LLVM IR: a scalar value carried from turn to turn by fadd, fsub or fmul without the reassoc flag",
    "Allow another order with fastmath={'reassoc'}, or write several partial sums; the last digits change.",
)
_FUSED = (
    "A multiplication and an addition are two instructions where one fused would do.",
    "LLVM IR: fmul that feeds fadd or fsub in a loop, both without the contract flag",
    "Allow fused multiply-add with fastmath={'contract'}; it rounds once instead of twice.",
)
_EXTREME = (
    "A minimum or maximum is carried by compare and select, exact for NaN and signed zero, so it stays scalar.",
    "LLVM IR: a scalar value carried from turn to turn by fcmp and select without the nnan and nsz flags",
    "Promise that there is no NaN with fastmath={'nnan', 'nsz'}.",
)


def _suspicion(lines: set[int], words: tuple[str, str, str], sets: list[set[str]], tolerance: float) -> Suspicion:
    tries = tuple(Fix(f"fastmath={_told(flags)}", {"fastmath": flags}, tolerance=tolerance) for flags in sets)
    return Suspicion("float_order", tuple(sorted(lines)), *words, tries)


def _told(flags: set[str]) -> str:
    return "{" + ", ".join(repr(flag) for flag in sorted(flags, key=["reassoc", "contract", "nnan", "nsz"].index)) + "}"


def _carried(
    function: Function, defined: dict[str, Instruction], opcodes: tuple[str, ...], test: str | None = None
) -> set[int]:
    """Return the lines that bring a scalar float phi of a loop to its next value through `opcodes` alone."""
    lines: set[int] = set()
    for phi in function.instructions():
        if not phi.in_loop or phi.opcode != "phi" or not (" phi double " in phi.text or " phi float " in phi.text):
            continue
        name = phi.result
        for start in phi.operands:
            chain = _chain(start, name, defined, opcodes, set())
            if chain and (test is None or any(_feeds(link, test, defined) for link in chain)):
                lines |= {link.line for link in chain if link.line is not None}
    return lines


def _chain(
    start: str, goal: str | None, defined: dict[str, Instruction], opcodes: tuple[str, ...], seen: set[str]
) -> list[Instruction]:
    """Return the instructions from `start` back to the phi `goal`; empty when there is no such way."""
    instruction = defined.get(start)
    if instruction is None or start in seen or not instruction.in_loop:
        return []
    if instruction.opcode not in opcodes or " reassoc" in instruction.text or " fast " in instruction.text:
        return []
    seen.add(start)
    if goal in instruction.operands:
        return [instruction]
    for operand in instruction.operands:
        rest = _chain(operand, goal, defined, opcodes, seen)
        if rest:
            return [instruction, *rest]
    return []


def _feeds(link: Instruction, opcode: str, defined: dict[str, Instruction]) -> bool:
    return any(defined[name].opcode == opcode for name in link.operands if name in defined)


def _fusable(function: Function, defined: dict[str, Instruction]) -> set[int]:
    lines = set()
    for instruction in function.instructions():
        if not instruction.in_loop or instruction.opcode not in ("fadd", "fsub") or " contract" in instruction.text:
            continue
        if _feeds(instruction, "fmul", defined) and instruction.line is not None:
            lines.add(instruction.line)
    return lines
