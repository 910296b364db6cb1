"""Facts as lines that a person can type, and back: one value per line, parts between bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from irkit.errors import UsageError
from irkit.model import Count
from irkit.playbook.facts import STATES, Measure, Notice, Signature, Unknown, Value, check
from irkit.playbook.fields import Field, Kind


@dataclass(frozen=True, slots=True)
class Form:
    """How a kind of value is typed."""

    explain: str
    several_lines: bool = False


def form(field: Field) -> Form:
    """Say how a field is typed."""
    forms = {
        Kind.INSTANT: Form("A time with its zone, like 2026-11-24T09:30:00+01:00"),
        Kind.COUNT: Form("least | best estimate | most | how it was counted"),
        Kind.TEXTS: Form("One per line", True),
        Kind.COUNTRIES: Form("One per line: country code | number of people, like DE | 12", True),
        Kind.MEASURES: Form(
            "One per line: done, in progress or planned | measure | owner | time", True
        ),
        Kind.UNKNOWNS: Form("One per line: field key | expected time | note", True),
        Kind.NOTICES: Form("One per line: recipient | time | reference", True),
        Kind.SIGNATURES: Form(
            "One per line: name | role (decision, DPO …) | time | decision", True
        ),
    }
    return forms.get(field.kind, Form("", field.key.endswith((".narrative", ".text", ".reasons"))))


def to_text(value: Value | None) -> str:
    """Write a value as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds" if value.second else "minutes")
    if isinstance(value, Count):
        return f"{value.min} | {value.best} | {value.max} | {value.method}"
    if isinstance(value, Mapping):
        return "\n".join(f"{name} | {count}" for name, count in sorted(value.items()))
    return "\n".join(_item(item) for item in value)


def _item(item: object) -> str:
    def at(value: datetime | None) -> str:
        return value.isoformat(timespec="minutes") if value else ""

    if isinstance(item, Measure):
        parts = [item.state, item.text, item.owner, at(item.at)]
    elif isinstance(item, Unknown):
        parts = [item.key, at(item.expected), item.note]
    elif isinstance(item, Notice):
        parts = [item.to, at(item.at), item.reference]
    elif isinstance(item, Signature):
        parts = [item.name, item.role, at(item.at), item.decision]
    else:
        return str(item)
    while parts and not parts[-1]:
        parts.pop()
    return " | ".join(parts)


def from_text(field: Field, text: str) -> Value:
    """Read what a person typed.

    Raises:
        UsageError: it is no value of this field; the hint says how it is typed.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    readers: dict[Kind, Callable[[], Value]] = {
        Kind.TEXT: lambda: text.strip(),
        Kind.TRI: lambda: text.strip().lower(),
        Kind.CHOICE: lambda: text.strip(),
        Kind.FLAG: lambda: text.strip().lower() in ("yes", "true"),
        Kind.INSTANT: lambda: _instant(field, text),
        Kind.COUNT: lambda: _count(field, text),
        Kind.TEXTS: lambda: tuple(lines),
        Kind.COUNTRIES: lambda: dict(_country(field, line) for line in lines),
        Kind.MEASURES: lambda: tuple(_measure(field, line) for line in lines),
        Kind.UNKNOWNS: lambda: tuple(_unknown(field, line) for line in lines),
        Kind.NOTICES: lambda: tuple(_notice(field, line) for line in lines),
        Kind.SIGNATURES: lambda: tuple(_signature(field, line) for line in lines),
    }
    value = readers[field.kind]()
    check(field.key, value)
    return value


def _parts(line: str, count: int) -> list[str]:
    parts = [part.strip() for part in line.split("|", count - 1)]
    return parts + [""] * (count - len(parts))


def _instant(field: Field, text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise UsageError(f"{field.label}: this is no time", form(field).explain) from error
    if value.tzinfo is None:
        raise UsageError(f"{field.label}: the time names no zone", "add it, like +01:00 or Z")
    return value


def _optional(field: Field, text: str) -> datetime | None:
    return _instant(field, text) if text else None


def _whole(field: Field, text: str) -> int:
    try:
        return int(text.replace(" ", ""))
    except ValueError as error:
        raise UsageError(
            f"{field.label}: a whole number is missing", form(field).explain
        ) from error


def _count(field: Field, text: str) -> Count:
    low, best, high, method = _parts(text, 4)
    numbers = [_whole(field, part) for part in (low, best, high)]
    if not 0 <= numbers[0] <= numbers[1] <= numbers[2]:
        raise UsageError(f"{field.label}: least, best and most must rise", form(field).explain)
    return Count(numbers[0], numbers[1], numbers[2], method or "as stated")


def _country(field: Field, line: str) -> tuple[str, int]:
    code, count = _parts(line, 2)
    return code.upper(), _whole(field, count)


def _measure(field: Field, line: str) -> Measure:
    state, text, owner, at = _parts(line, 4)
    if state not in STATES or not text:
        raise UsageError(f"{field.label}: state or measure is missing", form(field).explain)
    return Measure(text, state, _optional(field, at), owner)


def _unknown(field: Field, line: str) -> Unknown:
    key, expected, note = _parts(line, 3)
    return Unknown(key, _optional(field, expected), note)


def _notice(field: Field, line: str) -> Notice:
    to, at, reference = _parts(line, 3)
    return Notice(to, _optional(field, at), reference)


def _signature(field: Field, line: str) -> Signature:
    name, role, at, decision = _parts(line, 4)
    return Signature(name, role or "decision", _optional(field, at), decision)
