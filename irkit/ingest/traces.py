"""Set records that sum up a whole trace aside where the trace's calls are in the evidence.

Such a record repeats the texts of its calls.  Alone it counts as a call; beside its calls it only
lends each of them what it alone tells (who asked, in which session).
"""

from __future__ import annotations

from collections.abc import Iterable

from irkit.case import Case
from irkit.ingest.format import Format

_CALL = "coalesce(request_id, provider_response_id, correlation_id, sub_no::VARCHAR)"

_TIES = f"""
INSERT INTO trace_tie
WITH heads AS (
  SELECT source_id, entry_no, {_CALL} AS call_id, any_value(source_format) AS kind,
    any_value(trace_id) AS trace_id, arg_min(record_id, sub_no) AS head, min(event_time) AS began
  FROM query_record WHERE source_format IN ($whole, $part) AND trace_id IS NOT NULL
    AND duplicate_of IS NULL GROUP BY source_id, entry_no, call_id)
SELECT p.head AS keep, w.head AS other, epoch_ms(w.began) - epoch_ms(p.began) AS offset_ms
FROM heads w JOIN heads p USING (trace_id) WHERE w.kind = $whole AND p.kind = $part
"""


def set_aside(case: Case, known: Iterable[Format]) -> None:
    """Have each such record point to the first of its calls; inside a transaction."""
    case.con.execute(
        "CREATE OR REPLACE TEMP TABLE trace_tie (keep VARCHAR, other VARCHAR, offset_ms DOUBLE)"
    )
    for fmt in known:
        if fmt.whole_of:
            case.con.execute(_TIES, {"whole": fmt.id, "part": fmt.whole_of})
    case.con.execute(
        "UPDATE query_record AS r SET duplicate_of = t.keep FROM (SELECT other, min(keep) AS keep"
        " FROM trace_tie GROUP BY other) t WHERE t.other = r.record_id"
    )


def tie(case: Case) -> None:
    """Add the ties found by :func:`set_aside` to the temporary table ``tie``."""
    case.con.execute(
        "INSERT INTO tie SELECT keep, other, 'trace', 'trace_id', 'high', offset_ms, 9"
        " FROM trace_tie WHERE keep NOT IN (SELECT other FROM tie) ORDER BY keep, other"
    )
    case.con.execute("DROP TABLE trace_tie")
