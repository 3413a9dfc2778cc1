"""Text from anywhere for Markdown: nothing in it is markup, a link, an address or a mention."""

from __future__ import annotations

from workbench.figures.text import plain


def escaped(text: object, limit: int = 80) -> str:
    """Return `text` for Markdown as text, on one line, at most `limit` characters before it is escaped."""
    shown = plain(text, limit)
    for character in "\\`*_[]|#~":
        shown = shown.replace(character, f"\\{character}")
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "&#64;"), ("://", "&#58;//")):
        shown = shown.replace(character, entity)
    return shown


def code(text: object, limit: int = 200) -> str:
    """Return `text` for inside backticks, also in a table."""
    return plain(text, limit).replace("`", "'").replace("|", "\\|")
