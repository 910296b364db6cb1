"""Values in words: times with offset, counts with bounds, nothing ever left blank."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from irkit.model import Count
from irkit.playbook.clocks import zone_of
from irkit.playbook.facts import Measure, Unknown
from irkit.playbook.fields import FIELD

NOT_KNOWN = "not yet known"


def stamp(instant: datetime | None, zone: str) -> str:
    """ISO 8601 with offset in the controller's zone, to the minute (seconds where they matter)."""
    if instant is None:
        return NOT_KNOWN
    local = instant.astimezone(zone_of(zone))
    return local.isoformat(timespec="seconds" if local.second else "minutes")


def reading(instant: datetime | None, zone: str) -> str:
    """A time for the reader of the summary: day, month in words, time and zone."""
    if instant is None:
        return NOT_KNOWN
    local = instant.astimezone(zone_of(zone))
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{local.day} {month[local.month - 1]} {local:%Y, %H:%M %Z}"


def about(count: Count | None, one: str, many: str) -> str:
    """A count in a sentence: about so many, at least and at most."""
    if count is None:
        return f"number of {many} {NOT_KNOWN}"
    noun = one if count.best == 1 else many
    if count.min == count.max:
        return f"{count.best:,} {noun}"
    return f"about {count.best:,} {noun} (at least {count.min:,}, at most {count.max:,})"


def minutes(instant: datetime | None, zone: str) -> str:
    """As :func:`stamp`, to the minute: for tables in which seconds only widen the column."""
    return stamp(instant.replace(second=0, microsecond=0) if instant else None, zone)


def short(text: str, limit: int = 30) -> str:
    """A long identifier by its two ends; the whole of it stands in packet.json."""
    return text if len(text) <= limit else f"{text[: limit - 9]}…{text[-8:]}"


def count_words(count: Count | None) -> str:
    """A count as minimum, best and maximum."""
    if count is None:
        return NOT_KNOWN
    return f"min {count.min}, best {count.best}, max {count.max}"


def shown(value: object, zone: str) -> str:
    """Any fact's value in words; empty values are "not yet known", never blank."""
    if value is None or value in ("", (), {}):
        return NOT_KNOWN
    if isinstance(value, datetime):
        return stamp(value, zone)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Count):
        return f"{count_words(value)} ({value.method})"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in sorted(value.items()))
    if isinstance(value, Measure):
        return measure_words(value, zone)
    if isinstance(value, Unknown):
        label = FIELD[value.key].label.lower() if value.key in FIELD else value.key
        expected = f"expected {stamp(value.expected, zone)}" if value.expected else ""
        return ", ".join(filter(None, (label, expected, value.note)))
    if isinstance(value, tuple):
        return "; ".join(shown(item, zone) for item in value)
    if hasattr(value, "__dataclass_fields__"):
        parts = [getattr(value, name) for name in value.__dataclass_fields__]
        return ", ".join(shown(part, zone) for part in parts if part)
    return str(value)


def measure_words(measure: Measure, zone: str) -> str:
    """One measure with state, time, owner and evidence."""
    extra = [measure.state]
    if measure.at:
        extra.append(stamp(measure.at, zone))
    extra += [word for word in (measure.owner, measure.evidence) if word]
    return f"{measure.text} ({', '.join(extra)})"
