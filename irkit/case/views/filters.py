"""The ``field=value`` filter of the faces, turned into SQL with bound parameters only.

Grammar: space-separated terms, all of which must hold.  A term is ``FIELD OP VALUE`` without
spaces, OP one of ``= != ~ > >= < <=`` (``~`` is "contains"); quotes hold spaces together; a bare
word must occur in the table's main column.  Field names come from a fixed list; nothing typed by a
person or found in evidence ever becomes SQL text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from irkit.errors import UsageError

Kind = Literal["text", "number", "time", "list"]

_TERM = re.compile(r"([A-Za-z_]+)\s*(!=|>=|<=|=|~|>|<)\s*(.*)", re.S)


class FilterError(UsageError):
    """The filter names an unknown field or compares with something that cannot be read."""


@dataclass(frozen=True, slots=True)
class Column:
    """A field that may be filtered or sorted on: its public name, SQL expression and kind."""

    name: str
    sql: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter: a condition for WHERE, the values to bind in order, the fields it asks."""

    sql: str
    params: tuple[Any, ...]
    text: str = ""
    fields: frozenset[str] = frozenset()


def parse_filter(text: str, columns: Sequence[Column], bare: str) -> Filter:
    """Parse a filter line.

    Args:
        text: what the person typed.
        columns: the fields of this table.
        bare: name of the field that a word without operator searches.

    Raises:
        FilterError: unknown field, missing value, or a value that is no number or time.
    """
    known = {column.name: column for column in columns}
    conditions: list[str] = []
    params: list[Any] = []
    fields: set[str] = set()
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise FilterError(f"filter: {error}", "close the quote") from error
    for word in words:
        found = _TERM.fullmatch(word)
        if found is None:
            column, operator, value = known[bare], "~", word
        else:
            name, operator, value = found[1].lower(), found[2], found[3]
            if name not in known:
                raise FilterError(
                    f"filter: there is no field '{name}'", "fields: " + ", ".join(sorted(known))
                )
            column = known[name]
        if not value:
            raise FilterError(f"filter: '{word}' has no value", "write it like tier=A")
        condition, bound = _condition(column, operator, value)
        conditions.append(condition)
        params.extend(bound)
        fields.add(column.name)
    return Filter(" AND ".join(conditions) or "TRUE", tuple(params), text, frozenset(fields))


def timeless(where: Filter, columns: Sequence[Column]) -> Filter | None:
    """Return the filter of rows that lack a time which a filter asks for; None where it asks none.

    Such rows fulfil no comparison, so they silently drop out of what the filter leaves.
    """
    asked = [c for c in columns if c.kind == "time" and c.name in where.fields]
    if not asked:
        return None
    lacking = " OR ".join(f"{column.sql} IS NULL" for column in asked)
    return Filter(lacking, (), fields=frozenset(column.name for column in asked))


def _condition(column: Column, operator: str, value: str) -> tuple[str, list[Any]]:
    if column.kind == "number":
        try:
            number = float(value)
        except ValueError as error:
            raise FilterError(
                f"filter: {column.name} is a number, '{value}' is not", f"try {column.name}>10"
            ) from error
        return f"{column.sql} {'=' if operator == '~' else operator} ?", [number]
    if column.kind == "time":
        return f"{column.sql} {'>=' if operator == '~' else operator} ?", [_time(column, value)]
    if operator in (">", ">=", "<", "<="):
        raise FilterError(
            f"filter: {column.name} is text and has no order", f"try {column.name}={value}"
        )
    if column.kind == "list":
        test = (
            f"len(list_filter(coalesce({column.sql}, []), x -> contains(lower(x), lower(?)))) > 0"
        )
        return (f"NOT ({test})" if operator == "!=" else test), [value]
    expression = f"coalesce(CAST({column.sql} AS VARCHAR), '')"
    if operator == "~":
        return f"contains(lower({expression}), lower(?))", [value]
    return f"lower({expression}) {operator} lower(?)", [value]


def _time(column: Column, value: str) -> datetime:
    try:
        instant = datetime.fromisoformat(value)
    except ValueError as error:
        raise FilterError(
            f"filter: {column.name}: '{value}' is not an ISO 8601 time",
            f"try {column.name}>=2026-11-20 or {column.name}<2026-11-20T14:00",
        ) from error
    # Stored times are UTC without a zone; a typed time without one is read as UTC too.
    return instant if instant.tzinfo is None else instant.astimezone(UTC).replace(tzinfo=None)


def order_by(columns: Sequence[Column], name: str, descending: bool, tiebreak: str) -> str:
    """Return an ORDER BY clause for a known field, NULLs last, with a total order.

    Raises:
        FilterError: there is no such field.
    """
    for column in columns:
        if column.name == name:
            direction = "DESC" if descending else "ASC"
            return f"ORDER BY {column.sql} {direction} NULLS LAST, {tiebreak}"
    raise FilterError(
        f"sort: there is no field '{name}'", "fields: " + ", ".join(c.name for c in columns)
    )
