"""Group records into sessions: by the id that was logged, else by pauses of the same caller."""

from __future__ import annotations

from irkit.case import Case

#: Callers fall back from credential to address; nothing may be grouped on nothing but a source.
_UNIT = """coalesce(r.credential_id, 'ip:' || r.client_ip, 'user:' || coalesce(r.principal_id,
  r.end_user_id), 'unattributed:' || r.source_id)"""

_KEYS = f"""
WITH base AS (
  SELECT r.record_id, r.source_id, r.entry_no, r.sub_no, r.event_time, r.credential_id,
    r.client_ip, r.session_id, {_UNIT} AS unit
  FROM query_record r
  WHERE r.duplicate_of IS NULL AND r.record_kind <> 'access_only'),
logged AS (
  SELECT *, 'logged' AS kind,
    coalesce(credential_id, 'ip:' || client_ip, '-') || '|' || session_id AS session_key
  FROM base WHERE session_id IS NOT NULL),
spaced AS (
  SELECT *, event_time - lag(event_time) OVER w AS pause
  FROM base WHERE session_id IS NULL
  WINDOW w AS (PARTITION BY unit ORDER BY event_time NULLS LAST, source_id, entry_no, sub_no)),
numbered AS (
  SELECT *, sum(CASE WHEN pause IS NULL OR pause > to_minutes($gap) THEN 1 ELSE 0 END) OVER (
    PARTITION BY unit, event_time IS NULL ORDER BY event_time, source_id, entry_no, sub_no
    ROWS UNBOUNDED PRECEDING) AS run
  FROM spaced),
derived AS (
  SELECT *, 'derived' AS kind, unit || '|~' || coalesce(
    strftime(min(event_time) OVER (PARTITION BY unit, event_time IS NULL,
      CASE WHEN event_time IS NULL THEN 0 ELSE run END), '%Y%m%dT%H%M%S.%fZ'),
    'no-time') AS session_key
  FROM numbered)
SELECT record_id, source_id, entry_no, sub_no, event_time, credential_id, client_ip, kind,
  session_key FROM logged
UNION ALL
SELECT record_id, source_id, entry_no, sub_no, event_time, credential_id, client_ip, kind,
  session_key FROM derived
"""


def derive_sessions(case: Case) -> int:
    """Fill ``session`` and ``record_session``; return the number of sessions.

    Records with a logged session id keep it (key ``credential|id``, since ids are only unique per
    caller).  Others are cut where the same caller pauses longer than the case's
    ``session_gap_minutes`` (key ``caller|~first time``).  Repeated records and access-only records
    belong to no session.
    """
    with case.transaction():
        case.clear("session", "record_session")
        case.con.execute(
            f"CREATE OR REPLACE TEMP TABLE keyed AS {_KEYS}",
            {"gap": case.settings.session_gap_minutes},
        )
        case.con.execute(
            "INSERT INTO record_session SELECT record_id, session_key FROM keyed"
            " ORDER BY session_key, event_time NULLS LAST, source_id, entry_no, sub_no"
        )
        case.con.execute(
            "INSERT INTO session SELECT session_key, any_value(kind),"
            " min(credential_id), arg_min(client_ip, struct_pack(t := event_time, s := source_id,"
            " e := entry_no)), min(event_time), max(event_time), count(*)"
            " FROM keyed GROUP BY session_key ORDER BY session_key"
        )
        case.con.execute("DROP TABLE keyed")
    return int(case.rows("SELECT count(*) FROM session")[0][0])
