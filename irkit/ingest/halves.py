"""Join requests and responses that were logged as two entries (batch jobs, model-server loggers).

The response's record becomes the whole call: it gets the request's messages and parameters.  The
request's record stays and points to it (``duplicate_of``), so that every entry can still be traced
and no call is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from irkit.case import Case
from irkit.ingest.format import Format

JOINED = "joined_with_request"

#: What only the request tells; who called and when stays as the response's entry has it.
_TAKEN = (
    *("model_requested", "temperature", "top_p", "n", "best_of", "seed", "max_tokens", "stop"),
    *("logprobs_requested", "top_logprobs", "echo", "logit_bias", "logit_bias_size", "stream"),
    *("params_json", "system_text_id", "prompt_text_id", "prompt_chars"),
)

_HALVES = """
CREATE OR REPLACE TEMP TABLE halves AS
WITH asked AS (
  SELECT correlation_id, min(record_id) AS question FROM query_record
  WHERE source_format = ? AND correlation_id IS NOT NULL AND prompt_text_id IS NOT NULL
    AND response_text_id IS NULL AND duplicate_of IS NULL
  GROUP BY correlation_id HAVING count(*) = 1),
answered AS (
  SELECT correlation_id, min(record_id) AS answer FROM query_record
  WHERE source_format = ? AND correlation_id IS NOT NULL AND prompt_text_id IS NULL
    AND response_text_id IS NOT NULL AND duplicate_of IS NULL
  GROUP BY correlation_id HAVING count(*) = 1)
SELECT question, answer FROM asked JOIN answered USING (correlation_id)
"""


def join_halves(case: Case, formats: Iterable[Format]) -> int:
    """Join all halves that one id names without doubt; return the number of joined calls.

    Args:
        case: the case, after duplicates were marked.
        formats: known formats; those with ``answers_of`` hold responses.
    """
    pairs = [(fmt.answers_of, fmt.id) for fmt in formats if fmt.answers_of]
    total = 0
    with case.transaction():
        _part(case)
        for asks, answers in pairs:
            case.con.execute(_HALVES, [asks, answers])
            found = int(case.rows("SELECT count(*) FROM halves")[0][0])
            if found:
                _join(case)
                total += found
            case.con.execute("DROP TABLE halves")
    return total


def _join(case: Case) -> None:
    taken = ", ".join(f"{name} = coalesce(query_record.{name}, q.{name})" for name in _TAKEN)
    case.con.execute(
        f"UPDATE query_record SET {taken}, endpoint = coalesce(query_record.endpoint, q.endpoint),"
        " operation = coalesce(query_record.operation, q.operation), turn_count = q.turn_count,"
        " params_known = q.params_known, content_state = 'full',"
        f" parse_warnings = list_append(query_record.parse_warnings, '{JOINED}')"
        " FROM halves h JOIN query_record q ON q.record_id = h.question"
        " WHERE query_record.record_id = h.answer"
    )
    case.con.execute(
        "INSERT INTO query_message SELECT h.answer, r.source_id, m.pos, m.role, m.text_id"
        " FROM halves h JOIN query_message m ON m.record_id = h.question"
        " JOIN query_record r ON r.record_id = h.answer ORDER BY h.answer, m.pos"
    )
    case.con.execute(
        "UPDATE query_record SET duplicate_of = h.answer FROM halves h"
        " WHERE query_record.record_id = h.question"
    )


def _part(case: Case) -> None:
    """Undo earlier joins, so that joining again from other evidence starts afresh."""
    whose = f"list_contains(parse_warnings, '{JOINED}')"
    if not case.rows(f"SELECT 1 FROM query_record WHERE {whose} LIMIT 1"):
        return
    case.con.execute(
        f"DELETE FROM query_message WHERE record_id IN (SELECT record_id FROM query_record"
        f" WHERE {whose})"
    )
    emptied = ", ".join(f"{name} = NULL" for name in _TAKEN)
    case.con.execute(
        f"UPDATE query_record SET {emptied}, turn_count = 0, params_known = false,"
        " content_state = 'response_only', parse_warnings = list_filter(parse_warnings,"
        f" lambda w: w <> '{JOINED}') WHERE {whose}"
    )
