"""Flag records of the same call that was logged twice (mixed exports, retried uploads)."""

from __future__ import annotations

from collections.abc import Sequence

from irkit.case import Case

_REPEATED = """
CREATE OR REPLACE TEMP TABLE repeated AS
WITH twice AS (
  SELECT request_id FROM query_record WHERE request_id IS NOT NULL
  GROUP BY request_id HAVING count(*) > 1),
calls AS (
  SELECT request_id, coalesce(prompt_text_id, '') AS prompt,
    coalesce(response_text_id, '') AS answer, source_id, entry_no,
    min(event_time) AS seen, arg_min(record_id, sub_no) AS head
  FROM query_record WHERE request_id IN (SELECT request_id FROM twice)
  GROUP BY ALL),
ranked AS (
  SELECT *, first_value(head) OVER (PARTITION BY request_id, prompt, answer
    ORDER BY seen NULLS LAST, source_id, entry_no) AS first
  FROM calls)
SELECT * FROM ranked WHERE head <> first
"""


#: Parse warning of a record that a later one of the same id completes.
UNFINISHED = "unfinished_record"

_REVISED = f"""
CREATE OR REPLACE TEMP TABLE repeated AS
WITH calls AS (
  SELECT request_id, source_id, entry_no, arg_min(record_id, sub_no) AS head,
    bool_or(list_contains(coalesce(parse_warnings, []), '{UNFINISHED}')) AS unfinished
  FROM query_record WHERE source_format = ? AND request_id IS NOT NULL GROUP BY ALL),
ranked AS (
  SELECT *, first_value(head) OVER (PARTITION BY request_id
    ORDER BY unfinished, source_id DESC, entry_no DESC) AS last
  FROM calls)
SELECT source_id, entry_no, head, last FROM ranked WHERE head <> last
"""

# The same texts may have made one of them, or a record of another log, point to another already.
_REPOINT = (
    "UPDATE query_record AS r SET duplicate_of = NULL FROM repeated p"
    " WHERE r.record_id = p.last AND r.duplicate_of IN (SELECT head FROM repeated)",
    "UPDATE query_record AS r SET duplicate_of = p.last FROM repeated p"
    " WHERE r.duplicate_of = p.head AND r.record_id <> p.last",
    "UPDATE query_record AS r SET duplicate_of = coalesce(l.duplicate_of, p.last) FROM repeated p"
    " JOIN query_record l ON l.record_id = p.last"
    " WHERE r.source_id = p.source_id AND r.entry_no = p.entry_no",
)


def mark_duplicates(case: Case, revised: Sequence[str] = ()) -> int:
    """Set ``duplicate_of`` on every record whose call was seen before; return their number.

    Same call means same request id *and* same texts: where a gateway takes the id from the client,
    an attacker could otherwise hide all calls but the first by repeating one id.  Earlier means
    earlier event time, then source and entry.  The prompts of one request share its id and are no
    duplicates of one another.  Formats that write a call again as it goes on have one call per id:
    the last of its finished records counts.

    Args:
        case: case open for writing, outside a transaction.
        revised: such formats.
    """
    with case.transaction():
        case.con.execute(
            "UPDATE query_record SET duplicate_of = NULL WHERE duplicate_of IS NOT NULL"
        )
        case.con.execute(_REPEATED)
        case.con.execute(
            "UPDATE query_record SET duplicate_of = r.first FROM repeated r"
            " WHERE query_record.source_id = r.source_id AND query_record.entry_no = r.entry_no"
            " AND query_record.request_id = r.request_id"
            " AND coalesce(query_record.prompt_text_id, '') = r.prompt"
            " AND coalesce(query_record.response_text_id, '') = r.answer"
        )
        for name in revised:
            case.con.execute(_REVISED, [name])
            for statement in _REPOINT:
                case.con.execute(statement)
        case.con.execute("DROP TABLE repeated")
    found = case.rows("SELECT count(*) FROM query_record WHERE duplicate_of IS NOT NULL")
    return int(found[0][0])


def reused_ids(case: Case) -> int:
    """Return how many request ids stand for calls with different texts (a client set the id)."""
    found = case.rows(
        "SELECT count(*) FROM (SELECT request_id FROM query_record WHERE request_id IS NOT NULL"
        " AND duplicate_of IS NULL"
        " AND (prompt_text_id IS NOT NULL OR response_text_id IS NOT NULL)"
        " GROUP BY request_id HAVING count(DISTINCT (coalesce(prompt_text_id, ''),"
        " coalesce(response_text_id, ''))) > 1"
        " AND count(DISTINCT (source_id, entry_no)) > 1)"
    )
    return int(found[0][0])
