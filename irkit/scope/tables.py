"""Read small tables that people hand in (a register, canaries); broken rows are set aside.

Polars reads a clean table at once.  Where it cannot, or where a value spans lines, each line is
read for itself, so that one lost quote costs its own row and not the rest of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from irkit.errors import UsageError

#: Place of a row in its file; no column of a table is called so.
PLACE = "\0place"
_PARQUET = (".parquet", ".pq")
_JSON = (".jsonl", ".ndjson")
#: Lines over which a quoted value may run; a quote open for longer is a broken one.
_LONGEST = 20


@dataclass(frozen=True, slots=True)
class SetAside:
    """One row of a handed-in table that could not be used.

    Attributes:
        row: line of the file, or row from 1 where the format has no lines.
        reason: why, without any value of the row.
    """

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A table as text, with what could not be read.

    Attributes:
        rows: the columns as text, and :data:`PLACE`.
        aside: rows set aside, in order.
    """

    rows: pl.DataFrame
    aside: tuple[SetAside, ...] = ()


def read_table(path: Path, what: str) -> HandedIn:
    """Read a table.

    Args:
        path: CSV (comma, semicolon, tab or bar), Parquet or JSON Lines.
        what: what the file is, for the message.

    Raises:
        UsageError: the file is missing or no such table.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in _PARQUET:
            return HandedIn(_text(pl.read_parquet(path), 1))
        if suffix in _JSON:
            return HandedIn(_text(pl.read_ndjson(path, infer_schema_length=None), 1))
        return _read_csv(path.read_bytes())
    except (OSError, ValueError, csv.Error, pl.exceptions.PolarsError) as error:
        raise UsageError(
            f"{path}: cannot read the {what}", "give a CSV, Parquet or JSON Lines file"
        ) from error


def _text(table: pl.DataFrame, first: int) -> pl.DataFrame:
    flat = table.select(pl.all().exclude(pl.List, pl.Struct).cast(pl.String, strict=False))
    return flat.with_row_index(PLACE, first).with_columns(pl.col(PLACE).cast(pl.Int64))


def _read_csv(body: bytes) -> HandedIn:
    head = body[:4096].split(b"\n", 1)[0]
    separator = chr(max(b",;\t|", key=lambda c: head.count(bytes([c]))))
    try:
        table = pl.read_csv(body, separator=separator, infer_schema=False)
    except pl.exceptions.NoDataError:
        raise
    except pl.exceptions.PolarsError:
        return _line_by_line(body, separator)
    if any(table[name].str.contains("[\r\n]").any() for name in table.columns):
        return _line_by_line(body, separator)
    return HandedIn(_text(table, 2))


def _line_by_line(body: bytes, separator: str) -> HandedIn:
    records = _records(body.decode("utf-8-sig", "replace").splitlines(keepends=True), separator)
    _, names = next(records)
    if isinstance(names, str) or len(set(names)) < len(names):
        raise ValueError("no header")
    rows: list[list[str]] = []
    places: list[int] = []
    aside: list[SetAside] = []
    for place, values in records:
        if isinstance(values, str):
            aside.append(SetAside(place, values))
        elif any("\ufffd" in value for value in values):
            aside.append(SetAside(place, "bytes that are no UTF-8 text"))
        elif len(values) != len(names):
            aside.append(
                SetAside(place, f"{len(values)} values where the header names {len(names)}")
            )
        else:
            rows.append(values)
            places.append(place)
    table = pl.DataFrame(rows, dict.fromkeys(names, pl.String), orient="row")
    return HandedIn(
        table.with_columns(pl.Series(PLACE, places, pl.Int64)).select(PLACE, *names), tuple(aside)
    )


def _records(lines: list[str], separator: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record with its line, or the reason why a line is none."""
    at = 0
    while at < len(lines):
        end = at + 1
        quotes = lines[at].count('"')
        while quotes % 2 and end < min(len(lines), at + _LONGEST):
            quotes += lines[end].count('"')
            end += 1
        if quotes % 2:
            yield at + 1, "a quote that opens and does not end"
            end = at + 1
        elif lines[at].strip():
            try:
                record = next(csv.reader(lines[at:end], delimiter=separator, strict=True))
                yield at + 1, record
            except csv.Error:
                yield at + 1, "a quote that opens and does not end"
                end = at + 1
        at = end
