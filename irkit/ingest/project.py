"""Turn blocks of entries into canonical rows: one in-memory database per worker thread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from irkit.ingest.engine import FAULTS, Engine, Lines, truths
from irkit.ingest.entries import Reason
from irkit.ingest.format import Format
from irkit.ingest.giants import Giants
from irkit.ingest.habits import Filled, Habit
from irkit.ingest.projection import compile_format, shape_statement
from irkit.ingest.prompts import split_prompts
from irkit.ingest.registry import Registry
from irkit.ingest.repair import mend
from irkit.ingest.routing import Router
from irkit.ingest.shapes import Shape, most_common_shape, plain_names
from irkit.ingest.structure import nesting


@dataclass(frozen=True, slots=True)
class PartReject:
    """A part of an entry that became no record."""

    row_no: int
    reason: Reason
    text: str
    raw: bytes


@dataclass(slots=True)
class Projected:
    """What a block became.

    Attributes:
        records: canonical rows sorted by ``row_no`` (index of the entry in its block) and
            ``sub_no`` (number of the record within the entry), with ``source_format``.
        rejects: parts that became no record, in order of ``row_no``.
    """

    records: pa.Table
    rejects: list[PartReject] = field(default_factory=list)


class Projector:
    """Maps blocks; not thread-safe, one per worker.

    Args:
        registry: known formats.
        forced: take every object as this format.
        max_nesting: deepest JSON that is not reported as too deep.
    """

    def __init__(
        self, registry: Registry, *, forced: Format | None = None, max_nesting: int = 200
    ) -> None:
        self._registry = registry
        self._forced = forced
        self._max_nesting = max_nesting
        self._engine = Engine()
        self.router = Router(registry, self._engine)
        self._compiled: dict[tuple[str, bool, Shape | None, bool, Filled], str] = {}
        self._habits: dict[tuple[str, Shape], Habit] = {}
        self._distrusted: set[tuple[str, Shape]] = set()
        self._unfit: set[tuple[str, Shape]] = set()

    def close(self) -> None:
        """Free the database."""
        self._engine.close()

    def interrupt(self) -> None:
        """Stop a running statement (from another thread)."""
        self._engine.interrupt()

    def format(self, format_id: str) -> Format | None:
        """Return a known format, or None for an empty name."""
        return self._registry.get(format_id) if format_id else None

    # -- blocks -------------------------------------------------------------------------------

    def project(
        self,
        lines: Lines,
        primary: Format | None,
        shape: Shape | None = None,
    ) -> Projected:
        """Map all entries of a block.

        Args:
            lines: JSON texts, one per entry.
            primary: the format that most of them probably have.
            shape: the shape that most of them probably have.
        """
        primary = self._forced or primary
        total = len(lines)
        giants = Giants(lines)
        whole, lines = lines, giants.lines
        tables: list[pa.Table] = []
        done = np.zeros(total, bool)
        if primary is not None and total:
            for step, filled in self._narrowing(primary, shape):
                left = np.flatnonzero(~done)
                if not len(left):
                    break
                some = lines if len(left) == total else _take(lines, left)
                found = self._run(primary, left, some, step, filled)
                tables.append(_with(found, 0, ""))
                done[found.column("row_no").to_numpy()] = True
                if step is not None and filled is None:
                    self._habit(primary, step).learn(found)
                    if 2 * len(found) < len(left):
                        self._unfit.add((primary.id, step))
        rejects: list[PartReject] = []
        rest = np.flatnonzero(~done)
        if len(rest):
            other, rejects = self._odd(rest, _take(lines, rest))
            tables += other
        records = giants.restore(_assemble(tables))
        return _checked(records, rejects, total, whole)

    def _narrowing(self, fmt: Format, shape: Shape | None) -> Sequence[tuple[Shape | None, Filled]]:
        """Return the shapes and columns to try in turn, the cheapest statement first."""
        if shape is None:
            return [(None, None)]
        steps = [shape] if shape == shape.wide else [shape, shape.wide]
        steps = [step for step in steps[:-1] if (fmt.id, step) not in self._unfit] + steps[-1:]
        filled = self._habit(fmt, steps[0]).filled
        first = [(steps[0], filled)] if filled is not None else []
        return [*first, *((step, None) for step in steps)]

    def _habit(self, fmt: Format, shape: Shape) -> Habit:
        return self._habits.setdefault((fmt.id, shape), Habit())

    def _odd(
        self, rows: NDArray[np.int64], lines: pa.Array
    ) -> tuple[list[pa.Table], list[PartReject]]:
        """Route entries that are not of the expected format."""
        valid = self._engine.valid(lines)
        rejects: list[PartReject] = []
        work_rows = rows[valid]
        work_lines = lines.filter(pa.array(valid))
        warns = [""] * len(work_rows)
        mended: list[tuple[int, bytes, str]] = []
        invalid = lines.filter(pa.array(~valid))
        broken = invalid.cast(pa.large_binary()).to_pylist()
        told = self.router.prose.read(invalid)
        for row, line, text in zip(rows[~valid].tolist(), broken, told, strict=True):
            raw = line.rstrip(b"\r\n")
            if text is not None:
                mended.append((row, text, ""))
                continue
            parts, warning = mend(raw) if b"{" in raw else ([], "")
            if parts:
                mended += [(row, part, warning) for part in parts]
            else:
                rejects.append(PartReject(row, *_diagnose(raw, self._max_nesting), raw))
        if mended:
            texts = pa.array([part for _, part, _ in mended], pa.large_binary())
            candidates = texts.cast(pa.large_string())
            good = self._engine.valid(candidates)
            for (row, part, _), fine in zip(mended, good.tolist(), strict=True):
                if not fine:
                    rejects.append(PartReject(row, *_diagnose(part, self._max_nesting), part))
            where = np.array([row for row, _, _ in mended], np.int64)[good]
            order = np.argsort(np.concatenate([work_rows, where]), kind="stable")
            work_rows = np.concatenate([work_rows, where])[order]
            work_lines = pa.concat_arrays([work_lines, candidates.filter(pa.array(good))]).take(
                pa.array(order)
            )
            marks = warns + [mended[i][2] for i in np.flatnonzero(good).tolist()]
            warns = [marks[i] for i in order.tolist()]
        routed = self.router.route(work_rows, work_lines, self._forced)
        tables = []
        for fmt, picked in routed.by_format:
            found = self._run(fmt, picked, routed.lines.take(pa.array(picked)))
            at = found.column("row_no").to_numpy()
            found = found.set_column(
                found.column_names.index("row_no"), "row_no", pa.array(routed.rows[at])
            )
            marks = [warns[i] for i in routed.origin[at].tolist()] if any(warns) else []
            tables.append(_with(found, at, marks))
        for index in routed.unknown.tolist():
            raw = routed.lines[index].as_py().encode("utf-8", "surrogatepass").rstrip(b"\r\n")
            rejects.append(PartReject(int(routed.rows[index]), *self._unknown(raw), raw))
        for row, words in routed.hollow.items():
            reason = Reason.NOT_A_CALL if words else Reason.SCHEMA_MISSING_KEY
            words = words or "a wrapper without readable records"
            rejects.append(PartReject(row, reason, words, _raw(lines, rows, row)))
        return tables, rejects

    def _unknown(self, raw: bytes) -> tuple[Reason, str]:
        head = raw.lstrip()[:1]
        if head != b"{":
            if (
                head in b'"-0123456789tfnNI['
                and self._engine.valid(pa.array([raw], pa.large_binary()).cast(pa.large_string()))[
                    0
                ]
            ):
                return Reason.NOT_OBJECT, "a bare value where an object was expected"
            return Reason.BAD_JSON, "neither JSON nor a line of a known log"
        depth = nesting(raw)
        if depth > self._max_nesting:
            return Reason.TOO_DEEP, f"nested {depth:,} deep; the limit is {self._max_nesting}"
        return Reason.UNKNOWN_FORMAT, "valid JSON of no known log format"

    # -- one format ---------------------------------------------------------------------------

    def _run(
        self,
        fmt: Format,
        rows: NDArray[np.int64],
        lines: Lines,
        shape: Shape | None = None,
        filled: Filled = None,
    ) -> pa.Table:
        """Return the canonical rows of one format; calls with several prompts are split."""
        found = self._guarded(fmt, rows, lines, split=False, shape=shape, filled=filled)
        matched = truths(found.column("matched"))
        if not matched.all():
            found = found.filter(pa.array(matched))
        many = np.asarray(found.column("parts").to_numpy()) > 1
        if many.any():
            which = found.column("row_no").to_numpy()[many]
            picked = np.flatnonzero(np.isin(rows, which))
            parts = self._guarded(fmt, rows[picked], _take(lines, picked), split=True)
            parts = split_prompts(parts).cast(found.schema)
            found = pa.concat_tables([found.filter(pa.array(~many)), parts])
            order = np.argsort(found.column("row_no").to_numpy(), kind="stable")
            found = found.take(pa.array(order))
        return found.append_column("source_format", pa.array([fmt.id] * len(found), pa.string()))

    def _guarded(
        self,
        fmt: Format,
        rows: NDArray[np.int64],
        lines: Lines,
        *,
        split: bool,
        shape: Shape | None = None,
        filled: Filled = None,
    ) -> pa.Table:
        """Run the statement; if one entry defeats it, find that entry and leave it out."""
        if shape is not None and (fmt.id, shape.wide) not in self._distrusted:
            try:
                return self._statement(
                    fmt, rows, lines, split=split, shape=shape, filled=filled, trusted=True
                )
            except FAULTS:
                raise
            except (duckdb.Error, pa.ArrowException):
                # Some line is no valid JSON: from now on each is checked first.
                self._distrusted.add((fmt.id, shape.wide))
        try:
            return self._statement(fmt, rows, lines, split=split, shape=shape, filled=filled)
        except FAULTS:
            raise
        except (duckdb.Error, pa.ArrowException):
            if len(rows) == 1:
                # The entry then ends in quarantine as one that no format could read.
                none = _take(lines, np.zeros(0, np.int64))
                return self._statement(fmt, rows[:0], none, split=split, shape=shape, filled=filled)
        half = len(rows) // 2
        index = np.arange(len(rows))
        parts = [(rows[at], _take(lines, index[at])) for at in (slice(0, half), slice(half, None))]
        return pa.concat_tables(
            [self._guarded(fmt, *p, split=split, shape=shape, filled=filled) for p in parts]
        )

    def _statement(
        self,
        fmt: Format,
        rows: NDArray[np.int64],
        lines: Lines,
        *,
        split: bool,
        shape: Shape | None = None,
        filled: Filled = None,
        trusted: bool = False,
    ) -> pa.Table:
        key = (fmt.id, split, shape, trusted, filled)
        sql = self._compiled.get(key)
        if sql is None:
            sql = compile_format(
                fmt,
                forced=self._forced is fmt,
                split=split,
                shape=shape,
                trusted=trusted,
                filled=filled,
            )
            self._compiled[key] = sql
        found = self._engine.run(sql, rows, lines)
        if filled is None or shape is None:
            return found
        return self._habit(fmt, shape).completed(found)

    def shape(self, fmt: Format, lines: Sequence[bytes]) -> Shape | None:
        """Return the shape that at least half of the sampled records have, if there is one."""
        sql = shape_statement(fmt)
        texts = pa.array([line for line in lines if _is_text(line)], pa.large_binary())
        if sql is None or not len(texts):
            return None
        rows = np.arange(len(texts), dtype=np.int64)
        found = self._engine.run(sql, rows, texts.cast(pa.large_string())).to_pylist()
        shape = most_common_shape(fmt, [tuple(row.values()) for row in found])
        if shape is None:
            return None
        return replace(shape, plain=plain_names(fmt, shape, _parsed(lines)))


def _parsed(lines: Sequence[bytes]) -> list[Any]:
    documents = []
    for line in lines:
        try:
            documents.append(json.loads(line))
        except (ValueError, RecursionError):
            continue
    return documents


def _is_text(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _take(lines: Lines, index: NDArray[np.int64]) -> pa.Array:
    taken = lines.take(pa.array(index, pa.int64()))
    if isinstance(taken, pa.ChunkedArray):
        return pa.concat_arrays(taken.chunks) if taken.num_chunks else pa.array([], taken.type)
    return taken


def _raw(lines: pa.Array, rows: NDArray[np.int64], row: int) -> bytes:
    index = int(np.flatnonzero(rows == row)[0])
    text: str = lines[index].as_py()
    return text.encode("utf-8", "surrogatepass").rstrip(b"\r\n")


def _with(found: pa.Table, order: NDArray[np.int64] | int, marks: Sequence[str] | str) -> pa.Table:
    """Attach the position within a rerouted block and the warnings of mended entries."""
    size = len(found)
    position = np.full(size, order) if isinstance(order, int) else np.asarray(order, np.int64)
    found = found.append_column("position", pa.array(position, pa.int64()))
    if marks:
        column = found.column("parse_warnings").to_pylist()
        joined = [
            [*(mark.split(",") if mark else []), *(own or [])]
            for mark, own in zip(marks, column, strict=True)
        ]
        index = found.column_names.index("parse_warnings")
        found = found.set_column(index, "parse_warnings", pa.array(joined, pa.list_(pa.string())))
    return found


def _assemble(tables: list[pa.Table]) -> pa.Table:
    tables = [table for table in tables if len(table)] or tables[:1]
    if not tables:
        return pa.table({"row_no": pa.array([], pa.int64()), "sub_no": pa.array([], pa.int32())})
    schema = tables[0].schema
    records = pa.concat_tables(
        [table if table.schema == schema else table.cast(schema) for table in tables]
    )
    rows = records.column("row_no").to_numpy()
    if len(tables) > 1 or np.any(np.diff(rows) <= 0):
        order = np.lexsort((records.column("position").to_numpy(), rows))
        records = records.take(pa.array(order))
        rows = rows[order]
    first = np.flatnonzero(np.r_[True, np.diff(rows) != 0]) if len(rows) else rows
    counts = np.diff(np.r_[first, len(rows)]) if len(rows) else rows
    sub = np.arange(len(rows)) - np.repeat(first, counts) if len(rows) else rows
    return records.append_column("sub_no", pa.array(sub.astype(np.int32)))


def _checked(records: pa.Table, rejects: list[PartReject], total: int, lines: Lines) -> Projected:
    """Set aside what maps to nothing, and prove that no entry is lost."""
    if "content_state" in records.column_names and len(records):
        hollow = pc.and_(
            pc.equal(records.column("content_state"), "absent"),
            pc.and_(
                pc.is_null(records.column("event_time")), pc.is_null(records.column("request_id"))
            ),
        )
        hollow = truths(hollow)
        for index in np.flatnonzero(hollow).tolist():
            row = records.column("row_no")[index].as_py()
            warnings = records.column("parse_warnings")[index].as_py() or []
            reason, words = Reason.SCHEMA_MISSING_KEY, "neither time nor id nor content was found"
            if "bad_timestamp" in warnings:
                reason, words = Reason.BAD_TIMESTAMP, "no content, and the time is unreadable"
            rejects.append(PartReject(row, reason, words, _entry(lines, row)))
        if hollow.any():
            records = records.filter(pa.array(~hollow))
    seen = np.zeros(total, bool)
    seen[records.column("row_no").to_numpy()] = True
    seen[[part.row_no for part in rejects]] = True
    words = "the entry could not be mapped"
    rejects += [
        PartReject(row, Reason.UNKNOWN_FORMAT, words, _entry(lines, row))
        for row in np.flatnonzero(~seen).tolist()
    ]
    rejects.sort(key=lambda part: part.row_no)
    return Projected(records, rejects)


def _entry(lines: Lines, row: int) -> bytes:
    text: str = lines[row].as_py()
    return text.encode("utf-8", "surrogatepass").rstrip(b"\r\n")


def _diagnose(raw: bytes, max_nesting: int) -> tuple[Reason, str]:
    """Say why an entry is no valid JSON, without quoting it."""
    if not raw.lstrip().startswith((b"{", b"[")):
        return Reason.BAD_JSON, "neither JSON nor a line of a known log"
    depth = nesting(raw)
    if depth > max_nesting:
        return Reason.TOO_DEEP, f"nested {depth:,} deep; the limit is {max_nesting}"
    return Reason.BAD_JSON, "not valid JSON"
