"""Read CSV and Parquet rows as JSON entries, so that one mapping serves every container."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from irkit.ingest.containers import advice
from irkit.ingest.delta import TableFile
from irkit.ingest.entries import (
    NO_OFFSET,
    Chunk,
    Reason,
    Reject,
    digests,
    empty_chunk,
    reject,
)

#: A CSV row must fit in one block of the reader.
_CSV_BLOCK = 32 << 20
_BATCH_BYTES = 8 << 20
_BATCH_ROWS = 20_000
DELIMITERS = (",", "\t", ";", "|")


def _engine() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MB"})
    con.execute("SET TimeZone='UTC'")
    for statement in ("enable_external_access=false", "lock_configuration=true"):
        con.execute(f"SET {statement}")
    return con


def _as_chunk(
    con: duckdb.DuckDBPyConnection,
    source_id: int,
    rows: pa.Table,
    numbers: np.ndarray[tuple[int], np.dtype[np.int64]],
    rejects: list[Reject],
) -> Chunk:
    con.register("incoming", rows)
    try:
        found = con.execute("SELECT to_json(r)::VARCHAR AS line FROM incoming r").to_arrow_table()
    finally:
        con.unregister("incoming")
    lines = found.column("line").combine_chunks().cast(pa.large_string())
    if isinstance(lines, pa.ChunkedArray):
        lines = pa.concat_arrays(lines.chunks) if lines.num_chunks else pa.array([], lines.type)
    bounds = np.frombuffer(lines.buffers()[1], np.int64)[
        lines.offset : lines.offset + len(lines) + 1
    ]
    data = lines.buffers()[2] or b""
    hashed = digests(memoryview(data), bounds[:-1].tolist(), bounds[1:].tolist())
    nowhere = np.full(len(lines), NO_OFFSET, np.int64)
    return Chunk(source_id, lines, numbers, nowhere, np.diff(bounds), hashed, rejects)


def header(head: bytes) -> tuple[str, list[str], int] | None:
    """Return delimiter, column names and number of header lines if the text looks like CSV."""
    text = head.decode("utf-8", "replace")
    whole_lines = text.count("\n") > 0
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(text), delimiter=delimiter)
        try:
            names = next(reader)
            used = reader.line_num
            second = next(reader, None)
        except (csv.Error, StopIteration):
            continue
        if len(names) < 2 or not whole_lines or not all(_is_name(name) for name in names):
            continue
        if second is not None and len(second) != len(names):
            continue
        return delimiter, _distinct(names), used
    return None


def _is_name(name: str) -> bool:
    text = name.strip()
    return (
        0 < len(text) <= 128
        and not text[0].isdigit()
        and all(ch.isalnum() or ch in "_ .-/@:()#%[]" for ch in text)
    )


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out = []
    for name in (name.strip() for name in names):
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out


class Pieces(io.RawIOBase):
    """Decompressed pieces as a file object, for readers that want one."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Tell io's buffered reader that this can be read."""
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as the current piece goes; 0 at the end."""
        while not self._rest:
            try:
                self._rest = memoryview(next(self._pieces))
            except StopIteration:
                return 0
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def csv_chunks(
    source_id: int, pieces: Iterable[bytes], delimiter: str, names: list[str], skip: int
) -> Iterator[Chunk]:
    """Yield the rows of a CSV file; a row with the wrong number of fields is set aside.

    Args:
        source_id: the source.
        pieces: decompressed bytes.
        delimiter: field separator.
        names: column names.
        skip: header lines to leave out.
    """
    bad: dict[int, tuple[bytes, str]] = {}

    def handle(row: pa_csv.InvalidRow) -> str:
        raw = (row.text or "").encode("utf-8", "surrogateescape")
        words = f"{row.actual_columns} fields where {row.expected_columns} are named"
        bad[(row.number or 0) - skip] = raw, words
        return "skip"

    def rejected(before: int | None) -> list[Reject]:
        # The reader looks ahead, so rows past the current batch may be known to be bad already.
        ready = sorted(number for number in bad if before is None or number < before)
        return [
            reject(source_id, number, NO_OFFSET, bad[number][0], Reason.BAD_ROW, bad.pop(number)[1])
            for number in ready
        ]

    con = _engine()
    entry = 1
    try:
        reader = pa_csv.open_csv(
            pa.PythonFile(Pieces(pieces), mode="r"),
            read_options=pa_csv.ReadOptions(
                use_threads=False, block_size=_CSV_BLOCK, column_names=names, skip_rows=skip
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=handle
            ),
            convert_options=pa_csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.large_binary()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
        while True:
            batch = reader.read_next_batch()
            table = pa.Table.from_batches([batch])
            numbers = np.arange(entry, entry + len(table) + len(bad), dtype=np.int64)
            numbers = numbers[~np.isin(numbers, list(bad))][: len(table)]
            entry = int(numbers[-1]) + 1 if len(numbers) else entry
            rejects = rejected(entry)
            table, numbers, broken = _decoded(source_id, table, numbers)
            rejects += broken
            step = max(1, int(_BATCH_BYTES / max(1, table.nbytes / max(1, len(table)))))
            for at in range(0, max(1, len(table)), step):
                part = table.slice(at, step)
                yield _as_chunk(con, source_id, part, numbers[at : at + step], rejects)
                rejects = []
    except StopIteration:
        yield empty_chunk(source_id, rejected(None))
    except pa.ArrowInvalid:
        yield empty_chunk(
            source_id,
            [
                *rejected(None),
                reject(
                    source_id,
                    entry,
                    NO_OFFSET,
                    b"",
                    Reason.BAD_ROW,
                    "the file is no readable CSV from this row on",
                ),
            ],
        )
    finally:
        con.close()


def _decoded(
    source_id: int, table: pa.Table, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[pa.Table, np.ndarray[tuple[int], np.dtype[np.int64]], list[Reject]]:
    """Turn binary columns into text; rows that are not UTF-8 are set aside."""
    try:
        columns = [column.cast(pa.large_string()) for column in table.columns]
        return pa.table(columns, names=table.column_names), numbers, []
    except pa.ArrowInvalid:
        pass
    rejects: list[Reject] = []
    keep = np.ones(len(table), bool)
    for index, row in enumerate(zip(*(c.to_pylist() for c in table.columns), strict=True)):
        raw = b",".join(value or b"" for value in row)
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            keep[index] = False
            rejects.append(
                reject(
                    source_id,
                    int(numbers[index]),
                    NO_OFFSET,
                    raw,
                    Reason.BAD_UTF8,
                    "a field is not UTF-8",
                )
            )
    kept = table.filter(pa.array(keep))
    columns = [column.cast(pa.large_string()) for column in kept.columns]
    return pa.table(columns, names=table.column_names), numbers[keep], rejects


def parquet_chunks(
    source_id: int, path: Path | io.BytesIO, max_ratio: int, part: TableFile | None = None
) -> Iterator[Chunk]:
    """Yield the rows of a Parquet file in bounded batches.

    Args:
        source_id: the source.
        path: the file, or its bytes where it was inside an archive.
        max_ratio: uncompressed size over file size above which the file is a suspected bomb.
        part: what a Delta table's log says of the file; deleted rows are left out.
    """
    entry = 1
    con = _engine()

    def damage(reason: Reason, words: str) -> Chunk:
        return empty_chunk(source_id, [reject(source_id, entry, NO_OFFSET, b"", reason, words)])

    try:
        file = pq.ParquetFile(path)
        metadata = file.metadata
        size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        held = path.stat().st_size if isinstance(path, Path) else len(path.getbuffer())
        if size > max_ratio * max(1, held):
            yield damage(Reason.BOMB, f"claims to expand more than {max_ratio}-fold; not read")
            return
        width = max(1, size // max(1, metadata.num_rows))
        batch_rows = int(min(_BATCH_ROWS, max(1, _BATCH_BYTES // width)))
        for batch in file.iter_batches(batch_size=batch_rows, use_threads=False):
            table = pa.Table.from_batches([batch])
            numbers = np.arange(entry, entry + len(table), dtype=np.int64)
            entry += len(table)
            if part is not None:
                table, numbers = _of_table(table, numbers, part)
            yield _as_chunk(con, source_id, table, numbers, [])
    except (pa.ArrowException, OSError, ValueError, duckdb.Error):
        yield damage(
            Reason.TRUNCATED_CONTAINER, "the Parquet file is damaged; rows from here are unreadable"
        )
    finally:
        con.close()


def _of_table(
    table: pa.Table, numbers: np.ndarray[tuple[int], np.dtype[np.int64]], part: TableFile
) -> tuple[pa.Table, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Give rows the names and constant columns of their Delta table; leave deleted ones out."""
    if part.gone is not None:
        keep = ~np.isin(numbers - 1, part.gone)
        table, numbers = table.filter(pa.array(keep)), numbers[keep]
    table = table.rename_columns([part.names.get(name, name) for name in table.column_names])
    for name, value in part.values.items():
        if name not in table.column_names:
            table = table.append_column(name, pa.array([value] * len(table), pa.string()))
    return table, numbers


def whole_file(source_id: int, path: Path, sha256: str, name: str, head: bytes) -> Chunk:
    """Return the one quarantine row of a file that is no log at all (``name`` says what)."""
    digest = sha256 or hashlib.sha256(head).hexdigest()
    size = path.stat().st_size
    row = Reject(
        *(source_id, 1, 0, size, digest, Reason.UNKNOWN_FORMAT),
        *(f"{name}: {advice(name)}", head),
    )
    return empty_chunk(source_id, [row])
