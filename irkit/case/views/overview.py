"""What the first screen says: the next deadline, the reach of the evidence, the funnel."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from irkit.case.views.activity import Activity, TimeSpan, flagged_queries, timeline
from irkit.case.views.actors import ActorRow, actors
from irkit.case.views.leaks import LEAKS
from irkit.case.views.times import utc
from irkit.model import EvidenceState

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One narrowing from queries to people; ``low``/``high`` bound an estimated ``best``."""

    key: str
    label: str
    best: int
    low: int | None = None
    high: int | None = None
    method: str = ""


@dataclass(frozen=True, slots=True)
class EvidenceSummary:
    """State of the preserved files as last checked, and what of them could be read."""

    files: int
    bytes: int
    verified: int
    mismatch: int
    unverifiable: int
    checked_at: datetime | None
    entries: int
    records: int
    quarantined: int
    first_event: datetime | None
    last_event: datetime | None

    @property
    def state(self) -> EvidenceState | None:
        """The worst state of any file; None where nothing is preserved yet."""
        if not self.files:
            return None
        if self.mismatch:
            return EvidenceState.MISMATCH
        return EvidenceState.UNVERIFIABLE if self.unverifiable else EvidenceState.VERIFIED


@dataclass(frozen=True, slots=True)
class ObligationRow:
    """One legal regime as last assessed; ``applies`` is yes, no or unknown, never hidden."""

    regime: str
    rule: str
    applies: str
    reason: str
    instants: tuple[DeadlineRow, ...]


@dataclass(frozen=True, slots=True)
class DeadlineRow:
    """One instant by which something is due."""

    regime: str
    rule: str
    kind: str
    at: datetime | None
    basis: str
    certainty: str
    applies: str


@dataclass(frozen=True, slots=True)
class SeverityRow:
    """Severity of one cluster of people by the ENISA method, as an interval."""

    cluster: str
    subjects: int
    low: float
    high: float
    band_low: str
    band_high: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the first screen shows, read in one go."""

    title: str
    synthetic: bool
    funnel: tuple[FunnelStep, ...]
    evidence: EvidenceSummary
    deadline: DeadlineRow | None
    activity: Activity
    top: tuple[ActorRow, ...]
    flagged_rows: int
    flagged_kind: str
    flagged_actors: int
    flagged_queries: int
    stages_done: tuple[str, ...]


def overview(
    con: duckdb.DuckDBPyConnection,
    *,
    now: datetime,
    buckets: int = 60,
    span: TimeSpan | None = None,
) -> Overview:
    """Read the first screen; a few aggregates over the case, whatever its size."""
    meta = dict(con.execute("SELECT key, value FROM meta ORDER BY key").fetchall())
    page = actors(con, sort="tier", limit=8)
    kind, count = _flagged(con)
    stages = con.execute(
        "SELECT DISTINCT stage FROM stage_progress WHERE status = 'done' ORDER BY stage"
    ).fetchall()
    return Overview(
        title=str(meta.get("title", "")),
        synthetic=meta.get("synthetic") == "true",
        funnel=funnel(con),
        evidence=evidence_summary(con),
        deadline=next_deadline(con, now),
        activity=timeline(con, buckets, span),
        top=page.rows,
        flagged_rows=page.total,
        flagged_kind=kind,
        flagged_actors=count,
        flagged_queries=flagged_queries(con),
        stages_done=tuple(str(row[0]) for row in stages),
    )


def _flagged(con: duckdb.DuckDBPyConnection) -> tuple[str, int]:
    """Count flagged actors on one level: a credential's sessions and addresses are not more."""
    found = dict(
        con.execute(
            "SELECT unit_kind, count(DISTINCT unit) FROM finding GROUP BY unit_kind ORDER BY 1"
        ).fetchall()
    )
    for kind in ("credential", "source_ip", "session"):
        if found.get(kind):
            return kind, int(found[kind])
    return "credential", 0


def funnel(con: duckdb.DuckDBPyConnection) -> tuple[FunnelStep, ...]:
    """Narrow from queries over leaking responses to records and people.

    Who sent the queries plays no part here: what came out is counted whoever asked for it.
    """
    queries = _one(con, "SELECT count(*) FROM query_record WHERE duplicate_of IS NULL")
    leaking = _one(
        con,
        f"SELECT count(DISTINCT e.record_id) FROM ({LEAKS}) e LEFT JOIN"
        " (SELECT exposure_id, last(verdict ORDER BY reviewed_at, rowid) AS verdict FROM review"
        "  GROUP BY exposure_id) v USING (exposure_id) WHERE coalesce(v.verdict, '') <> 'reject'",
    )
    counts = {
        str(name): (int(low or 0), int(best or 0), int(high or 0), str(method or ""))
        for name, low, best, high, method in con.execute(
            "SELECT name, min, best, max, method FROM scope_count ORDER BY name"
        ).fetchall()
    }
    steps = [FunnelStep("queries", "queries logged", queries)]
    if "after_subtraction" in counts:
        _, best, _, method = counts["after_subtraction"]
        steps.append(FunnelStep("repeated", "repeat training text", best, method=method))
    steps.append(FunnelStep("responses", "leak about people", leaking))
    for key, label, fallback in (
        ("records", "training records", _RECORDS),
        ("subjects", "people affected", _SUBJECTS),
    ):
        if key in counts:
            low, best, high, method = counts[key]
            steps.append(FunnelStep(key, label, best, low, high, method))
        else:
            steps.append(FunnelStep(key, label, _one(con, fallback)))
    return tuple(steps)


_RECORDS = "SELECT count(DISTINCT doc_id) FROM exposure WHERE provenance = 'memorised'"
_SUBJECTS = "SELECT count(*) FROM subject WHERE status <> 'unverified'"


def evidence_summary(con: duckdb.DuckDBPyConnection) -> EvidenceSummary:
    """Sum up the evidence table."""
    row = con.execute(
        "SELECT count(*), coalesce(sum(bytes), 0),"
        " count(*) FILTER (state = 'verified'), count(*) FILTER (state = 'mismatch'),"
        " count(*) FILTER (state NOT IN ('verified', 'mismatch')), min(checked_at),"
        " coalesce(sum(entries), 0), coalesce(sum(records), 0), coalesce(sum(quarantined), 0),"
        " min(min_event_time), max(max_event_time) FROM evidence_source"
    ).fetchone()
    assert row is not None  # an aggregate without GROUP BY always yields one row
    files, size, verified, mismatch, other = (int(value) for value in row[:5])
    return EvidenceSummary(
        files,
        size,
        verified,
        mismatch,
        other,
        utc(row[5]),
        int(row[6]),
        int(row[7]),
        int(row[8]),
        utc(row[9]),
        utc(row[10]),
    )


def obligations(con: duckdb.DuckDBPyConnection) -> tuple[ObligationRow, ...]:
    """List every regime with its instants, applicable ones first."""
    found = con.execute(
        "SELECT regime, rule, applies, reason, instants FROM obligation ORDER BY"
        " CASE applies WHEN 'yes' THEN 0 WHEN 'unknown' THEN 1 ELSE 2 END, regime, rule"
    ).fetchall()
    rows = []
    for regime, rule, applies, reason, instants in found:
        rows.append(
            ObligationRow(
                str(regime),
                str(rule),
                str(applies),
                str(reason or ""),
                tuple(_instants(str(regime), str(rule), str(applies), instants)),
            )
        )
    return tuple(rows)


def deadlines(con: duckdb.DuckDBPyConnection) -> tuple[DeadlineRow, ...]:
    """List every dated instant of regimes that apply or may apply, earliest first."""
    found = [
        instant
        for row in obligations(con)
        if row.applies != "no"
        for instant in row.instants
        if instant.at is not None
    ]
    return tuple(
        sorted(found, key=lambda d: (d.at or datetime.max.replace(tzinfo=UTC), d.regime, d.kind))
    )


def severity(con: duckdb.DuckDBPyConnection) -> tuple[SeverityRow, ...]:
    """List the clusters of people, the most severe first."""
    found = con.execute(
        "SELECT cluster, coalesce(subjects, 0), coalesce(se_low, 0), coalesce(se_high, 0),"
        " coalesce(band_low, ''), coalesce(band_high, '') FROM severity"
        " ORDER BY se_high DESC NULLS LAST, se_low DESC NULLS LAST, cluster"
    ).fetchall()
    return tuple(SeverityRow(*row) for row in found)


def next_deadline(con: duckdb.DuckDBPyConnection, now: datetime) -> DeadlineRow | None:
    """Return the earliest deadline still ahead, else the one missed last; None where none is known.

    A regime that certainly applies goes before one that may apply.
    """
    known = [row for row in deadlines(con) if row.at is not None]
    for applies in ("yes", "unknown"):
        rows = [row for row in known if row.applies == applies]
        ahead = [row for row in rows if row.at is not None and row.at >= now]
        if ahead:
            return ahead[0]
        if rows:
            return rows[-1]
    return None


def _instants(regime: str, rule: str, applies: str, text: str | None) -> list[DeadlineRow]:
    try:
        items = json.loads(text or "[]")
    except ValueError:
        return []
    return [
        DeadlineRow(
            regime,
            rule,
            str(item.get("kind", "")),
            _instant(item.get("at_utc") or item.get("at")),
            str(item.get("basis", "")),
            str(item.get("certainty", "")),
            applies,
        )
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict)
    ]


def _instant(value: Any) -> datetime | None:
    try:
        return utc(datetime.fromisoformat(str(value)))
    except ValueError:
        return None


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    return int(row[0] or 0) if row else 0
