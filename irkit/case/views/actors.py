"""Actors: the units of the lattice with what was found on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irkit.case.views.filters import Column, Filter, order_by, parse_filter
from irkit.case.views.kept import is_kept, keep, kept
from irkit.case.views.leaks import LEAKS
from irkit.case.views.times import utc
from irkit.model import UnitKind

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class ActorKey:
    """Identity of an actor: its level in the lattice and its name there."""

    kind: UnitKind
    unit: str


@dataclass(frozen=True, slots=True)
class ActorRow:
    """One actor with its strongest finding; its fields are None where nothing was found."""

    key: ActorKey
    tier: str | None
    technique: str | None
    profile: str | None
    p_value: float | None
    p_kind: str | None
    onset: datetime | None
    first_seen: datetime | None
    last_seen: datetime | None
    queries: int
    findings: int
    exposures: int
    members: int


@dataclass(frozen=True, slots=True)
class ActorPage:
    """A page of actors and how many there are in all."""

    rows: tuple[ActorRow, ...]
    total: int
    offset: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of the behaviour between pauses."""

    first: datetime | None
    last: datetime | None
    queries: int


@dataclass(frozen=True, slots=True)
class FindingDetail:
    """One technique found on one actor."""

    finding_id: str
    technique: str
    runner_up: str | None
    profile: str | None
    tier: str
    p_value: float | None
    p_kind: str
    q_value: float | None
    e_value: float | None
    score: float | None
    onset: datetime | None
    onset_low: datetime | None
    onset_high: datetime | None
    first_seen: datetime | None
    last_seen: datetime | None
    queries: int
    members: tuple[str, ...]
    evidence_record_ids: tuple[str, ...]
    summary: str
    end_low: datetime | None = None
    end_high: datetime | None = None
    stretches: tuple[Stretch, ...] = ()
    dilution: float | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class DetectorRow:
    """Outcome of one detector on one actor."""

    detector: str
    status: str
    statistic: float | None
    p_value: float | None
    p_kind: str | None
    queries: int | None
    calibration_size: int | None
    calibration_level: str | None
    summary: str


#: Records of one actor and the rows they lie in; bind kind and unit by name.  Duplicate views of a
#: call are left out.
ACTOR_RECORDS = {
    UnitKind.CREDENTIAL: "SELECT r.*, r.rowid AS place FROM query_record r"
    " WHERE r.credential_id = $unit AND r.duplicate_of IS NULL",
    UnitKind.SOURCE_IP: "SELECT r.*, r.rowid AS place FROM query_record r"
    " WHERE r.client_ip = $unit AND r.duplicate_of IS NULL",
    UnitKind.SESSION: "SELECT r.*, r.rowid AS place FROM query_record r"
    " JOIN record_session s USING (record_id)"
    " WHERE s.session_key = $unit AND r.duplicate_of IS NULL",
    # A campaign's members are units of the lower levels, written bare or as kind:unit.
    UnitKind.CAMPAIGN: "SELECT r.*, r.rowid AS place FROM query_record r"
    " WHERE r.duplicate_of IS NULL AND ("
    " r.credential_id IN (SELECT m FROM ({members})) OR r.client_ip IN (SELECT m FROM ({members}))"
    " OR r.record_id IN (SELECT s.record_id FROM record_session s"
    "                    WHERE s.session_key IN (SELECT m FROM ({members}))))".replace(
        "{members}",
        "SELECT DISTINCT regexp_replace(unnest(members), '^(credential|source_ip|session):', '')"
        " AS m FROM finding WHERE unit_kind = 'campaign' AND unit = $unit",
    ),
}

#: A total order of calls: by time, undated last, then by place in the evidence.
RECORD_ORDER = "event_time NULLS LAST, source_id, entry_no, sub_no, record_id"

_COLUMNS = (
    Column("actor", "unit", "text"),
    Column("kind", "unit_kind", "text"),
    Column("tier", "tier", "text"),
    Column("technique", "technique", "text"),
    Column("profile", "profile", "text"),
    Column("p", "p_value", "number"),
    Column("onset", "onset", "time"),
    Column("first", "first_seen", "time"),
    Column("last", "last_seen", "time"),
    Column("queries", "queries", "number"),
    Column("findings", "findings", "number"),
    Column("leaks", "leaks", "number"),
)

#: The strongest finding of each unit, by tier, then p-value, then the larger score.
_FOUND = """
SELECT unit_kind, unit, tier, technique, profile, p_value, p_kind, onset, first_seen, last_seen,
  coalesce(queries, 0) AS queries, len(coalesce(members, [])) AS members,
  count(*) OVER (PARTITION BY unit_kind, unit) AS findings
FROM finding
QUALIFY row_number() OVER (PARTITION BY unit_kind, unit
  ORDER BY tier, p_value NULLS LAST, score DESC NULLS LAST, finding_id) = 1
"""

#: Units without any finding, counted from the records themselves.
_QUIET = """
SELECT 'credential' AS unit_kind, credential_id AS unit, NULL AS tier, NULL AS technique,
  NULL AS profile, NULL AS p_value, NULL AS p_kind, NULL AS onset, min(event_time) AS first_seen,
  max(event_time) AS last_seen, count(*) AS queries, 0 AS members, 0 AS findings
FROM query_record q WHERE duplicate_of IS NULL AND credential_id IS NOT NULL
  AND credential_id NOT IN (SELECT unit FROM finding WHERE unit_kind = 'credential')
GROUP BY credential_id
UNION ALL
SELECT 'session', session_key, NULL, NULL, NULL, NULL, NULL, NULL, started, ended, queries, 0, 0
FROM session WHERE session_key NOT IN (SELECT unit FROM finding WHERE unit_kind = 'session')
"""

_LEAKS = f"""
WITH leak AS ({LEAKS})
SELECT 'credential' AS unit_kind, r.credential_id AS unit, count(*) AS leaks
FROM leak JOIN query_record r USING (record_id)
WHERE r.credential_id IS NOT NULL GROUP BY 1, 2
UNION ALL
SELECT 'source_ip', r.client_ip, count(*)
FROM leak JOIN query_record r USING (record_id) WHERE r.client_ip IS NOT NULL GROUP BY 1, 2
UNION ALL
SELECT 'session', s.session_key, count(*)
FROM leak JOIN record_session s USING (record_id) GROUP BY 1, 2
UNION ALL
SELECT 'campaign', m.unit, count(DISTINCT leak.exposure_id)
FROM leak JOIN query_record r USING (record_id)
LEFT JOIN record_session s USING (record_id)
JOIN (SELECT DISTINCT unit,
        regexp_replace(unnest(members), '^(credential|source_ip|session):', '') AS member
      FROM finding WHERE unit_kind = 'campaign') m
  ON m.member = r.credential_id OR m.member = r.client_ip OR m.member = s.session_key
GROUP BY 1, 2
"""


def actor_columns() -> tuple[Column, ...]:
    """Return the fields that actors may be filtered and sorted on."""
    return _COLUMNS


def actor_filter(text: str) -> Filter:
    """Parse a filter line over actors; a bare word must occur in the actor's name.

    Raises:
        FilterError: unknown field, missing value, or a value that is no number or time.
    """
    return parse_filter(text, _COLUMNS, "actor")


def actors(
    con: duckdb.DuckDBPyConnection,
    *,
    where: Filter | None = None,
    sort: str = "tier",
    descending: bool = False,
    offset: int = 0,
    limit: int = 200,
    quiet: bool = False,
) -> ActorPage:
    """Return a page of actors.

    Args:
        con: connection to the case.
        where: a filter over :func:`actor_columns`.
        sort: name of the field to order by; ties go by p-value, then name.
        descending: reverse the order of ``sort``.
        offset: rows to skip.
        limit: rows to return.
        quiet: include actors on whom nothing was found.

    Raises:
        FilterError: unknown sort field.
    """
    condition = where or Filter("TRUE", ())
    name = "actors_tested" if quiet else "actors_flagged"
    # Kept, it is a table that is asked twice; else it is worked out once for both.
    once = "" if is_kept(con, name) else "MATERIALIZED "
    source = f"WITH unit AS {once}({kept(con, name, _units(con, quiet=quiet))})"
    order = order_by(_COLUMNS, sort, descending, "tier, p_value NULLS LAST, unit_kind, unit")
    counted = f"SELECT count(*) FROM unit WHERE {condition.sql}"
    found = con.execute(
        f"{source} SELECT unit_kind, unit, tier, technique, profile, p_value, p_kind, onset,"
        f" first_seen, last_seen, queries, findings, leaks, members, ({counted})"
        f" FROM unit WHERE {condition.sql} {order} LIMIT ? OFFSET ?",
        [*condition.params, *condition.params, limit, offset],
    ).fetchall()
    rows = tuple(_row(row) for row in found)
    if found:
        return ActorPage(rows, int(found[0][-1]), offset)
    total = con.execute(f"{source} {counted}", list(condition.params)).fetchone()
    return ActorPage((), int(total[0]) if total else 0, offset)


def _units(con: duckdb.DuckDBPyConnection, *, quiet: bool) -> str:
    """Actors with their strongest finding and what came out of them."""
    silent = f" UNION ALL BY NAME {_QUIET}" if quiet else ""
    return (
        "SELECT base.*, coalesce(leak.leaks, 0) AS leaks"
        f" FROM (SELECT * FROM ({_FOUND}){silent}) base"
        f" LEFT JOIN ({kept(con, 'unit_leaks', _LEAKS)}) leak USING (unit_kind, unit)"
    )


def keep_leaks(con: duckdb.DuckDBPyConnection) -> None:
    """Keep what came out per actor, and the actors on whom something was found."""
    keep(con, "unit_leaks", _LEAKS)
    keep(con, "actors_flagged", f"{_units(con, quiet=False)} ORDER BY tier, unit_kind, unit")


def keep_quiet(con: duckdb.DuckDBPyConnection) -> None:
    """Keep all actors, those too on whom nothing was found."""
    keep(con, "actors_tested", f"{_units(con, quiet=True)} ORDER BY tier, unit_kind, unit")


def _row(row: tuple[Any, ...]) -> ActorRow:
    return ActorRow(
        ActorKey(UnitKind(row[0]), str(row[1])),
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        utc(row[7]),
        utc(row[8]),
        utc(row[9]),
        int(row[10] or 0),
        int(row[11] or 0),
        int(row[12] or 0),
        int(row[13] or 0),
    )


def actor_findings(con: duckdb.DuckDBPyConnection, key: ActorKey) -> tuple[FindingDetail, ...]:
    """Return every finding on an actor, strongest first."""
    found = con.execute(
        "SELECT finding_id, technique, runner_up, profile, tier, p_value, p_kind, q_value,"
        " e_value, score, onset, onset_low, onset_high, first_seen, last_seen, queries, members,"
        " evidence_record_ids, summary, end_low, end_high, stretches, dilution, pattern"
        " FROM finding WHERE unit_kind = ? AND unit = ?"
        " ORDER BY tier, p_value NULLS LAST, score DESC NULLS LAST, finding_id",
        [key.kind.value, key.unit],
    ).fetchall()
    return tuple(
        FindingDetail(
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            row[5],
            row[6],
            row[7],
            row[8],
            row[9],
            utc(row[10]),
            utc(row[11]),
            utc(row[12]),
            utc(row[13]),
            utc(row[14]),
            int(row[15] or 0),
            tuple(row[16] or ()),
            tuple(row[17] or ()),
            str(row[18] or ""),
            utc(row[19]),
            utc(row[20]),
            _stretches(row[21]),
            row[22],
            row[23],
        )
        for row in found
    )


def _stretches(text: str | None) -> tuple[Stretch, ...]:
    try:
        listed = json.loads(text or "[]")
        return tuple(Stretch(_moment(a), _moment(b), int(count)) for a, b, count in listed)
    except (ValueError, TypeError):
        return ()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else utc(datetime.fromisoformat(text))


def detectors(con: duckdb.DuckDBPyConnection, key: ActorKey) -> tuple[DetectorRow, ...]:
    """Return what each detector said about an actor: those that found something first."""
    found = con.execute(
        "SELECT detector, status, statistic, p_value, p_kind, queries, calib_n, calib_level,"
        " summary FROM detector_result WHERE unit_kind = ? AND unit = ? ORDER BY"
        " CASE status WHEN 'FOUND' THEN 0 WHEN 'ERROR' THEN 1 WHEN 'NO_FINDINGS' THEN 2 ELSE 3 END,"
        " p_value NULLS LAST, detector",
        [key.kind.value, key.unit],
    ).fetchall()
    return tuple(
        DetectorRow(
            detector=row[0],
            status=row[1],
            statistic=row[2],
            p_value=row[3],
            p_kind=row[4],
            queries=row[5],
            calibration_size=row[6],
            calibration_level=row[7],
            summary=str(row[8] or ""),
        )
        for row in found
    )
