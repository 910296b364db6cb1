"""An actor's calls in order, where its landmarks lie, and the evidence as it builds up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from irkit.case.views.actors import ACTOR_RECORDS, RECORD_ORDER, ActorKey
from irkit.case.views.kept import drop_but, is_kept, keep, kept, named_for
from irkit.case.views.leaks import LEAKS
from irkit.case.views.times import utc

if TYPE_CHECKING:
    import duckdb

#: Shape of the alternative that the evidence curve weighs each p-value against: p ~ Beta(a, 1).
#: a = 0.3 is the middle of the grid that the onset estimate searches.
EVIDENCE_SHAPE = 0.3
#: One p-value can add at most ln(0.3) - 0.7 ln(1e-6), about 8.5: a curve, not one spike.
EVIDENCE_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class SequenceSummary:
    """Length of an actor's sequence, and where in it (from 0) the landmarks lie.

    ``leaks`` counts passages, as everywhere; ``leak_positions`` are the queries whose answers hold
    them, and one answer may hold several.
    """

    total: int
    first: datetime | None
    last: datetime | None
    onset: datetime | None
    onset_position: int | None
    leak_positions: tuple[int, ...]
    end: datetime | None = None
    end_position: int | None = None
    leaks: int = 0


@dataclass(frozen=True, slots=True)
class SequenceRow:
    """One call in an actor's sequence."""

    position: int
    record_id: str
    at: datetime | None
    exposures: int
    evidence: int
    outcome: str | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Accumulated evidence at a position of the sequence."""

    position: int
    value: float
    leaks: int


@dataclass(frozen=True, slots=True)
class Held:
    """A call of a kept sequence: its position, the row it lies in, and its session."""

    position: int
    place: int
    session: str | None


def sequence_summary(
    con: duckdb.DuckDBPyConnection, key: ActorKey, *, leak_limit: int = 5000
) -> SequenceSummary:
    """Count an actor's calls and locate onset, end of activity and leaks in their order."""
    row = con.execute(
        f"WITH s AS ({_ordered(con, key)}), o AS (SELECT min(onset) AS onset,"
        " max(last_seen) AS ended"
        " FROM finding WHERE unit_kind = $kind AND unit = $unit AND onset IS NOT NULL)"
        " SELECT count(*), min(event_time), max(event_time), (SELECT onset FROM o),"
        " min(position) FILTER (event_time >= (SELECT onset FROM o)), (SELECT ended FROM o),"
        " max(position) FILTER (event_time <= (SELECT ended FROM o)) FROM s",
        {"unit": key.unit, "kind": key.kind.value},
    ).fetchone()
    assert row is not None  # an aggregate without GROUP BY always yields one row
    leaks = con.execute(
        f"SELECT position FROM ({_leaks(con, key)}) ORDER BY position LIMIT $limit",
        {"unit": key.unit, "limit": leak_limit},
    ).fetchall()
    passages = con.execute(
        f"SELECT coalesce(sum(n), 0) FROM ({_leaks(con, key)})", {"unit": key.unit}
    ).fetchone()
    return SequenceSummary(
        int(row[0]),
        utc(row[1]),
        utc(row[2]),
        utc(row[3]),
        None if row[4] is None else int(row[4]),
        tuple(int(p[0]) for p in leaks),
        utc(row[5]),
        None if row[6] is None else int(row[6]),
        int(passages[0]) if passages else 0,
    )


def sequence(
    con: duckdb.DuckDBPyConnection, key: ActorKey, *, offset: int = 0, limit: int = 200
) -> tuple[SequenceRow, ...]:
    """Return a window of an actor's sequence."""
    within = "position >= $from AND position < $to"
    found = con.execute(
        f"WITH w AS (SELECT * FROM ({_ordered(con, key)}) WHERE {within}),"
        f" x AS (SELECT position, n FROM ({_leaks(con, key)}) WHERE {within}),"
        f" v AS (SELECT position, count(*) AS n FROM ({_marks(con, key)}) WHERE {within}"
        "  AND (p_value < 0.05 OR (p_value IS NULL AND score > 0)) GROUP BY position)"
        " SELECT position, record_id, event_time, coalesce(x.n, 0), coalesce(v.n, 0), outcome"
        " FROM w LEFT JOIN x USING (position) LEFT JOIN v USING (position) ORDER BY position",
        {"unit": key.unit, "from": offset, "to": offset + limit},
    ).fetchall()
    return tuple(
        SequenceRow(int(row[0]), str(row[1]), utc(row[2]), int(row[3]), int(row[4]), row[5])
        for row in found
    )


def position_of(con: duckdb.DuckDBPyConnection, key: ActorKey, record_id: str) -> int | None:
    """Return where in an actor's sequence a record lies, from 0."""
    row = con.execute(
        f"SELECT min(position) FROM ({_ordered(con, key)}) WHERE record_id = $id",
        {"unit": key.unit, "id": record_id},
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def evidence_curve(
    con: duckdb.DuckDBPyConnection,
    key: ActorKey,
    *,
    points: int = 160,
    detector: str | None = None,
) -> tuple[CurvePoint, ...]:
    """Return how evidence accumulates over an actor's sequence, at most ``points`` long.

    Each call adds the log-likelihood ratio of its smallest per-query p-value under Beta(a, 1)
    against the uniform, ``ln a + (a - 1) ln p``; the sum never falls below zero (Page's CUSUM,
    Biometrika 1954), so the curve rises while the behaviour lasts and sinks when it stops.  Several
    detectors on one call are corrected by Bonferroni.  Where no query has a p-value (too little
    ordinary traffic to compare with), each adds its score as a share of the detector's largest.
    With ``detector``, only what that one saw counts.
    """
    found = con.execute(
        f"""
        WITH s AS (SELECT position FROM ({_ordered(con, key)})),
        e AS (SELECT * FROM ({_marks(con, key)}) WHERE $detector IS NULL OR detector = $detector),
        known AS (SELECT count(*) FILTER (p_value < 1) AS n FROM e),
        p AS (SELECT position, least(1.0, min(greatest(p_value, $floor)) * count(p_value)) AS p
              FROM e WHERE p_value IS NOT NULL GROUP BY position),
        w AS (SELECT position, max(share) AS share FROM (
                SELECT position, score / max(score) OVER (PARTITION BY detector) AS share
                FROM e WHERE score > 0) GROUP BY position),
        x AS ({_leaks(con, key)}),
        g AS (SELECT position, coalesce(x.n, 0) AS leaks,
                CASE WHEN (SELECT n FROM known) > 0
                  THEN $shape_ln + ($shape - 1) * ln(coalesce(p.p, 1.0))
                  ELSE coalesce(w.share, 0) END AS gain
              FROM s LEFT JOIN p USING (position) LEFT JOIN w USING (position)
              LEFT JOIN x USING (position)),
        c AS (SELECT position, leaks, sum(gain) OVER (ORDER BY position) AS total FROM g),
        d AS (SELECT position, leaks,
                total - least(0.0, min(total) OVER (ORDER BY position)) AS value FROM c),
        n AS (SELECT greatest(1, count(*)) AS n FROM d)
        SELECT max(position), arg_max(value, position), sum(leaks)
        FROM d, n GROUP BY CAST(floor(position * least($points, n.n) / n.n) AS BIGINT)
        ORDER BY 1
        """,
        {
            "unit": key.unit,
            "points": points,
            "detector": detector,
            "floor": EVIDENCE_FLOOR,
            "shape": EVIDENCE_SHAPE,
            "shape_ln": math.log(EVIDENCE_SHAPE),
        },
    ).fetchall()
    return tuple(CurvePoint(int(p), float(v), int(n)) for p, v, n in found)


def curve_detectors(con: duckdb.DuckDBPyConnection, key: ActorKey) -> tuple[str, ...]:
    """Name the detectors that saw something in an actor's queries, the most telling first."""
    found = con.execute(
        f"SELECT detector FROM ({_marks(con, key)}) GROUP BY detector"
        " ORDER BY sum(-ln(greatest(coalesce(p_value, 1.0), $floor))) DESC, count(*) DESC, 1",
        {"unit": key.unit, "floor": EVIDENCE_FLOOR},
    ).fetchall()
    return tuple(str(row[0]) for row in found)


# -- the order, as kept or worked out --------------------------------------------------------------


def _name(what: str, key: ActorKey) -> str:
    return named_for(what, key.kind.value, key.unit)


def _known(con: duckdb.DuckDBPyConnection, what: str, key: ActorKey, sql: str) -> str:
    found = kept(con, _name(what, key), sql)
    # Bound all the same: every statement over a sequence names the actor.
    return sql if found is sql else f"{found} WHERE $unit IS NOT NULL"


def _ordered(con: duckdb.DuckDBPyConnection, key: ActorKey) -> str:
    return _known(con, "sequence", key, _sequence_sql(key))


def _leaks(con: duckdb.DuckDBPyConnection, key: ActorKey) -> str:
    """SQL of the positions that leaked, with how many passages did."""
    return _known(con, "leaks", key, _leaks_sql(_sequence_sql(key)))


def _marks(con: duckdb.DuckDBPyConnection, key: ActorKey) -> str:
    """SQL of what detectors saw, by position."""
    return _known(con, "marks", key, _marks_sql(_sequence_sql(key)))


def _sequence_sql(key: ActorKey) -> str:
    return (
        "SELECT record_id, event_time, outcome, place,"
        f" row_number() OVER (ORDER BY {RECORD_ORDER}) - 1 AS position"
        f" FROM ({ACTOR_RECORDS[key.kind]})"
    )


def _leaks_sql(calls: str) -> str:
    return (
        f"SELECT position, count(*) AS n FROM ({LEAKS}) JOIN ({calls}) USING (record_id)"
        " GROUP BY position"
    )


def _marks_sql(calls: str) -> str:
    return (
        "SELECT s.position, e.detector, e.score, e.p_value FROM query_evidence e"
        f" JOIN ({calls}) s USING (record_id)"
    )


#: Rows that belong to a call and lie in tables of their own: what they are called, and where.
PARTS = {
    "evidence": "query_evidence",
    "exposure": "exposure",
    "entity": "entity",
    "item": "query_item",
    "logprob": "query_logprob",
}


def keep_sequence(con: duckdb.DuckDBPyConnection, key: ActorKey) -> None:
    """Keep an actor's calls in order and where all that belongs to them lies.

    It takes the place of the actor before.  Record ids are hashes, so that finding a call's rows by
    its id means reading whole tables; a place (rowid) is found at once.
    """
    calls, said = f"kept.{_name('sequence', key)}", _name("said", key)
    kinds = ("sequence", "leaks", "marks", "said", "places")
    for kind in kinds:
        drop_but(con, f"{kind}_", _name(kind, key))
    keep(
        con,
        _name("sequence", key),
        "SELECT s.*, n.session_key FROM"
        f" ({_sequence_sql(key)}) s LEFT JOIN (SELECT record_id, min(session_key) AS session_key"
        " FROM record_session GROUP BY record_id) n USING (record_id) ORDER BY position",
        unit=key.unit,
    )
    mine = f"SELECT * FROM {calls}"
    keep(con, _name("leaks", key), f"{_leaks_sql(mine)} ORDER BY position")
    keep(con, _name("marks", key), f"{_marks_sql(mine)} ORDER BY position, detector")
    keep(
        con,
        said,
        f"WITH part AS ("
        "  SELECT position, 'asked' AS part, m.pos, m.role, NULL AS finish, m.text_id"
        f"  FROM query_message m JOIN {calls} USING (record_id)"
        "  UNION ALL SELECT position, 'said', c.choice, 'response', c.finish_reason, c.text_id"
        f"  FROM query_choice c JOIN {calls} USING (record_id)),"
        " body AS (SELECT text_id, min(rowid) AS place FROM text"
        "  SEMI JOIN part USING (text_id) GROUP BY text_id)"
        " SELECT position, part, pos, role, finish, place FROM part JOIN body USING (text_id)"
        " ORDER BY position, part, pos",
    )
    keep(
        con,
        _name("places", key),
        " UNION ALL ".join(
            f"SELECT c.position, '{part}' AS part, t.rowid AS place"
            f" FROM {table} t JOIN {calls} c USING (record_id)"
            for part, table in PARTS.items()
        )
        + " ORDER BY position, part, place",
    )


def held(con: duckdb.DuckDBPyConnection, key: ActorKey | None, record_id: str) -> Held | None:
    """Return where a call lies, when its actor's sequence is kept."""
    if key is None or not is_kept(con, _name("places", key)):
        return None
    row = con.execute(
        f"SELECT position, place, session_key FROM kept.{_name('sequence', key)}"
        " WHERE record_id = ? LIMIT 1",
        [record_id],
    ).fetchone()
    return None if row is None else Held(int(row[0]), int(row[1]), row[2])


def held_texts(
    con: duckdb.DuckDBPyConnection, key: ActorKey, position: int
) -> list[tuple[str, int, str, str | None, int]]:
    """Return the texts of a call of a kept sequence: part, number, role, finish, place."""
    return con.execute(
        f"SELECT part, pos, role, finish, place FROM kept.{_name('said', key)}"
        " WHERE position = ? ORDER BY part, pos",
        [position],
    ).fetchall()


def held_places(
    con: duckdb.DuckDBPyConnection, key: ActorKey, position: int
) -> dict[str, list[int]]:
    """Return where the rows that belong to a call of a kept sequence lie, by their part."""
    rows = con.execute(
        f"SELECT part, list(place ORDER BY place) FROM kept.{_name('places', key)}"
        " WHERE position = ? GROUP BY part ORDER BY part",
        [position],
    ).fetchall()
    return {part: [] for part in PARTS} | {str(part): list(places) for part, places in rows}
