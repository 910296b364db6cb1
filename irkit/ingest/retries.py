"""Mark calls that repeat an earlier one: the same caller, prompt and parameters within a minute.

Clients ask again after an error or a slow answer.  Such calls happened and their answers count, so
nothing is dropped; a link (kind ``retry``) leads from the first call of a run to each repetition.
Detectors count repetitions out by themselves, by the same rule (:mod:`irkit.analyzers.sequences`).
"""

from __future__ import annotations

from irkit.case import Case

RETRY = "retry"
#: Longest time between a call and its repetition, seconds; the detectors' own limit.
SECONDS = 60

_CALLER = "coalesce('c' || credential_id, 'i' || client_ip)"
_PARAMS = (
    *("temperature", "top_p", "n", "max_tokens", "logprobs_requested", "top_logprobs", "echo"),
    *("logit_bias::VARCHAR", "seed", "turn_count", "system_text_id", "model_requested"),
)

# Only callers that sent one prompt more than once are looked at in order of time.
_MARK = f"""
INSERT INTO record_link
WITH asked AS (
  SELECT record_id, source_id, entry_no, sub_no, {_CALLER} AS caller, prompt_text_id AS prompt,
    hash({", ".join(_PARAMS)}) AS params, event_time
  FROM query_record WHERE duplicate_of IS NULL AND record_kind <> 'access_only'
    AND prompt_text_id IS NOT NULL AND event_time IS NOT NULL AND {_CALLER} IS NOT NULL),
again AS (
  SELECT a.* FROM asked a SEMI JOIN (SELECT caller, prompt, params FROM asked GROUP BY ALL
    HAVING count(*) > 1) USING (caller, prompt, params)),
cut AS (
  SELECT *, coalesce(epoch(event_time) - epoch(lag(event_time) OVER run) > {SECONDS}, true)
    AS begins
  FROM again WINDOW run AS (PARTITION BY caller, prompt, params
    ORDER BY event_time, source_id, entry_no, sub_no)),
numbered AS (
  SELECT *, sum(begins::INT) OVER (PARTITION BY caller, prompt, params
    ORDER BY event_time, source_id, entry_no, sub_no ROWS UNBOUNDED PRECEDING) AS run FROM cut),
led AS (
  SELECT *, first_value(record_id) OVER w AS head, first_value(source_id) OVER w AS head_source,
    first_value(event_time) OVER w AS head_time
  FROM numbered WINDOW w AS (PARTITION BY caller, prompt, params, run
    ORDER BY event_time, source_id, entry_no, sub_no))
SELECT head, head_source, record_id, '{RETRY}', 'same_prompt', 'medium',
  epoch_ms(event_time) - epoch_ms(head_time), [] FROM led WHERE NOT begins
ORDER BY head, event_time, record_id
"""


def mark_retries(case: Case) -> int:
    """Link every repetition to the call that it repeats; return their number.

    Args:
        case: the case inside a transaction, after all other links were made anew.
    """
    case.con.execute(f"DELETE FROM record_link WHERE kind = '{RETRY}'")
    case.con.execute(_MARK)
    found = case.rows("SELECT count(*) FROM record_link WHERE kind = ?", [RETRY])
    return int(found[0][0])
