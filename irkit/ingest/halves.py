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
    *("params_json", "system_text_id", "prompt_text_id", "prompt_chars", "endpoint", "operation"),
)

#: Kind of the link between the two, and what found it.
KIND, METHOD = "request", "correlation_id"

_GIVEN = ", ".join(
    f"CASE WHEN a.{name} IS NULL AND q.{name} IS NOT NULL THEN '{name}' END" for name in _TAKEN
)
_HALVES = f"""
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
SELECT question, answer, a.source_id, list_filter([{_GIVEN},
    CASE WHEN q.params_known AND a.params_known IS DISTINCT FROM true THEN 'params_known' END],
    lambda x: x IS NOT NULL) AS filled
FROM asked JOIN answered USING (correlation_id) JOIN query_record q ON q.record_id = question
JOIN query_record a ON a.record_id = answer
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
        f"UPDATE query_record SET {taken}, turn_count = q.turn_count, content_state = 'full',"
        " params_known = coalesce(query_record.params_known, false)"
        " OR coalesce(q.params_known, false),"
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
    case.con.execute(
        f"INSERT INTO record_link SELECT answer, source_id, question, '{KIND}', '{METHOD}', 'high',"
        " NULL, filled FROM halves ORDER BY answer"
    )


def part_halves(case: Case) -> None:
    """Undo earlier joins, so that joining again from other evidence starts afresh.

    Args:
        case: the case inside a transaction, before any other link is taken back.
    """
    joined = f"SELECT record_id FROM record_link WHERE kind = '{KIND}'"
    if not case.rows(f"{joined} LIMIT 1"):
        return
    case.con.execute(f"DELETE FROM query_message WHERE record_id IN ({joined})")
    emptied = ", ".join(
        f"{name} = CASE WHEN list_contains(l.filled, '{name}') THEN NULL ELSE r.{name} END"
        for name in _TAKEN
    )
    case.con.execute(
        f"UPDATE query_record AS r SET {emptied}, turn_count = 0, params_known ="
        " r.params_known AND NOT list_contains(l.filled, 'params_known'),"
        " content_state = 'response_only', parse_warnings = list_filter(r.parse_warnings,"
        f" lambda w: w <> '{JOINED}') FROM record_link l"
        f" WHERE l.kind = '{KIND}' AND l.record_id = r.record_id"
    )
    case.con.execute(f"DELETE FROM record_link WHERE kind = '{KIND}'")
