"""Activity over time: the whole span of a case or a part of it, counted in round buckets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from irkit.case.views.kept import keep, kept
from irkit.case.views.leaks import LEAKS
from irkit.case.views.times import utc

if TYPE_CHECKING:
    import duckdb

_DAY = 86_400
#: Bucket widths of the timeline in seconds: the steps that people read as round.
_WIDTHS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200),
    *(_DAY * days for days in (1, 2, 7, 14, 30, 90, 365, 3650, 36500)),
)
#: No part of the timeline is shorter, in seconds.
_SHORTEST = 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class TimeSpan(NamedTuple):
    """A part of time, UTC; ``end`` does not belong to it."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it lasts."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class TimelineBucket:
    """Activity in one span of time starting at ``start``."""

    start: datetime
    queries: int
    flagged: int
    exposures: int


@dataclass(frozen=True, slots=True)
class Activity:
    """Calls over time.

    Attributes:
        whole: from the first dated call to the last; None where no call has a time.
        shown: what the buckets cover, on their boundaries; None where no call has a time.
        buckets: consecutive, without holes.
        bucket_seconds: how long each lasts.
        undated: calls that have no time and so stand in no bucket.
    """

    whole: TimeSpan | None
    shown: TimeSpan | None
    buckets: tuple[TimelineBucket, ...]
    bucket_seconds: int
    undated: int

    @property
    def part(self) -> bool:
        """True where dated calls lie outside of what is shown."""
        return (
            self.whole is not None
            and self.shown is not None
            and (self.shown.start > self.whole.start or self.shown.end < self.whole.end)
        )

    @property
    def said(self) -> TimeSpan | None:
        """What is shown, without the empty rest of the first and the last bucket."""
        if self.whole is None or self.shown is None:
            return None
        return TimeSpan(
            max(self.whole.start, self.shown.start), min(self.whole.end - _TICK, self.shown.end)
        )

    @property
    def queries(self) -> int:
        """Calls in what is shown."""
        return sum(bucket.queries for bucket in self.buckets)

    @property
    def flagged(self) -> int:
        """Calls of flagged actors in what is shown."""
        return sum(bucket.flagged for bucket in self.buckets)

    @property
    def exposures(self) -> int:
        """Passages leaked in what is shown."""
        return sum(bucket.exposures for bucket in self.buckets)


#: Records of units that were selected (tier A or B), from their onset's lower bound on.
FLAGGED_RECORDS = """
WITH unit AS (
  SELECT unit_kind, unit, min(coalesce(onset_low, onset, TIMESTAMP '0001-01-01')) AS since
  FROM finding WHERE tier IN ('A', 'B') GROUP BY unit_kind, unit)
SELECT r.record_id, r.event_time FROM query_record r
JOIN unit u ON u.unit_kind = 'credential' AND u.unit = r.credential_id
WHERE r.duplicate_of IS NULL AND coalesce(r.event_time >= u.since, true)
UNION
SELECT r.record_id, r.event_time FROM query_record r
JOIN unit u ON u.unit_kind = 'source_ip' AND u.unit = r.client_ip
WHERE r.duplicate_of IS NULL AND coalesce(r.event_time >= u.since, true)
UNION
SELECT r.record_id, r.event_time FROM query_record r
JOIN record_session s USING (record_id)
JOIN unit u ON u.unit_kind = 'session' AND u.unit = s.session_key
WHERE r.duplicate_of IS NULL AND coalesce(r.event_time >= u.since, true)
"""


def keep_flagged(con: duckdb.DuckDBPyConnection) -> None:
    """Keep the calls of flagged actors; the first screen counts them twice."""
    keep(con, "flagged_records", FLAGGED_RECORDS)


def flagged_queries(con: duckdb.DuckDBPyConnection) -> int:
    """Count the calls of flagged actors, dated or not."""
    row = con.execute(
        f"SELECT count(*) FROM ({kept(con, 'flagged_records', FLAGGED_RECORDS)})"
    ).fetchone()
    return int(row[0]) if row else 0


def timeline(
    con: duckdb.DuckDBPyConnection, buckets: int, span: TimeSpan | None = None
) -> Activity:
    """Count calls, calls of flagged actors and leaked passages per bucket of a round width.

    Args:
        con: connection to the case.
        buckets: how many buckets there is room for.
        span: which part of time; the whole where None.

    Returns:
        At most ``buckets`` buckets (two, where there is room for fewer).
    """
    row = con.execute(
        "SELECT min(event_time), max(event_time), count(*) - count(event_time)"
        " FROM query_record WHERE duplicate_of IS NULL"
    ).fetchone()
    first, last, undated = (utc(row[0]), utc(row[1]), int(row[2])) if row else (None, None, 0)
    if first is None or last is None:
        return Activity(None, None, (), 0, undated)
    whole = TimeSpan(first, _later(last, _TICK))
    wanted = _within(span or whole, whole)
    seconds = max(wanted.length.total_seconds(), 1.0)
    # A span that begins within a bucket touches one more than its length holds.
    width = next((w for w in _WIDTHS if seconds / w <= max(buckets - 1, 1)), _WIDTHS[-1])
    low = (wanted.start - _EPOCH) // timedelta(seconds=width)
    high = -((_EPOCH - wanted.end) // timedelta(seconds=width))
    counted = _counted(con, width, low, high)
    series = tuple(
        TimelineBucket(_at(bucket * width), *counted.get(bucket, (0, 0, 0)))
        for bucket in range(low, high)
    )
    return Activity(whole, TimeSpan(_at(low * width), _at(high * width)), series, width, undated)


def _counted(
    con: duckdb.DuckDBPyConnection, width: int, low: int, high: int
) -> dict[int, tuple[int, int, int]]:
    """Count per bucket of ``width`` seconds, buckets ``low`` to ``high`` (not included)."""
    flagged = kept(con, "flagged_records", FLAGGED_RECORDS)
    found = con.execute(
        f"""
        WITH seen AS (
          SELECT event_time AS moment, 1 AS q, 0 AS f, 0 AS x
          FROM query_record WHERE duplicate_of IS NULL
          UNION ALL SELECT event_time, 0, 1, 0 FROM ({flagged})
          UNION ALL SELECT r.event_time, 0, 0, 1
          FROM ({LEAKS}) e JOIN query_record r USING (record_id)),
        placed AS (
          SELECT CAST(floor(epoch(moment) / $width) AS BIGINT) AS b, q, f, x
          FROM seen WHERE moment IS NOT NULL)
        SELECT b, sum(q), sum(f), sum(x) FROM placed
        WHERE b >= $low AND b < $high GROUP BY b ORDER BY b
        """,
        {"width": width, "low": low, "high": high},
    ).fetchall()
    return {int(b): (int(q), int(f), int(x)) for b, q, f, x in found}


def zoomed(whole: TimeSpan, shown: TimeSpan, factor: float, at: float = 0.5) -> TimeSpan | None:
    """Return a shorter or longer part of time around a point that stays where it is.

    Args:
        whole: what there is.
        shown: what is shown now.
        factor: new length over the present one, below 1 to look closer.
        at: the point that stays, 0 at the start and 1 at the end of what is shown.

    Returns:
        The part, at least a minute long and within the whole; None for the whole.
    """
    seconds = max(shown.length.total_seconds() * factor, float(_SHORTEST))
    if seconds >= whole.length.total_seconds():
        return None
    length = timedelta(seconds=seconds)
    start = _later(shown.start + shown.length * at, -length * at)
    return _slid(TimeSpan(start, _later(start, length)), whole)


def panned(whole: TimeSpan, shown: TimeSpan, share: float) -> TimeSpan:
    """Return the part of time that lies a share of its length later (earlier below 0)."""
    by = shown.length * share
    return _slid(TimeSpan(_later(shown.start, by), _later(shown.end, by)), whole)


def _slid(span: TimeSpan, whole: TimeSpan) -> TimeSpan:
    """Move a part into the whole without changing its length, as far as it fits."""
    if span.length >= whole.length:
        return whole
    if span.start < whole.start:
        return TimeSpan(whole.start, whole.start + span.length)
    if span.end > whole.end:
        return TimeSpan(whole.end - span.length, whole.end)
    return span


def _within(span: TimeSpan, whole: TimeSpan) -> TimeSpan:
    """Cut a part to the whole; one that lies outside of it gives the whole."""
    cut = TimeSpan(max(span.start, whole.start), min(span.end, whole.end))
    return cut if cut.start < cut.end else whole


def _later(at: datetime, by: timedelta) -> datetime:
    """Add a time, stopping where the calendar ends."""
    try:
        return at + by
    except OverflowError:
        return _LATEST if by > timedelta(0) else _EARLIEST


def _at(seconds: int) -> datetime:
    return _later(_EPOCH, timedelta(seconds=seconds))
