"""Rows of the result tables: detector outcomes, per-query evidence, findings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.calibrate import Promise
from irkit.analyzers.campaign import members_of
from irkit.analyzers.findings import Found, Selected
from irkit.analyzers.fuse import e_value
from irkit.analyzers.judge import Court, Judged
from irkit.analyzers.narrate import detector_sentence, finding_sentence
from irkit.analyzers.registry import Detector, Noting
from irkit.analyzers.sequences import NO_TIME
from irkit.analyzers.timeline import completed, when
from irkit.model import TECHNIQUE_TAGS, PKind, Status, UnitKind

if TYPE_CHECKING:
    import polars as pl

    from irkit.case import Case

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

#: Evidence records listed with a finding, and with a detector result.
MOST_EVIDENCE, DETECTOR_EVIDENCE = 50, 10
#: Per-query p-value below which a query of an actor without finding is stored, too.
_STORED = 0.01
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - stored times are UTC without a zone
#: Per-query p-value below which a query is called telling.
_TELLING = 0.05


def detector_results(court: Court, one: Judged) -> pl.DataFrame:
    """One row per actor and detector."""
    import polars as pl

    frames = [_detector_rows(court, one, d) for d in court.scorer.registry.detectors.values()]
    if not len(one.units) or not frames:
        return pl.DataFrame()
    return pl.concat(frames)


def _detector_rows(court: Court, one: Judged, detector: Detector) -> pl.DataFrame:
    import polars as pl

    scorer = court.scorer
    columns = [i for i, (d, _) in enumerate(scorer.statistics) if d is detector]
    count = len(one.units)
    p = np.where(np.isnan(one.p[:, columns]), 2.0, one.p[:, columns])
    pick = p.argmin(1)
    p = p[np.arange(count), pick]
    score = one.score[:, columns][np.arange(count), pick]
    spoke, known = ~np.isnan(score), p <= 1.0
    threshold, ranked = _thresholds(court, one.size)
    error = scorer.errors.get(detector.spec.id)
    found = spoke & known & (p <= threshold)
    names = one.units.code
    status = np.where(spoke, Status.NO_FINDINGS.value, Status.NOT_APPLICABLE.value).astype(object)
    status[found] = Status.FOUND.value
    summary = np.full(count, "nothing beyond what ordinary actors do", object)
    silent = next((why for i in columns if (why := scorer.silence(scorer.statistics[i][1]))), "")
    few = f"fewer than {detector.spec.n_min} queries, or the inputs are not logged for them"
    summary[~spoke] = silent or few
    uncalibrated = spoke & ~known
    summary[uncalibrated] = "the calibration holds no ordinary scores of this detector"
    status[uncalibrated] = Status.NOT_APPLICABLE.value
    if error:
        status[:] = Status.ERROR.value
        summary[:] = error
    evidence: list[list[str] | None] = [None] * count
    for unit in np.flatnonzero(found).tolist() if not error else []:
        key = scorer.statistics[columns[int(pick[unit])]][1].key
        level = one.levels[one.level[unit]] if one.level[unit] >= 0 else ""
        value = float(p[unit]) if ranked[unit] else None
        summary[unit] = detector_sentence(
            detector.spec.title, float(score[unit]), value, int(one.size[unit]), level
        )
        if isinstance(detector, Noting):
            note = detector.unit_note(scorer.log, one.kind, _unit_rows(one, unit))
            summary[unit] += f" {note[:1].upper()}{note[1:]}." if note else ""
        evidence[unit] = _top_records(court, one, unit, scorer.query[key])
    shown = spoke & known & ranked
    return pl.DataFrame(
        {
            "unit_kind": pl.repeat(one.kind.value, count, eager=True),
            "unit": _unit_names(court, one, names),
            "detector": pl.repeat(detector.spec.name, count, eager=True),
            "status": pl.Series(status.tolist(), dtype=pl.String),
            "queries": pl.Series(one.units.sizes, dtype=pl.Int32),
            "bucket": pl.Series(one.bucket, dtype=pl.Int32),
            "statistic": pl.Series(score, dtype=pl.Float64).fill_nan(None),
            "p_value": pl.Series(np.where(shown, p, np.nan)).fill_nan(None),
            "p_kind": pl.Series(
                np.where(
                    ~(spoke & known),
                    PKind.NONE.value,
                    np.where(ranked, PKind.CONFORMAL.value, PKind.RANK_ONLY.value),
                ).tolist(),
                dtype=pl.String,
            ),
            "e_value": pl.Series(np.where(shown, e_value(p), np.nan)).fill_nan(None),
            "summary": pl.Series(summary.tolist(), dtype=pl.String),
            "evidence": pl.Series(evidence, dtype=pl.List(pl.String)),
            "calib_n": pl.Series(np.where(known, one.size, 0), dtype=pl.Int32),
            "calib_level": pl.Series(
                [one.levels[i] if i >= 0 else None for i in one.level.tolist()], dtype=pl.String
            ),
            "params_hash": pl.repeat(_params(detector), count, eager=True),
        }
    ).sort("unit")


def _params(detector: Detector) -> str:
    spec = detector.spec
    text = f"{spec.id} {spec.version} {[(s.key, s.n_min) for s in spec.statistics]}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _thresholds(court: Court, size: I64) -> tuple[F64, NDArray[np.bool_]]:
    """Per actor the p-value that is flagged, and whether p-values may be given at all."""
    sizes, place = np.unique(size, return_inverse=True)
    made = [Promise.of(int(n), court.alpha) for n in sizes]
    steady = court.valid
    ranked = np.array([one.marginal and steady for one in made], np.bool_)
    # The promise is about actors, not about each detector on each actor: single detectors are
    # marked at the nominal rate, or with too few actors where one stands out from all of them.
    value = np.array(
        [
            court.alpha if one.marginal and steady else 1 / (n + 1)
            for one, n in zip(made, sizes.tolist(), strict=True)
        ]
    )
    return value[place] * (1 + 1e-9), ranked[place]


def _unit_names(court: Court, one: Judged, codes: I64) -> Any:
    return court.scorer.log.log.names[one.kind].of(codes)


def _unit_rows(one: Judged, unit: int) -> I64:
    return one.units.rows[one.units.bounds[unit] : one.units.bounds[unit + 1]]


def _top_records(court: Court, one: Judged, unit: int, scores: NDArray[np.float32]) -> list[str]:
    rows = _unit_rows(one, unit)
    best = rows[np.argsort(-scores[rows], kind="stable")[:DETECTOR_EVIDENCE]]
    best = np.sort(best[scores[best] > 0])
    return [str(value) for value in court.scorer.log.log.record_id.gather(best)]


# -- findings -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Curve:
    """Per-query evidence of one finding."""

    rows: I64
    columns: list[int]
    p: F64


def findings(
    case: Case,
    court: Court,
    judged: Sequence[Judged],
    found: Found,
    template: NDArray[np.bool_] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the finding rows and the query-evidence rows.

    Args:
        case: the case, for request ids.
        court: what was judged with.
        judged: verdicts by kind of actor.
        found: what was selected.
        template: records in the wording that links a campaign; its first and last use bound it.
    """
    import polars as pl

    rows, marked = [], []
    anchors = completed(court, judged, found)
    for number, finding in enumerate(found.findings):
        one = judged[finding.group]
        curve = _curve(court, one, finding)
        rows.append(_finding(court, one, finding, curve, template, anchors.get(number)))
        marked.append(curve)
    frame = pl.DataFrame(rows, schema=_schema())
    return (
        _with_request_ids(case, frame).sort("unit_kind", "unit", "technique", "finding_id"),
        _evidence(court, marked),
    )


def _with_request_ids(case: Case, frame: pl.DataFrame) -> pl.DataFrame:
    """Add request ids, parallel to the evidence records, in one lookup."""
    import polars as pl

    listed = frame.select("finding_id", "evidence_record_ids").explode("evidence_record_ids")
    wanted = listed.rename({"evidence_record_ids": "record_id"}).with_row_index("place")
    case.con.register("evidence_records", wanted.to_arrow())
    try:
        looked_up = case.frame(
            "SELECT w.finding_id, coalesce(q.request_id, q.provider_response_id) AS request_id"
            " FROM evidence_records w LEFT JOIN query_record q USING (record_id)"
            " ORDER BY w.place"
        )
    finally:
        case.con.unregister("evidence_records")
    grouped = looked_up.group_by("finding_id", maintain_order=True).agg(
        pl.col("request_id").alias("evidence_request_ids")
    )
    return frame.drop("evidence_request_ids").join(grouped, on="finding_id", how="left")


def _schema() -> dict[str, Any]:
    import polars as pl

    text, number, time = pl.String, pl.Float64, pl.Datetime("us")
    names = pl.List(pl.String)
    return {
        "finding_id": text, "unit_kind": text, "unit": text, "members": names,
        "technique": text, "runner_up": text, "profile": text, "tier": text, "p_value": number,
        "p_kind": text, "q_value": number, "e_value": number, "score": number, "onset": time,
        "onset_low": time, "onset_high": time, "first_seen": time, "last_seen": time,
        "queries": pl.Int64, "evidence_request_ids": names, "evidence_record_ids": names,
        "summary": text, "also": names, "by_e_values": pl.Boolean, "tail_p": number,
        "pattern_at": time, "end_low": time, "end_high": time, "dilution": number,
        "stretches": text, "pattern": text,
    }  # fmt: skip


def _curve(court: Court, one: Judged, finding: Selected) -> _Curve:
    """Per-query p-values from the strongest detectors of the finding's technique."""
    scorer = court.scorer
    rows = _unit_rows(one, finding.unit)
    members = [
        i
        for i, (_, statistic) in enumerate(scorer.statistics)
        if statistic.weights.get(finding.technique, 0) > 0 and statistic.per_query
    ]
    if finding.signature >= 0:
        owner = scorer.registry.signatures()[finding.signature][0]
        members = [i for i in members if scorer.statistics[i][0] is owner] or members
    p = one.p[finding.unit, members]
    known = [i for i, value in zip(members, p.tolist(), strict=True) if value == value]
    if known:
        least = min(one.p[finding.unit, i] for i in known)
        strong = [i for i in known if one.p[finding.unit, i] <= 10 * least]
    else:
        strong = members
    value = np.ones(len(rows))
    for i in strong:
        key = scorer.statistics[i][1].key
        value = np.minimum(value, court.baseline.query_p(key, scorer.query[key][rows]))
    return _Curve(rows, strong, np.minimum(1.0, value * len(strong)))


def _finding(
    court: Court,
    one: Judged,
    finding: Selected,
    curve: _Curve,
    template: NDArray[np.bool_] | None,
    anchor: int | None,
) -> dict[str, Any]:
    scorer = court.scorer
    time = scorer.log.log.time[curve.rows]
    name = str(_unit_names(court, one, one.units.code[[finding.unit]])[0])
    at = when(curve.p)
    begin, low, high = at.start, at.start_low, at.start_high
    end, end_low, end_high = at.end, at.end_low, at.end_high
    if template is not None and one.kind is UnitKind.CAMPAIGN:
        uses = np.flatnonzero(template[curve.rows])
        if uses.size:
            first, last = int(uses[0]), int(uses[-1])
            begin, low = min(begin, first), min(low, first)
            end, end_high = max(end, last), max(end_high, last)
    # Retries are queries that were made, though they count once in every statistic.
    codes = scorer.log.log.codes[one.kind]
    queries = int((codes == one.units.code[finding.unit]).sum())
    order = np.lexsort((np.arange(len(curve.p)), curve.p))
    telling = order[curve.p[order] <= _TELLING][:MOST_EVIDENCE]
    if not telling.size:
        telling = order[:1]
    records = scorer.log.log.record_id.gather(curve.rows[np.sort(telling)]).to_list()
    key = f"{one.kind.value}|{name}|{finding.technique.value}"
    titles = []
    for i in curve.columns:
        detector = scorer.statistics[i][0]
        if one.p[finding.unit, i] == one.p[finding.unit, i] and detector.spec.title not in titles:
            titles.append(detector.spec.title)
    signature = ""
    if finding.signature >= 0:
        detector, shown = scorer.registry.signatures()[finding.signature]
        signature = shown.title
        titles = titles or [detector.spec.title]
    runner_up = finding.runner_up.value if finding.runner_up else None
    value = one.e[finding.unit]
    return {
        "finding_id": "F-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12],
        "unit_kind": one.kind.value,
        "unit": name,
        "members": _members(court, one, finding.unit),
        "technique": finding.technique.value,
        "runner_up": runner_up,
        "profile": TECHNIQUE_TAGS[finding.technique].profile.value,
        "tier": finding.tier.value,
        "p_value": finding.p,
        "p_kind": finding.p_kind.value,
        "q_value": finding.q,
        "e_value": float(value) if value == value else None,
        "score": round(finding.strength, 6),
        "onset": _instant(time[begin]),
        "onset_low": _instant(time[low]),
        "onset_high": _instant(time[high]),
        "first_seen": _instant(time[0]),
        "last_seen": _instant(time[end]),
        "queries": queries,
        "evidence_request_ids": None,
        "evidence_record_ids": records,
        "summary": finding_sentence(
            finding.technique, queries, titles, finding.p, signature, runner_up
        ),
        "also": [technique.value for technique in finding.also],
        "by_e_values": finding.by_e,
        "tail_p": finding.tail,
        "pattern_at": _instant(time[anchor]) if anchor is not None else None,
        "end_low": _instant(time[end_low]),
        "end_high": _instant(time[end_high]),
        "dilution": at.dilution,
        "pattern": signature or None,
        "stretches": json.dumps(
            [[_iso(time[a]), _iso(time[b]), b - a + 1] for a, b in at.stretches]
        ),
    }


def _members(court: Court, one: Judged, unit: int) -> list[str]:
    if one.kind is not UnitKind.CAMPAIGN:
        return []
    return members_of(court.scorer.log.log, _unit_rows(one, unit))


def _instant(value: np.int64) -> datetime | None:
    if value == NO_TIME:
        return None
    return _EPOCH + timedelta(microseconds=int(value))


def _iso(value: np.int64) -> str | None:
    at = _instant(value)
    return f"{at.isoformat(timespec='milliseconds')}Z" if at else None


def _evidence(court: Court, marked: Sequence[_Curve]) -> pl.DataFrame:
    """Per-query rows: all scored queries of flagged actors, unusual ones of all others."""
    import polars as pl

    scorer = court.scorer
    wanted = np.zeros((len(scorer.log), len(scorer.statistics)), np.bool_)
    for curve in marked:
        wanted[curve.rows[:, None], np.array(curve.columns, np.int64)[None, :]] = True
    flagged = wanted.any(1)
    parts: list[pl.DataFrame] = []
    for i, (detector, statistic) in enumerate(scorer.statistics):
        score = scorer.query[statistic.key]
        p = court.baseline.query_p(statistic.key, score)
        take = (score > 0) & scorer.log.log.kept & (wanted[:, i] | ((p <= _STORED) & ~flagged))
        rows = np.flatnonzero(take)
        if not rows.size:
            continue
        reasons = np.full(len(rows), detector.spec.title.lower(), object)
        for place in np.flatnonzero(wanted[rows, i] & (p[rows] <= _TELLING)).tolist():
            reasons[place] = detector.reason(scorer.log, statistic.key, int(rows[place]))
        parts.append(
            pl.DataFrame(
                {
                    "record_id": scorer.log.log.record_id.gather(rows),
                    "detector": pl.repeat(detector.spec.name, len(rows), eager=True),
                    "score": pl.Series(np.round(score[rows].astype(np.float64), 6)),
                    "p_value": pl.Series(p[rows]),
                    "reason": pl.Series(reasons.tolist(), dtype=pl.String),
                }
            )
        )
    if not parts:
        return pl.DataFrame(schema={"record_id": pl.String})
    # Two statistics of one detector on one query: the more surprising one speaks.
    return (
        pl.concat(parts)
        .sort("record_id", "detector", "p_value", "reason")
        .unique(["record_id", "detector"], keep="first", maintain_order=True)
    )
