"""Tie access-log entries to content by time where no id is shared.

A tie needs both entries to have exactly one possible partner.  Entries are possible partners when
one began (or ended) within :data:`WINDOW` seconds of the other, or lies inside the other's run, and
no fact that both carry (status, token counts, credential, a model name that both logs use) differs.
Equal token counts on both sides make a tie of medium, time alone one of low confidence.  Stretches
with too many entries to tell apart are left alone and counted.
"""

from __future__ import annotations

from collections.abc import Callable

from irkit.case import Case

#: Seconds that the clocks of two systems, and the moments they log, may lie apart.
WINDOW = 2
#: Width of the buckets in which entries are compared, seconds.
_BUCKET = 10
#: Longest run of a call that is looked at, seconds.
_LONGEST = 120
#: Most comparisons within one bucket; in a busier stretch time alone tells nothing.
_MOST = 4096

_ACCESS = """
(client_ip IS NOT NULL OR credential_id IS NOT NULL) AND event_time IS NOT NULL
AND duplicate_of IS NULL AND prompt_text_id IS NULL AND response_text_id IS NULL
AND record_id NOT IN (SELECT other FROM tie)
AND (record_kind = 'access_only' OR source_id NOT IN (SELECT source_id FROM query_record
  WHERE prompt_text_id IS NOT NULL OR response_text_id IS NOT NULL))
"""

_CONTENT = """
(client_ip IS NULL OR credential_id IS NULL) AND event_time IS NOT NULL AND duplicate_of IS NULL
AND (prompt_text_id IS NOT NULL OR response_text_id IS NOT NULL)
AND record_id NOT IN (SELECT keep FROM tie WHERE kind = 'access')
"""

#: Entries with the buckets that they touch; the pairing below joins on bucket and key.
_SPREAD = """
CREATE OR REPLACE TEMP TABLE {name}_at AS
SELECT head, unnest(range(floor((epoch(began) - {window}) / {bucket})::BIGINT,
  floor((least(epoch(coalesce(ended, began)), epoch(began) + {longest}) + {window})
    / {bucket})::BIGINT + 1)) AS bucket, {key} AS key
FROM {name} WHERE {where}
"""

_BUSY = """
CREATE OR REPLACE TEMP TABLE busy AS
WITH c AS (SELECT bucket, key, count(*) AS n FROM content_side_at GROUP BY ALL),
a AS (SELECT bucket, key, count(*) AS n FROM access_side_at GROUP BY ALL)
SELECT bucket, key FROM c JOIN a USING (bucket, key) WHERE c.n * a.n > {most}
"""

_CANDIDATES = """
CREATE OR REPLACE TEMP TABLE candidate AS
WITH crowded AS (
  SELECT head FROM content_side_at SEMI JOIN busy USING (bucket, key)
  UNION ALL SELECT head FROM access_side_at SEMI JOIN busy USING (bucket, key)),
met AS (
  SELECT DISTINCT c.head AS keep, a.head AS other
  FROM content_side_at c JOIN access_side_at a USING (bucket, key)
  WHERE c.head NOT IN (SELECT head FROM crowded) AND a.head NOT IN (SELECT head FROM crowded))
SELECT m.keep, m.other, epoch_ms(a.began) - epoch_ms(c.began) AS offset_ms
FROM met m JOIN content_side c ON c.head = m.keep JOIN access_side a ON a.head = m.other
WHERE (abs(epoch(a.began) - epoch(c.began)) <= {window}
    OR abs(epoch(a.ended) - epoch(c.ended)) <= {window}
    OR (a.ended IS NULL AND epoch(a.began) BETWEEN epoch(c.began) - {window}
      AND epoch(c.ended) + {window})
    OR (c.ended IS NULL AND epoch(c.began) BETWEEN epoch(a.began) - {window}
      AND epoch(a.ended) + {window}))
  AND coalesce(a.status_code = c.status_code, true)
  AND coalesce(a.input_tokens = c.input_tokens, true)
  AND coalesce(a.output_tokens = c.output_tokens, true)
  AND coalesce(a.credential_id = c.credential_id OR a.credential_kind <> c.credential_kind, true)
  AND coalesce(a.model = c.model OR a.model NOT IN (SELECT model FROM both_use)
    OR c.model NOT IN (SELECT model FROM both_use), true)
"""

_MUTUAL = """
INSERT INTO tie SELECT keep, other, 'access', '{method}', '{confidence}', offset_ms, {ord}
FROM candidate
QUALIFY count(*) OVER (PARTITION BY keep) = 1 AND count(*) OVER (PARTITION BY other) = 1
"""

_TOKENS = "input_tokens IS NOT NULL AND output_tokens IS NOT NULL"


def tie(case: Case, facts: Callable[[str], str]) -> int:
    """Add ties by time to the temporary table ``tie``; return how many entries were ambiguous.

    Args:
        case: the case, inside a transaction, with ties by id in ``tie``.
        facts: SELECT of one row per entry under a condition.
    """
    if not case.rows(f"SELECT 1 FROM query_record WHERE {_ACCESS} LIMIT 1"):
        return 0
    con = case.con
    con.execute(f"CREATE OR REPLACE TEMP TABLE access_side AS {facts(_ACCESS)}")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE content_side AS SELECT * FROM ({facts(_CONTENT)})"
        " WHERE source_id NOT IN (SELECT source_id FROM access_side)"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE both_use AS SELECT model FROM access_side"
        " INTERSECT SELECT model FROM content_side"
    )
    con.execute("CREATE OR REPLACE TEMP TABLE open_end (head VARCHAR)")
    steps = (
        ("time_window_tokens", "medium", _TOKENS, "input_tokens || '/' || output_tokens"),
        ("time_window", "low", "true", "''"),
    )
    for number, (method, confidence, where, key) in enumerate(steps):
        free = "head NOT IN (SELECT keep FROM tie WHERE kind = 'access' AND ord >= 10"
        free += " UNION ALL SELECT other FROM tie WHERE ord >= 10)"
        for name in ("access_side", "content_side"):
            con.execute(
                _SPREAD.format(
                    name=name,
                    key=key,
                    where=f"{where} AND {free}",
                    window=WINDOW,
                    bucket=_BUCKET,
                    longest=_LONGEST,
                )
            )
        con.execute(_BUSY.format(most=_MOST))
        con.execute(_CANDIDATES.format(window=WINDOW))
        con.execute(_MUTUAL.format(method=method, confidence=confidence, ord=10 + number))
        con.execute(
            "INSERT INTO open_end SELECT keep FROM candidate UNION ALL SELECT head FROM"
            " content_side_at SEMI JOIN busy USING (bucket, key)"
        )
    found = case.rows(
        "SELECT count(DISTINCT head) FROM open_end WHERE head NOT IN (SELECT keep FROM tie)"
    )
    for name in ("access_side", "content_side", "access_side_at", "content_side_at"):
        con.execute(f"DROP TABLE {name}")
    for name in ("both_use", "busy", "candidate", "open_end"):
        con.execute(f"DROP TABLE {name}")
    return int(found[0][0])
