"""What all pages share: the style, the policy that lets no request leave, and templates that escape everything."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from workbench.figures.ratio import metric_name
from workbench.figures.text import number, percent_change, plain
from workbench.record import Machine

TEMPLATES = Path(__file__).with_name("templates")

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""Nothing is fetched and nothing is sent, whatever an output holds: trading data stay on the machine."""

SHARED_POLICY = POLICY.replace("script-src ", "script-src 'self' ")
"""The same for a page whose plotly.js lies beside it."""

MOST_CHARACTERS = 12_000
"""Of one text, unfolded: what is longer is no name and no sentence any more, and its file is linked."""

_MARKS = {code: f"[U+{code:04X}]" for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


@functools.cache
def text(name: str) -> str:
    """Return a file of the templates' folder."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@functools.cache
def environment() -> jinja2.Environment:
    """Return the template environment: every value is escaped, and a missing one is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    made.filters.update(
        fold=fold,
        block=block,
        size=size,
        plain=plain,
        change=percent_change,
        number=number,
        css=css_class,
        metric=metric_name,
    )
    return made


def render(template: str, **values: Any) -> str:
    """Return the template `template` with `values`, escaped."""
    return environment().get_template(template).render(**values)


def fold(value: object, limit: int = 200) -> Markup:
    """Return `value` escaped; beyond `limit` characters its beginning, which opens to the rest."""
    whole = plain(value, MOST_CHARACTERS)
    if len(whole) <= limit:
        return Markup("{}").format(whole)
    return Markup('<details class="wb-fold"><summary>{}</summary><div>{}</div></details>').format(
        plain(value, limit), whole
    )


def show_marks(value: str) -> str:
    """Return `value` with the marks that change the direction of text made visible, and nothing else changed."""
    return value.translate(_MARKS)


def block(value: object, limit: int = MOST_CHARACTERS) -> str:
    """Return `value` for a ``<pre>``: its lines with marks of control and direction visible, at most `limit` long."""
    whole = str(value)
    kept = whole if len(whole) <= limit else f"{whole[:limit]}\n… {len(whole) - limit:,} more characters"
    return "\n".join(plain(line.expandtabs(), limit) for line in kept.splitlines())


def size(number_bytes: float) -> str:
    """Return a file's size as a person says it."""
    return f"{number_bytes / 1e6:.1f} MB" if number_bytes >= 1e6 else f"{max(1, round(number_bytes / 1e3))} KB"


def css_class(word: object) -> str:
    """Return a verdict as the name of a style class."""
    return re.sub(r"[^a-z]+", "-", str(word).lower()).strip("-")


def machine_facts(machine: Machine) -> list[tuple[str, str]]:
    """Return what a person must know of a machine to judge a figure."""
    facts = [("machine", f"{machine.cpu_model}, {machine.cores} cores, {machine.host}")]
    if machine.hypervisor:
        facts.append(("virtual", machine.hypervisor))
    if machine.git_revision:
        facts.append(("code", machine.git_revision[:12] + (" with uncommitted changes" if machine.git_dirty else "")))
    versions = " ".join(f"{name} {machine.versions[name]}" for name in ("python", "numba") if name in machine.versions)
    return [*facts, ("versions", versions)] if versions else facts


def duration(seconds: float) -> str:
    """Return a duration as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
