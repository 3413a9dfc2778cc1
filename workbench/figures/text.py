"""Numbers and names as a person reads them. Names may come from anywhere: they are shown as text, never obeyed."""

from __future__ import annotations

import html
import math
import unicodedata

LABEL_LENGTH = 48  # characters; longer names keep their beginning
_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_DURATIONS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))


def plain(text: object, limit: int = LABEL_LENGTH) -> str:
    """Return `text` on one line, at most `limit` characters, with control and direction marks made visible."""
    shown = "".join(_visible(character) for character in str(text)[: limit * 4])
    if len(shown) > limit or len(str(text)) > limit * 4:
        shown = shown[: limit - 1] + "…"
    return shown


def label(text: object, limit: int = LABEL_LENGTH) -> str:
    """Return `text` for plotly, which reads a subset of HTML (links too) in every label: escaped."""
    return html.escape(plain(text, limit), quote=False)


def _visible(character: str) -> str:
    """Replace what could change the line's direction or layout by its code point."""
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return f"[U+{ord(character):04X}]"
    return character


def number(value: float, unit: str = "") -> str:
    """Return `value` with three significant digits and its unit: ``1.23 µs``, ``45.6 M operations/s``."""
    if not math.isfinite(value):
        return "not finite"
    if unit == "ns":
        scale, shown = next(((s, u) for s, u in _DURATIONS if abs(value) >= s * 0.9995), (1.0, "ns"))
        return f"{_three_digits(value / scale)} {shown}"
    for scale, prefix in _SI:
        if abs(value) >= scale * 0.9995:
            joined = "MB" if (unit, prefix) == ("bytes", "M") else "GB" if (unit, prefix) == ("bytes", "G") else None
            return f"{_three_digits(value / scale)} {joined or f'{prefix} {unit}'.strip()}"
    return f"{_three_digits(value)} {unit}".strip()


def percent_change(ratio: float) -> str:
    """Return a ratio as a change: 1.054 is ``+5.4 %``, 0.25 is ``-75 %``; beyond twofold ``× 3.1``."""
    if ratio >= 2:
        return f"× {_three_digits(ratio)}"
    change = (ratio - 1) * 100
    digits = 2 if abs(change) < 1 else 1 if abs(change) < 20 else 0
    return f"{change:+.{digits}f} %".replace("-", "\N{MINUS SIGN}")


def _three_digits(value: float) -> str:
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value) * 1.0005)))
    return f"{value:,.{digits}f}"
