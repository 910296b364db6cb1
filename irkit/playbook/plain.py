"""Making text from evidence safe for files that people open: no control, no bidi, no formulas."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from irkit.case.mask import clean

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(text: object, *, keep_breaks: bool = False) -> str:
    """Remove terminal sequences, controls, and hidden, reordering or private-use characters."""
    raw = str(text)
    if raw.isascii() and raw.isprintable():
        return raw
    flat = clean(raw).replace("\t", " ")
    if not keep_breaks:
        flat = flat.replace("\n", " ")
    if flat.isascii():
        return flat
    return "".join(c for c in flat if unicodedata.category(c) not in ("Co", "Cn"))


def one_line(text: object, limit: int = 400) -> str:
    """A text on one line, safe inside a Markdown table, cut with a visible mark."""
    flat = " ".join(plain(text).split()).replace("|", "/").replace("`", "'")
    flat = flat.replace("<", "\u2039").replace(">", "\u203a")
    return flat if len(flat) <= limit else flat[: limit - 1] + "\u2026"


@lru_cache(maxsize=4096)
def csv_safe(text: object) -> str:
    """A cell that no spreadsheet takes for a formula; the cells of a column repeat themselves."""
    flat = plain(text)
    return "'" + flat if flat.lstrip().startswith(_FORMULA) else flat
