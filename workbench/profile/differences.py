"""Two profiles line against line: what each line of one variant costs beside its counterpart in another.

Lines belong together inside functions of the same name, which variants give to the same part: first by their text,
comments and spaces apart; then, where text was rewritten, by the kind of statement in the same order. What has no
counterpart is shown on its side alone.
"""

from __future__ import annotations

import ast
import io
import textwrap
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from workbench.errors import InputError
from workbench.profile.counted import Counted, Line, LineNote
from workbench.profile.differences_html import differences_html, differences_text

TIME = "time_ns"
"""The counter that is added where both profiles know what one run takes: a line's share of that run."""

SHARE = "share_percent"
"""The counter that is added where they do not: how much was sampled is the profiler's choice, shares are not."""

SAMPLED = ("samples", "time_ms")  # counters whose sum tells how long a tool looked, and not what a run takes


@dataclass(frozen=True)
class Side:
    """One line in one profile."""

    line: Line
    source: str
    counters: dict[str, float]
    width: str


@dataclass(frozen=True)
class Pair:
    """A line in both profiles, or in one: the other is then None."""

    function: str
    a: Side | None
    b: Side | None

    def amounts(self, counter: str) -> tuple[float, float]:
        """Return a counter of both sides; a line that a side does not have costs it nothing."""
        before, after = (side.counters.get(counter, 0.0) if side else 0.0 for side in (self.a, self.b))
        return before, after

    def change(self, counter: str) -> float:
        """Return B less A."""
        before, after = self.amounts(counter)
        return after - before

    @property
    def label(self) -> str:
        """Return the source for a person, of B where both have one; the function where there is none."""
        side = self.b or self.a
        assert side is not None
        return side.source.strip() or self.function


@dataclass
class Differences:
    """Profile B against profile A. `main` ranks; `counters` are those that both have, `main` first."""

    a: str
    b: str
    main: str
    counters: list[str]
    pairs: list[Pair]
    totals: dict[str, tuple[float, float]]
    notes: list[str] = field(default_factory=list)

    def top(self, count: int = 10) -> list[Pair]:
        """Return the pairs that changed most in `main`, in either direction, most first."""
        ranked = sorted(self.pairs, key=lambda pair: -abs(pair.change(self.main)))
        return [pair for pair in ranked[:count] if pair.change(self.main)]

    def rows(self, count: int = 12) -> list[tuple[str, float, float]]:
        """Return label, A and B of the pairs that changed most: what the figure of the same name draws."""
        return [(f"{pair.function}: {pair.label}", *pair.amounts(self.main)) for pair in self.top(count)]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": differences_html(self), "text/plain": str(self)}

    def __str__(self) -> str:
        return differences_text(self)


def differences(a: Counted, b: Counted, main: str = "") -> Differences:
    """Return `b` against `a`, line by line, ranked by the counter `main`; by what ranks the profiles when empty.

    Both must count the same: two of time by one kind of tool, two of a simulation, or merged ones.
    Time is compared in nanoseconds of one run where both profiles know what a run takes (``run_s`` in their overhead),
    else in the share of what was sampled. Amounts of a line that was inlined into several functions are added up.
    Raises InputError where the profiles are ranked by different counters and no `main` is given.
    """
    if not main and a.main != b.main:
        raise InputError(f"{a.title} counts {a.main} and {b.title} {b.main}: they do not compare, profile both alike")
    sampled = a.main in SAMPLED and b.main == a.main
    timed = sampled and all(each.overhead.get("run_s") and each.total for each in (a, b))
    added = TIME if timed else SHARE if sampled else ""
    rows_a, rows_b = ({key: _side(each, key, added) for key in each.counters} for each in (a, b))
    pairs = []
    for name in dict.fromkeys(line.function for line in [*a.counters, *b.counters]):
        pairs += _paired(name, a, b, _of(rows_a, name), _of(rows_b, name))
    main = main or added or a.main
    shared = {name for side in rows_a.values() for name in side.counters} & {
        name for side in rows_b.values() for name in side.counters
    }
    names = [main, *sorted(shared - {main})]
    pairs.sort(key=lambda pair: -max(pair.amounts(main)))
    totals = {name: (_sum(rows_a, name), _sum(rows_b, name)) for name in names}
    notes = []
    if main == SHARE:
        notes.append("what a run takes is not known of both: shares of the time are compared, not times")
    return Differences(a.title, b.title, main, names, pairs, totals, notes)


def _side(profile: Counted, line: Line, added: str) -> Side:
    counters = dict(profile.counters[line])
    if added:
        counters[added] = profile.share(line) * (profile.overhead["run_s"] * 1e9 if added == TIME else 100.0)
    return Side(line, profile.source(line), counters, profile.notes_by_line.get(line, LineNote()).width)


def _of(rows: dict[Line, Side], function: str) -> dict[Line, Side]:
    return {line: side for line, side in rows.items() if line.function == function}


def _sum(rows: dict[Line, Side], counter: str) -> float:
    return sum(side.counters.get(counter, 0.0) for side in rows.values())


def _paired(name: str, a: Counted, b: Counted, mine: dict[Line, Side], others: dict[Line, Side]) -> list[Pair]:
    """Return the pairs of one function, in the order of B's source, A's own lines after those before them."""
    counterpart = _counterparts(_texts(a, list(mine)), _texts(b, list(others)))
    pairs, taken = [], set()
    for line in sorted(others):
        twin = counterpart.get((line.file, line.line))
        found = next((each for each in mine if (each.file, each.line) == twin and each not in taken), None)
        if found is not None:
            taken.add(found)
        pairs.append(Pair(name, mine[found] if found else None, others[line]))
    return [*pairs, *(Pair(name, mine[line], None) for line in sorted(mine) if line not in taken)]


@dataclass(frozen=True)
class _Text:
    """One line of a function: its place, its text without comments and spaces, and what statement begins there."""

    place: tuple[str, int]
    text: str
    kind: str


def _texts(profile: Counted, lines: Sequence[Line]) -> list[_Text]:
    """Return the source lines that a function's counters span, file by file."""
    found = []
    for file in dict.fromkeys(line.file for line in sorted(lines)):
        numbers = [line.line for line in lines if line.file == file]
        source = profile.sources.get(file, [])
        if not min(numbers):  # code without lines: the function itself is all there is to match
            found.append(_Text((file, 0), "", ""))
            numbers = [number for number in numbers if number]
        if numbers:
            span = range(min(numbers), max(numbers) + 1)
            texts = [source[number - 1] if number <= len(source) else "" for number in span]
            kinds = _kinds(texts)
            found += [
                _Text((file, n), _bare(t), kinds.get(n - span[0] + 1, "")) for n, t in zip(span, texts, strict=True)
            ]
    return found


def _counterparts(a: list[_Text], b: list[_Text]) -> dict[tuple[str, int], tuple[str, int]]:
    """Return the place in A of each place in B that has one."""
    found: dict[tuple[str, int], tuple[str, int]] = {}
    matcher = SequenceMatcher(None, [each.text for each in a], [each.text for each in b], autojunk=False)
    for what, a0, a1, b0, b1 in matcher.get_opcodes():
        if what == "equal":
            found |= {theirs.place: ours.place for ours, theirs in zip(a[a0:a1], b[b0:b1], strict=True)}
        elif what == "replace":
            inner = SequenceMatcher(None, [t.kind for t in a[a0:a1]], [t.kind for t in b[b0:b1]], autojunk=False)
            for x, y, size in inner.get_matching_blocks():
                for step in range(size):
                    if a[a0 + x + step].kind:
                        found[b[b0 + y + step].place] = a[a0 + x + step].place
    return found


def _bare(text: str) -> str:
    """Return a line without its comment and spaces; what is no whole line of Python without spaces only."""
    left_out = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text.strip() + "\n").readline))
    except (tokenize.TokenError, IndentationError):
        return " ".join(text.split())
    return " ".join(each.string for each in tokens if each.type not in left_out and each.string.strip())


def _kinds(texts: list[str]) -> dict[int, str]:
    """Return by line (1 is the first of `texts`) the kind of statement that begins there and what it assigns to.

    Lines out of the middle of a function are made a block of their own; where that is no Python, nothing is known.
    """
    depth = min((len(t) - len(t.lstrip()) for t in texts if t.strip()), default=0)
    block = textwrap.indent("\n".join(t[depth:] for t in texts), " ")
    for head in ("if 1:\n", "if 1:\n pass\n"):
        try:
            tree = ast.parse(head + block)
        except (SyntaxError, ValueError):
            continue
        first = head.count("\n")
        return {
            node.lineno - first: f"{type(node).__name__} {_target(node)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.stmt) and node.lineno > first
        }
    return {}


def _target(node: ast.stmt) -> str:
    """Return the name that a statement assigns to: the same variable is the same step. A loop's own does not count."""
    if not isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
        return ""
    for each in node.targets if isinstance(node, ast.Assign) else [node.target]:
        while isinstance(each, (ast.Attribute, ast.Subscript)):
            each = each.value
        if isinstance(each, ast.Name):
            return each.id
    return ""
