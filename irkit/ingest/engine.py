"""The in-memory database that maps blocks: locked down, one relation, prepared statements."""

from __future__ import annotations

import threading
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from irkit.ingest.bodies import BODY_MACROS
from irkit.ingest.macros import MACROS

#: Errors that no entry causes: a stop, or a declaration that cannot be compiled.
FAULTS = (duckdb.InterruptException, duckdb.BinderException, duckdb.ParserException)
#: Bytes of text per record batch: bounds what the JSON functions hold at once.
_BATCH = 4 << 20
_ROWS = 2048
_MEMORY = "640MB"
#: A line of tens of megabytes needs many times its size; only one is mapped at a time.
_LARGE_MEMORY = "1400MB"
_LARGE = threading.Lock()

#: A string array in one or many pieces (the Arrow library carries no types of its own).
Lines: TypeAlias = Any


class _Relation:
    """What the database sees as ``block``: whatever table is current when a statement runs.

    Registering a new table for every block would invalidate prepared statements, and planning one
    takes as long as mapping several megabytes.
    """

    def __init__(self) -> None:
        self.table = batched(np.zeros(0, np.int64), pa.array([], pa.large_string()))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


class Engine:
    """Runs statements over relation ``block(row_no BIGINT, line VARCHAR)``; one per thread."""

    def __init__(self, memory: str = _MEMORY) -> None:
        self._memory = memory
        self._con = duckdb.connect(
            ":memory:", config={"threads": 1, "memory_limit": memory, "temp_directory": ""}
        )
        # Times without a zone are taken as UTC, and no setting of the machine may change that.
        self._con.execute("SET TimeZone='UTC'")
        for macro in (*MACROS, *BODY_MACROS):
            self._con.execute(macro)
        for setting in ("enable_external_access=false", "lock_configuration=true"):
            self._con.execute(f"SET {setting}")
        self._relation = _Relation()
        self._con.register("block", self._relation)
        self._prepared: dict[str, str] = {}

    def run(self, sql: str, rows: NDArray[np.int64], lines: Lines) -> pa.Table:
        """Run a statement over lines; it is prepared on first use.

        Where memory does not suffice for all lines at once, they are run in parts, in order.

        Raises:
            duckdb.Error: the statement cannot be compiled, or a line defeats it.
        """
        try:
            return self._run(sql, rows, lines)
        except duckdb.OutOfMemoryException:
            if len(rows) <= 1 and self._memory == _LARGE_MEMORY:
                raise
        if len(rows) > 1:
            half = len(rows) // 2
            parts = [(rows[:half], lines.slice(0, half)), (rows[half:], lines.slice(half))]
            return pa.concat_tables([self.run(sql, *part) for part in parts])
        with _LARGE:
            large = Engine(_LARGE_MEMORY)
            try:
                return large.run(sql, rows, lines)
            finally:
                large.close()

    def _run(self, sql: str, rows: NDArray[np.int64], lines: Lines) -> pa.Table:
        name = self._prepared.get(sql)
        if name is None:
            name = f"statement_{len(self._prepared)}"
            self._con.execute(f"PREPARE {name} AS {sql}")
            self._prepared[sql] = name
        empty = self._relation.table.slice(0, 0)
        self._relation.table = batched(rows, lines)
        try:
            return self._con.execute(f"EXECUTE {name}").to_arrow_table()
        finally:
            self._relation.table = empty

    def check(self, sql: str) -> None:
        """Compile a statement without running it.

        Raises:
            duckdb.Error: it cannot be compiled.
        """
        self._con.execute(f"EXPLAIN {sql}").fetchall()

    def valid(self, lines: Lines) -> NDArray[np.bool_]:
        """Tell which lines are valid JSON."""
        numbers = np.arange(len(lines), dtype=np.int64)
        found = self.run("SELECT json_valid(line) AS ok FROM block", numbers, lines)
        return truths(found.column("ok"))

    def interrupt(self) -> None:
        """Stop a running statement (from another thread)."""
        self._con.interrupt()

    def close(self) -> None:
        """Free the database."""
        self._con.close()


def batched(rows: NDArray[np.int64], lines: Lines) -> pa.Table:
    """Return ``block`` in record batches of bounded size."""
    table = pa.table({"row_no": pa.array(rows, pa.int64()), "line": lines})
    size = max(1, len(rows))
    step = max(1, min(_ROWS, int(_BATCH * size / max(1, table.nbytes))))
    return pa.Table.from_batches(table.to_batches(max_chunksize=step), table.schema)


def truths(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return a boolean column as an array; null counts as false."""
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)
