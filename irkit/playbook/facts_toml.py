"""Facts as TOML: reading with errors that name the key, and the template a person fills."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from irkit.errors import UsageError
from irkit.model import Count, Phase
from irkit.playbook.facts import (
    STATES,
    YOU,
    Facts,
    Measure,
    Notice,
    Signature,
    Unknown,
    Value,
    check,
    completeness,
    near,
)
from irkit.playbook.fields import FIELD, FIELDS, PARTS, Field, Kind

#: A facts file is written by hand; anything larger is a mistake.
MAX_BYTES = 4 << 20


def read_facts(path: Path) -> Facts:
    """Read a facts file.

    Raises:
        UsageError: the file is missing, no TOML, or holds an unknown key, a value of the wrong
            type or a time without a zone; the message names the key.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: larger than 4 MB, which no facts file is")
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(
            f"{path}: is no valid TOML: {error}", "quote texts, and write times with a zone"
        ) from error
    return parse_facts(table, str(path))


def parse_facts(table: Mapping[str, Any], where: str) -> Facts:
    """Build facts from a parsed TOML document.

    Raises:
        UsageError: see :func:`read_facts`.
    """
    values: dict[str, Value] = {}
    for key, raw in _leaves(table, where):
        try:
            value = _value(FIELD[key], raw)
            check(key, value)
        except UsageError as error:
            raise UsageError(f"{where}: {error.message}", error.hint) from error
        values[key] = value
    return Facts.of(values, YOU)


def _leaves(table: Mapping[str, Any], where: str, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, raw in table.items():
        key = f"{prefix}{name}"
        if key in FIELD:
            found.append((key, raw))
        elif isinstance(raw, Mapping) and any(k.startswith(key + ".") for k in FIELD):
            found += _leaves(raw, where, key + ".")
        else:
            raise UsageError(f"{where}: unknown key '{key}'", near(key))
    return found


def _value(field: Field, raw: Any) -> Value:
    kind = field.kind
    if kind is Kind.COUNT:
        table = _table(field, raw, {"min": int, "best": int, "max": int, "method": str})
        if not {"min", "best", "max"} <= set(table):
            raise UsageError(f"'{field.key}' needs min, best and max", "and a method in words")
        if not 0 <= table["min"] <= table["best"] <= table["max"]:
            raise UsageError(f"'{field.key}': min <= best <= max does not hold")
        return Count(table["min"], table["best"], table["max"], table.get("method", "as stated"))
    if kind is Kind.TEXTS:
        return tuple(_list(field, raw))
    if kind is Kind.MEASURES:
        shape: dict[str, type] = {
            "text": str, "state": str, "at": datetime, "owner": str, "evidence": str,
        }  # fmt: skip
        rows = [_table(field, item, shape, "text") for item in _list(field, raw)]
        for row in rows:
            if row.get("state", "planned") not in STATES:
                raise UsageError(f"'{field.key}': unknown state", "use: " + ", ".join(STATES))
        return tuple(Measure(**row) for row in rows)
    if kind is Kind.UNKNOWNS:
        shape = {"key": str, "expected": datetime, "note": str}
        return tuple(Unknown(**_table(field, i, shape, "key")) for i in _list(field, raw))
    if kind is Kind.NOTICES:
        shape = {"to": str, "at": datetime, "reference": str}
        return tuple(Notice(**_table(field, i, shape, "to")) for i in _list(field, raw))
    if kind is Kind.SIGNATURES:
        shape = {"name": str, "role": str, "at": datetime, "decision": str}
        rows = [_table(field, i, shape, "name") for i in _list(field, raw)]
        return tuple(Signature(**{"role": "decision", **row}) for row in rows)
    result: Value = raw
    return result


def _list(field: Field, raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise UsageError(f"'{field.key}' must be {field.kind.value}", "write it in [ ]")
    return raw


def _table(
    field: Field, raw: Any, shape: Mapping[str, type], needed: str | None = None
) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise UsageError(f"'{field.key}' must be {field.kind.value}")
    for name, value in raw.items():
        if name not in shape:
            raise UsageError(f"'{field.key}': unknown key '{name}'", "known: " + ", ".join(shape))
        if not isinstance(value, shape[name]) or isinstance(value, bool):
            kind = "a time with zone" if shape[name] is datetime else shape[name].__name__
            raise UsageError(f"'{field.key}.{name}' must be {kind}")
    if needed and needed not in raw:
        raise UsageError(f"'{field.key}': every entry needs '{needed}'")
    return dict(raw)


# -- writing ----------------------------------------------------------------------------------


def dump_facts(facts: Facts) -> str:
    """Render the known values, in the form's order, as TOML that :func:`read_facts` reads back."""
    lines = [_assignment(f, facts.values[f.key]) for f in FIELDS if f.key in facts.values]
    return "\n".join(lines) + ("\n" if lines else "")


def template(facts: Facts, phase: Phase) -> str:
    """Render the file that a person fills.

    What the phase still needs stands first; what irkit filled from the case stands below as
    comments with its current value, so that a later run of the case still updates it unless the
    comment sign is taken away.
    """
    out = [
        "# Facts for the notification packet. Times carry a zone: 2026-11-24T09:30:00+01:00",
        "# Lines that begin with # are not read. To change what irkit filled in from the case,",
        "# take the # away and edit the value; everything else is updated with the case.",
        "",
        f"# ---- needed for the {phase.value} phase ----",
    ]
    gaps = completeness(facts, phase)
    for gap in gaps:
        out.append(f"# {gap.field.label}{_hint(gap.field)}")
        proposal = facts.proposals.get(gap.field.key)
        if proposal is not None:
            out.append("# proposed by irkit; take the # away to confirm:")
            out += ["# " + line for line in _assignment(gap.field, proposal).splitlines()]
        else:
            out.append("# " + _blank(gap.field).replace("\n", "\n# "))
    if not gaps:
        out.append("# nothing: every mandatory field is answered")
    yours = {k: v for k, v in facts.values.items() if facts.sources.get(k) == YOU}
    out += ["", "# ---- written by you ----"]
    out += [_assignment(FIELD[f.key], yours[f.key]) for f in FIELDS if f.key in yours]
    missing = {gap.field.key for gap in gaps}
    for part in PARTS:
        rows = [f for f in FIELDS if f.part == part and f.key not in yours]
        rows = [f for f in rows if f.key not in missing]
        if rows:
            out += ["", f"# ---- {part} ----"]
        for field in rows:
            if field.key in facts.values:
                body = _assignment(field, facts.values[field.key])
                out.append(f"# {field.label}: from the case")
            else:
                body = _blank(field)
                out.append(f"# {field.label}: not known{_hint(field)}")
            out += ["# " + line for line in body.splitlines()]
    return "\n".join(out) + "\n"


def _hint(field: Field) -> str:
    choices = "" if all(c in field.hint for c in field.choices) else ", ".join(field.choices)
    words = list(filter(None, [field.hint, choices]))
    return f" ({'; '.join(words)})" if words else ""


def _blank(field: Field) -> str:
    sample = {
        Kind.INSTANT: "2026-01-31T09:30:00+01:00",
        Kind.TRI: '"unknown"',
        Kind.FLAG: "false",
        Kind.TEXTS: "[]",
        Kind.COUNT: '{ min = 0, best = 0, max = 0, method = "" }',
        Kind.COUNTRIES: "{ DE = 0 }",
        Kind.MEASURES: '[{ text = "", state = "planned", owner = "" }]',
        Kind.UNKNOWNS: '[{ key = "", expected = 2026-01-31T09:30:00+01:00 }]',
        Kind.NOTICES: '[{ to = "", at = 2026-01-31T09:30:00+01:00 }]',
        Kind.SIGNATURES: (
            '[{ name = "", role = "decision", at = 2026-01-31T09:30:00+01:00, decision = "" }]'
        ),
        Kind.CHOICE: json.dumps(field.choices[0]) if field.choices else '""',
    }
    return field.key + " = " + sample.get(field.kind, '""')


def _assignment(field: Field, value: Value) -> str:
    return f"{field.key} = {_render(value)}"


def _render(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Count):
        return (
            f"{{ min = {value.min}, best = {value.best}, max = {value.max}, "
            f"method = {_string(value.method)} }}"
        )
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_string(str(k))} = {_render(v)}" for k, v in sorted(value.items()))
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_render(item) for item in value) + "]"
    names = {
        Measure: ("text", "state", "at", "owner", "evidence"),
        Unknown: ("key", "expected", "note"),
        Notice: ("to", "at", "reference"),
        Signature: ("name", "role", "at", "decision"),
    }[type(value)]
    inner = ", ".join(
        f"{name} = {_render(getattr(value, name))}"
        for name in names
        if getattr(value, name) not in (None, "")
    )
    return f"{{ {inner} }}"


def _string(text: str) -> str:
    """A TOML basic string; controls and hidden or reordering characters are written as escapes."""
    kept = text.encode("utf-8", "replace").decode("utf-8")
    body = json.dumps(kept, ensure_ascii=False)
    return "".join(c if c == " " or c.isprintable() else _escape(c) for c in body)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
