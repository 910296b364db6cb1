"""Log text made safe to draw, and times and numbers put into words.

Logs are written by the attacker too.  Every character that could steer a terminal (C0, C1, escape),
reorder a line (bidirectional controls) or hide (zero-width, tags) is replaced *one for one*, so
character offsets of leak spans stay true; nothing from a log is ever parsed as markup.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from rich.text import Text

#: Characters of category Cc, Cf, Zl, Zp, Cs and unassigned noncharacters (Unicode 15), except
#: newline and tab, which callers lay out themselves.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
#: More than two combining marks in a row paint over the lines around them.
_COMBINING = "[\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]"
_STACKED = re.compile(f"(?<={_COMBINING}{{2}}){_COMBINING}")

#: What is masked in any log text on sight: addresses, long numbers and key-like runs.
#: Every repetition is bounded and cannot restart inside its own run: a hostile text of one
#: megabyte costs linear time.
_EMAIL = r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}"
_ADDRESS = re.compile(_EMAIL)
_SHAPES = re.compile(
    _EMAIL + r"|(?<!\w)\+?\d(?:[ ()./-]?\d){5,40}(?!\w)"
    r"|(?<![\w-])(?=[\w-]{0,200}\d)(?=[\w-]{0,200}[A-Za-z])[\w-]{20,}(?!\w)"
)
MASK = "•"
_WORD = re.compile(r"\w")


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # U+2400 block: pictures of control characters
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if code < 0xA0 or 0xD800 <= code <= 0xDFFF else "\u00b7"


def clean(text: str) -> str:
    """Make a text of several lines safe to draw; length in characters stays the same."""
    return _STACKED.sub("\u00b7", _UNSAFE.sub(_visible, text)).replace("\t", " ")


def line(text: object, width: int = 0) -> str:
    """Make a value safe to draw on one line, shortened to ``width`` characters where given."""
    safe = clean(str(text)).replace("\n", "\u2424")
    return safe if not width or len(safe) <= width else safe[: max(width - 1, 1)] + "…"


def middle(text: object, width: int) -> str:
    """Shorten a name in the middle, where identifiers differ least."""
    safe = line(text)
    if len(safe) <= width:
        return safe
    head = (width - 1) // 2 + (width - 1) % 2
    return safe[:head] + "…" + safe[len(safe) - (width - 1 - head) :]


def plain(text: object, style: str = "") -> Text:
    """A one-line text without markup, safe to put into a table cell."""
    return Text(line(text), style=style, no_wrap=True, overflow="ellipsis")


def mask(text: str) -> str:
    """Replace every letter and digit; punctuation keeps the shape readable."""
    return _WORD.sub(MASK, text)


def mask_addresses(text: str) -> str:
    """Mask e-mail addresses only: for irkit's own sentences, which are full of times and counts."""
    return _ADDRESS.sub(lambda found: mask(found[0]), text)


def mask_shapes(text: str) -> str:
    """Mask what looks like an address, a long number or a key, wherever it stands."""
    return _SHAPES.sub(lambda found: mask(found[0]), text)


# -- words ------------------------------------------------------------------------------------


def duration(delta: timedelta) -> str:
    """Write a span in its two largest units, like ``2 d 4 h``."""
    seconds = int(abs(delta.total_seconds()))
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if days >= 4:
        return f"{days} d {hours} h"
    if days or hours:
        return f"{days * 24 + hours} h {minutes:02d} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def remaining(at: datetime, now: datetime) -> str:
    """Say how long there is still, or how long ago it was missed."""
    delta = at - now
    return f"{duration(delta)} left" if delta >= timedelta(0) else f"{duration(delta)} overdue"


def urgency(at: datetime, now: datetime) -> str:
    """Grade a deadline as ``over``, ``soon`` (a day or less) or ``ahead``."""
    delta = at - now
    if delta < timedelta(0):
        return "over"
    return "soon" if delta <= timedelta(hours=24) else "ahead"


def stamp(at: datetime | None, *, seconds: bool = False) -> str:
    """Write a time in UTC, like ``2026-10-16 07:00Z``."""
    if at is None:
        return "undated"
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ" if seconds else "%Y-%m-%d %H:%MZ")


def short_stamp(at: datetime | None, *, seconds: bool = False) -> str:
    """Write a time without the year, for narrow columns."""
    if at is None:
        return "undated"
    return at.astimezone(UTC).strftime("%m-%d %H:%M:%S" if seconds else "%m-%d %H:%M")


def number(value: int) -> str:
    """Write a whole number with thin groups, like ``1 234 567``."""
    return f"{value:,}".replace(",", " ")


def size(value: int) -> str:
    """Write a number of bytes in decimal units."""
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable")


def p_value(value: float | None, kind: str | None) -> str:
    """Write a p-value, or why there is none."""
    named = {"signature": "signature", "rank_only": "rank only"}.get(kind or "")
    if named is not None or value is None:
        return named or "–"
    return f"{value:.1e}" if value < 0.001 else f"{value:.3f}"


def plural(count: int, noun: str, plural_form: str = "") -> str:
    """Write a count with its noun (or noun and verb)."""
    return f"{number(count)} {noun if count == 1 else plural_form or noun + 's'}"
