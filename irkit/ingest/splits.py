"""Put together messages that a gateway cut over several log entries.

Azure API Management cuts messages above 32 KB into numbered entries (Azure API Management
documentation, "Log token usage, prompts, and completions for LLM APIs"; limit as of 2025-05).  The
first entry of a call gets the whole text and the others point to it.  A call with a missing part,
or whose parts do not give JSON, is left as it was logged, marked as truncated.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa

from irkit.case import Case
from irkit.ingest.engine import Engine
from irkit.ingest.entries import Chunk
from irkit.ingest.format import Format, literal
from irkit.ingest.registry import Registry
from irkit.ingest.reread import Rewriter, chosen, reader_of
from irkit.ingest.routing import Router

#: Parse warning of a record whose text comes from several entries.
WHOLE = "put_together_from_parts"

_MEMBERS = """
CREATE OR REPLACE TEMP TABLE split_member AS
SELECT source_id, entry_no, sub_no, record_id, correlation_id, coalesce(request_id, '') AS request,
  list_contains(parse_warnings, $whole) AS was_head,
  count(*) OVER (PARTITION BY correlation_id, coalesce(request_id, '')) AS parts
FROM query_record WHERE source_format = $format AND correlation_id IS NOT NULL
QUALIFY parts > 1 OR was_head
"""

_ASSEMBLED = """
CREATE OR REPLACE TEMP TABLE split_whole AS
WITH part AS (
  SELECT l.*, m.record_id, m.correlation_id, m.request,
    TRY_CAST(json_extract_string(l.line, {order}) AS BIGINT) AS seq
  FROM split_line l JOIN split_member m USING (source_id, entry_no, sub_no)),
once AS (
  SELECT * FROM part WHERE seq IS NOT NULL QUALIFY row_number() OVER (
    PARTITION BY correlation_id, request, seq ORDER BY record_id) = 1),
whole AS (
  SELECT correlation_id, request, arg_min(record_id, seq) AS head, arg_min(line, seq) AS line,
    {fields}
  FROM once GROUP BY correlation_id, request
  HAVING count(*) > 1 AND max(seq) - min(seq) + 1 = count(*) AND min(seq) <= 1)
SELECT correlation_id, request, head,
  json_merge_patch(line::JSON, json_object({object}))::VARCHAR AS line
FROM whole WHERE {valid}
"""


def put_together(case: Case, known: Registry) -> int:
    """Give the first entry of each cut call its whole text; return the number of such calls.

    Args:
        case: case open for writing, outside a transaction.
        known: known formats; those with ``part_order`` cut their messages.
    """
    total = 0
    for fmt in known.formats:
        if fmt.part_order:
            total += _format(case, known, fmt)
    return total


def tie_parts(case: Case) -> None:
    """Have the other parts of each whole call point to it; call after duplicates were marked."""
    found = case.rows(
        "SELECT 1 FROM query_record WHERE list_contains(parse_warnings, ?) LIMIT 1", [WHOLE]
    )
    if not found:
        return
    case.con.execute(
        "CREATE OR REPLACE TEMP TABLE split_tie AS SELECT h.record_id AS head, h.source_id,"
        " p.record_id AS part FROM query_record h JOIN query_record p"
        " ON p.source_format = h.source_format AND p.correlation_id = h.correlation_id"
        " AND p.request_id IS NOT DISTINCT FROM h.request_id AND p.record_id <> h.record_id"
        " WHERE list_contains(h.parse_warnings, ?)",
        [WHOLE],
    )
    case.con.execute(
        "UPDATE query_record AS r SET duplicate_of = t.head FROM split_tie t"
        " WHERE r.record_id = t.part"
    )
    case.con.execute(
        "INSERT INTO record_link SELECT head, source_id, part, 'part', 'sequence_number', 'high',"
        " NULL, [] FROM split_tie ORDER BY head, part"
    )
    case.con.execute("DROP TABLE split_tie")


def _format(case: Case, known: Registry, fmt: Format) -> int:
    con = case.con
    con.execute(_MEMBERS, {"whole": WHOLE, "format": fmt.id})
    sources = [
        int(row[0])
        for row in case.rows("SELECT DISTINCT source_id FROM split_member ORDER BY source_id")
    ]
    if not sources:
        con.execute("DROP TABLE split_member")
        return 0
    con.execute(
        "CREATE OR REPLACE TEMP TABLE split_line (source_id INTEGER, entry_no BIGINT,"
        " sub_no INTEGER, line VARCHAR)"
    )
    engine = Engine()
    router = Router(known, engine)
    rewriter = Rewriter(case, known)
    try:
        for source in sources:
            for chunk in chosen(reader_of(case, source), _numbers(case, source)):
                _keep(con, router, chunk)
        con.execute(_statement(fmt))
        for source in sources:
            numbers = _numbers(case, source)
            chunks = chosen(reader_of(case, source), numbers)
            rewriter.entries(source, numbers, _filled(con, chunks), "parts put together")
        con.execute(
            "UPDATE query_record AS r SET parse_warnings = list_append(r.parse_warnings, ?)"
            " FROM split_whole w WHERE r.record_id = w.head",
            [WHOLE],
        )
        found = case.rows("SELECT count(*) FROM split_whole")[0][0]
    finally:
        rewriter.close()
        engine.close()
        for name in ("split_member", "split_line", "split_whole"):
            con.execute(f"DROP TABLE IF EXISTS {name}")
    return int(found)


def _statement(fmt: Format) -> str:
    """Return the statement that joins the parts of each call.

    Parts are either pieces of one JSON text, or whole JSON lists of the messages that they hold.
    """
    fields, names, valid = [], [], []
    for number, path in enumerate(fmt.part_fields):
        text = f"json_extract_string(line, {literal(path)})"
        own = f"nullif({text}, '')"
        fields.append(
            f"coalesce(string_agg({own}, '' ORDER BY seq), '') AS joined_{number},"
            f" bool_and({own} IS NULL OR (json_valid({own}) AND starts_with(ltrim({own}), '[')))"
            f" AS apart_{number},"
            f" '[' || coalesce(string_agg(regexp_extract({own}, '^\\s*\\[(.*)\\]\\s*$', 1, 's'),"
            f" ',' ORDER BY seq) FILTER (length({own}) > 2), '') || ']' AS listed_{number}"
        )
        whole = f"CASE WHEN apart_{number} THEN listed_{number} ELSE joined_{number} END"
        names.append(f"{literal(path.removeprefix('$.'))}, {whole}")
        valid.append(f"(joined_{number} = '' OR json_valid({whole}))")
    return _ASSEMBLED.format(
        order=literal(fmt.part_order),
        fields=", ".join(fields),
        object=", ".join(names),
        valid=" AND ".join(valid),
    )


def _numbers(case: Case, source: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    rows = case.rows(
        "SELECT DISTINCT entry_no FROM split_member WHERE source_id = ? ORDER BY entry_no", [source]
    )
    return np.array([row[0] for row in rows], np.int64)


def _keep(con: duckdb.DuckDBPyConnection, router: Router, chunk: Chunk) -> None:
    """Store the records of a chunk's entries, unwrapped, in the order of their sub-numbers."""
    if not len(chunk.lines):
        return
    routed = router.route(np.arange(len(chunk.lines), dtype=np.int64), chunk.lines)
    rows = routed.rows
    within = np.arange(len(rows)) - np.searchsorted(rows, rows)
    table = pa.table(
        {
            "source_id": pa.array(np.full(len(rows), chunk.source_id, np.int32)),
            "entry_no": pa.array(chunk.entry_no[rows]),
            "sub_no": pa.array(within.astype(np.int32)),
            "line": routed.lines,
        }
    )
    con.register("split_rows", table)
    try:
        con.execute("INSERT INTO split_line SELECT * FROM split_rows")
    finally:
        con.unregister("split_rows")


def _filled(con: duckdb.DuckDBPyConnection, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield the same entries with the whole text where the first part was."""
    for chunk in chunks:
        found = con.execute(
            "SELECT l.entry_no, list(coalesce(w.line, l.line) ORDER BY l.sub_no) FROM split_line l"
            " LEFT JOIN split_member m USING (source_id, entry_no, sub_no)"
            " LEFT JOIN split_whole w ON w.head = m.record_id"
            " WHERE l.source_id = ? AND l.entry_no IN (SELECT unnest(?)) GROUP BY l.entry_no"
            " HAVING count(w.head) > 0",
            [chunk.source_id, chunk.entry_no.tolist()],
        ).fetchall()
        lines = chunk.lines.to_pylist()
        places = {int(number): place for place, number in enumerate(chunk.entry_no.tolist())}
        for number, records in found:
            one = len(records) == 1
            lines[places[int(number)]] = records[0] if one else f"[{','.join(records)}]"
        chunk.lines = pa.array(lines, pa.large_string())
        yield chunk
