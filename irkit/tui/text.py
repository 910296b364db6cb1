"""Log text made safe to draw, and times and numbers put into words.

Log text is made harmless and masked by :mod:`irkit.case.shown`, which the plain commands use too;
nothing from a log is ever parsed as markup.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rich.text import Text

from irkit.case.shown import clean, mask, mask_addresses, mask_names, mask_shapes

__all__ = [
    "clean", "day", "duration", "line", "mask", "mask_addresses", "mask_names", "mask_shapes",
    "middle", "month", "number", "p_value", "plain", "plural", "remaining", "short_stamp", "size",
    "stamp", "time_range", "urgency",
]  # fmt: skip


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


#: Names of the months whatever language the machine speaks.
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip

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


def day(at: datetime) -> str:
    """Write a day in UTC, like ``5 Oct``."""
    at = at.astimezone(UTC)
    return f"{at.day} {_MONTHS[at.month - 1]}"


def month(at: datetime) -> str:
    """Write a month in UTC, like ``Oct 2026``."""
    at = at.astimezone(UTC)
    return f"{_MONTHS[at.month - 1]} {at.year:04d}"


def time_range(first: datetime, last: datetime) -> str:
    """Write a part of time in UTC, like ``5 Oct 06:00 to 7 Oct 18:00 UTC``.

    Seconds are written where it is shorter than ten minutes, years where it is not all in one.
    """
    clock = "%H:%M:%S" if last - first < timedelta(minutes=10) else "%H:%M"
    years = first.astimezone(UTC).year != last.astimezone(UTC).year

    def words(at: datetime, with_day: bool) -> str:
        at = at.astimezone(UTC)
        head = f"{day(at)} {at.year:04d} " if years else f"{day(at)} "
        return (head if with_day else "") + at.strftime(clock)

    same = day(first) == day(last) and not years
    return f"{words(first, True)} to {words(last, not same)} UTC"


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
