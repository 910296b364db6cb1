"""Silent stretches of a log that its own rhythm does not explain.

Two rules, by how much of the rhythm is known.  *Hour-of-day rule*, from three days of events on:
the calls expected in a pause follow from the rate of each hour of the day in this very log; under a
quasi-Poisson model (variance = D x mean, D from Pearson's statistic over hours; McCullagh and
Nelder, Generalized Linear Models, 2nd ed., section 6.2.3) a pause with mu expected calls stays
empty with probability exp(-mu / D).  It is reported where that probability, times the number of
pauses, is below 0.001.  *Pause rule*, for shorter logs: at least six hours, and twenty times the
usual pause.  Unlogged time is unknown, not clean.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

HOUR_RULE = "hour_of_day"
PAUSE_RULE = "usual_pause"

_LEAST_EVENTS = 20
_LEAST_DAYS = 3
#: Shortest pause reported by the hour-of-day rule, hours.
_LEAST_HOURS = 1
_LEVEL = 1e-3
_PAUSE_HOURS = 6
_PAUSE_FACTOR = 20

_SQL = """
WITH event AS (
  SELECT {key} AS source_id, event_time AS moment, epoch(event_time) AS t FROM query_record
  WHERE event_time IS NOT NULL AND {where}),
span AS (
  SELECT source_id, floor(min(t) / 3600)::BIGINT AS low, floor(max(t) / 3600)::BIGINT AS high,
    max(t) - min(t) >= {days} * 86400 AS long FROM event GROUP BY source_id
  HAVING count(*) > {events}),
hourly AS (
  SELECT source_id, floor(t / 3600)::BIGINT AS hour, count(*) AS n
  FROM event SEMI JOIN (SELECT source_id FROM span WHERE long) USING (source_id) GROUP BY ALL),
rate AS (
  SELECT s.source_id, h.hod, any_value(floor((s.high - h.hod) / 24.0)
      - floor((s.low - 1 - h.hod) / 24.0)) AS seen,
    coalesce(sum(y.n), 0) AS n, coalesce(sum(y.n * y.n), 0) AS squares
  FROM span s CROSS JOIN range(24) h(hod)
  LEFT JOIN hourly y ON y.source_id = s.source_id AND y.hour % 24 = h.hod
  WHERE s.long GROUP BY s.source_id, h.hod),
cell AS (
  SELECT source_id, hod, n / seen AS rate, squares, seen,
    sum(n / seen) OVER (PARTITION BY source_id ORDER BY hod) - n / seen AS before,
    sum(n / seen) OVER (PARTITION BY source_id) AS day
  FROM rate),
spread AS (
  SELECT source_id, greatest(1, sum(CASE WHEN rate > 0
      THEN (squares - seen * rate * rate) / rate ELSE 0 END)
    / greatest(1, sum(CASE WHEN rate > 0 THEN seen - 1 ELSE 0 END))) AS d
  FROM cell GROUP BY source_id),
pause AS (
  SELECT e.source_id, lag(moment) OVER w AS since, moment AS until, t - lag(t) OVER w AS length,
    count(*) OVER (PARTITION BY e.source_id) - 1 AS pauses, s.long
  FROM event e JOIN span s USING (source_id)
  WINDOW w AS (PARTITION BY e.source_id ORDER BY t)),
usual AS (
  SELECT source_id, median(length) AS usual FROM pause WHERE NOT long AND length IS NOT NULL
  GROUP BY source_id),
expected AS (
  SELECT p.*, (floor(epoch(until) / 86400) - floor(epoch(since) / 86400)) * u.day
    + u.before + u.rate * (epoch(until) % 3600) / 3600
    - v.before - v.rate * (epoch(since) % 3600) / 3600 AS mu
  FROM pause p
  JOIN cell u ON u.source_id = p.source_id AND u.hod = floor(epoch(until) / 3600)::BIGINT % 24
  JOIN cell v ON v.source_id = p.source_id AND v.hod = floor(epoch(since) / 3600)::BIGINT % 24
  WHERE p.long AND p.length >= {hours} * 3600)
SELECT source_id, since, until, '{hour_rule}' AS rule FROM expected JOIN spread USING (source_id)
WHERE exp(-mu / d) * pauses < {level}
UNION ALL
SELECT source_id, since, until, '{pause_rule}' FROM pause JOIN usual USING (source_id)
WHERE NOT long AND length >= greatest({pause_hours} * 3600, usual * {factor})
ORDER BY source_id, since
"""


@dataclass(frozen=True, slots=True)
class Silence:
    """One silent stretch between two events (UTC, naive), and the rule that finds it unusual."""

    source_id: int
    since: datetime
    until: datetime
    rule: str


def silences(
    con: duckdb.DuckDBPyConnection, sources: tuple[int, int] | None = None
) -> tuple[Silence, ...]:
    """Return silent stretches, by source and time.

    Args:
        con: connection to the case.
        sources: first and last source to look at, each by itself; all as one log by default
            (``source_id`` is then 0).
    """
    sql = _SQL.format(
        key="source_id" if sources else "0",
        where="source_id BETWEEN $low AND $high" if sources else "duplicate_of IS NULL",
        days=_LEAST_DAYS,
        events=_LEAST_EVENTS,
        hours=_LEAST_HOURS,
        level=_LEVEL,
        hour_rule=HOUR_RULE,
        pause_rule=PAUSE_RULE,
        pause_hours=_PAUSE_HOURS,
        factor=_PAUSE_FACTOR,
    )
    bounds = {"low": sources[0], "high": sources[1]} if sources else {}
    return tuple(Silence(int(row[0]), *row[1:]) for row in con.execute(sql, bounds).fetchall())
