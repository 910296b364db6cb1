"""Read lines of plain text that hold a record: server logs that are no JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from irkit.ingest.engine import FAULTS, Engine
from irkit.ingest.format import TextLines, literal

#: Longer lines are no access log, and a pattern over them would cost too much.
_MAX_LINE = 1 << 20


class TextReader:
    """Turns known text lines into JSON objects.

    Args:
        kinds: declarations in the order in which they are tried.
        engine: runs the patterns.
    """

    def __init__(self, kinds: Sequence[TextLines], engine: Engine) -> None:
        self._kinds = kinds
        self._engine = engine
        cases = " ".join(
            f"WHEN regexp_full_match(line, {literal(kind.pattern)}) THEN {number}"
            for number, kind in enumerate(kinds)
        )
        values = " ".join(
            f"WHEN {number} THEN to_json(regexp_extract(line, {literal(kind.pattern)},"
            f" [{', '.join(literal(name) for name in kind.names)}]))::VARCHAR"
            for number, kind in enumerate(kinds)
        )
        self._sql = (
            "WITH bare AS (SELECT row_no, rtrim(line, chr(13) || chr(10)) AS line FROM block),"
            f" src AS (SELECT row_no, line, CASE WHEN length(line) > {_MAX_LINE} THEN -1"
            f" {cases} ELSE -1 END AS kind FROM bare)"
            f" SELECT row_no, kind, CASE kind {values} END AS members FROM src"
            if kinds
            else ""
        )

    def check(self) -> None:
        """Compile all patterns.

        Raises:
            duckdb.Error: one of them cannot be compiled.
        """
        if self._kinds:
            self._engine.run(self._sql, np.arange(1, dtype=np.int64), pa.array(["x"]))

    def read(self, lines: pa.Array) -> list[bytes | None]:
        """Return the object of each line as JSON, or None where the line is of no known kind."""
        if not self._kinds or not len(lines):
            return [None] * len(lines)
        try:
            found = self._engine.run(self._sql, np.arange(len(lines), dtype=np.int64), lines)
        except FAULTS:
            raise
        except duckdb.Error:
            if len(lines) == 1:
                return [None]
            half = len(lines) // 2
            return [*self.read(lines.slice(0, half)), *self.read(lines.slice(half))]
        pairs = zip(
            found.column("kind").to_pylist(), found.column("members").to_pylist(), strict=True
        )
        return [self._object(kind, members) if members else None for kind, members in pairs]

    def _object(self, number: int, members: str) -> bytes | None:
        kind = self._kinds[number]
        # An optional part that is not there is an empty group.
        record = {key: value for key, value in json.loads(members).items() if value != ""}
        try:
            told = kind.finish(record) if kind.finish is not None else record
            text = json.dumps({"text_line": kind.id, **told}, ensure_ascii=False)
            return text.encode()
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None
