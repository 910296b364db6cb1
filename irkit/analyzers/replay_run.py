"""Replay of a case through all detectors: who did what, since when, how sure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from irkit.analyzers import membership_harm, verdict_rows
from irkit.analyzers.baseline import (
    Baseline,
    comparable,
    generic_baseline,
    load_baseline,
    promises,
)
from irkit.analyzers.calibrate import Promise, Shift, least_size, shift
from irkit.analyzers.campaign import campaigns
from irkit.analyzers.features import Features
from irkit.analyzers.findings import Found, select
from irkit.analyzers.judge import Court, Judged, judge
from irkit.analyzers.prompt_shape import mix
from irkit.analyzers.registry import Registry, load_detectors
from irkit.analyzers.scoring import PREDICT, Scorer
from irkit.analyzers.sequences import BUCKETS, units_of
from irkit.engine.local import ordered_map
from irkit.engine.memory import keep_freed_memory
from irkit.model import Progress, Stage, Technique, UnitKind

if TYPE_CHECKING:
    import polars as pl

    from irkit.case import Case

ProgressCallback = Callable[[Progress], None]
KINDS = (UnitKind.SESSION, UnitKind.CREDENTIAL, UnitKind.SOURCE_IP)


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay tested and found.

    Attributes:
        records: calls looked at, retries and duplicates left out.
        units: actors tested, by kind.
        findings: findings by tier (A, B, C), and units of tier D.
        promise: what is promised about ordinary actors, in words.
        baseline: description of the calibration.
        warnings: plug-ins and detectors that failed, and calibration that does not fit.
    """

    records: int
    units: dict[str, int]
    findings: dict[str, int]
    promise: str
    baseline: dict[str, Any]
    warnings: tuple[str, ...] = field(default=())


def replay(
    case: Case, *, baseline: Path | None = None, progress: ProgressCallback | None = None
) -> ReplayReport:
    """Run every detector over every actor and write results, evidence and findings.

    Args:
        case: an ingested case, matched against the training corpus where there is one.
        baseline: calibration file; the generic one that irkit carries when omitted.
        progress: called as the work advances.

    Raises:
        UsageError: the calibration file cannot be read.
    """

    def note(done: int, total: int, what: str) -> None:
        if progress:
            progress(Progress(Stage.REPLAY, done, total, "steps", what))

    keep_freed_memory()
    registry = load_detectors()
    note(0, 4, "reading records")
    with ThreadPoolExecutor(1, thread_name_prefix="irkit-baseline") as beside:
        loading = beside.submit(lambda: load_baseline(baseline) if baseline else generic_baseline())
        log = Features(case, note)
        ordinary = loading.result() or Baseline(
            {"kind": "none", "detectors": {}, "features": ""}, [], {}, {}, {}
        )
    scorer = Scorer.of(registry, log, note)
    court = Court(scorer, ordinary, frozenset(comparable(ordinary, registry)), case.settings.fpr)
    note(1, 4, "comparing actors")
    judged = _judge_all(court, log, case.settings.worker_threads)
    moved = _shift(judged)
    # Drift guard: where the calibration does not fit, ranks are reported and p-values withheld.
    court = replace(court, valid=ordinary.stationary and not moved["invalid"])
    note(2, 4, "linking actors")
    linked = campaigns(court)
    if linked:
        judged.append(linked.judged)
    found = select(court, judged, case.settings.fdr)
    note(3, 4, "writing results")
    facts = _facts(case, court, registry, judged, found, moved)
    with case.transaction():
        case.clear("detector_result", "query_evidence", "finding", "calibration")
        for one in judged:
            case.append("detector_result", verdict_rows.detector_results(court, one))
        template = linked.template if linked else None
        findings, evidence = verdict_rows.findings(case, court, judged, found, template)
        case.clear("membership_harm", "membership_guess")
        findings, harm, guesses = membership_harm.measure(case, log, findings)
        case.append("membership_harm", harm)
        case.append("membership_guess", guesses)
        case.append("query_evidence", evidence)
        case.append("finding", findings)
        facts["incident"] = _incident(findings)
        case.append("calibration", _calibration(facts))
    note(4, 4, "done")
    return ReplayReport(
        int(log.log.kept.sum()),
        {one.kind.value: int(one.tested.sum()) for one in judged},
        facts["family"]["tiers"],
        facts["promise"]["text"],
        dict(ordinary.described),
        tuple(facts["warnings"]),
    )


def _judge_all(court: Court, log: Features, workers: int) -> list[Judged]:
    """Judge the kinds of actors on threads; they share nothing but what is only read."""

    def work(kind: UnitKind) -> Judged:
        return judge(court, units_of(log.log, kind))

    before = dict(court.scorer.errors)
    with closing(ordered_map(work, KINDS, workers)) as results:
        judged = list(results)
    if court.scorer.errors == before:
        return judged
    # A detector that fails falls silent for the kinds that follow: which do must not depend on
    # the threads.
    court.scorer.errors = before
    return [work(kind) for kind in KINDS]


def _facts(
    case: Case,
    court: Court,
    registry: Registry,
    judged: list[Judged],
    found: Found,
    moved: dict[str, Any],
) -> dict[str, Any]:
    base, alpha = court.baseline, court.alpha
    by_bucket = promises(base, alpha)
    used = np.concatenate([one.size[one.tested] for one in judged]) if judged else np.zeros(0)
    least = int(used.min()) if used.size else 0
    worst = Promise.of(least, alpha)
    text = worst.text(generic=base.generic) if used.size else "No actor could be tested."
    if not base.stationary:
        text = "Rank only, no promise: the calibration's two halves differ (drift)."
    elif not court.valid:
        text = (
            "Rank only, no promise: the ordinary traffic of this case scores higher than the"
            " calibration (calibration invalid); calibrate on clean months: irkit baseline"
        )
    warnings = [f"{w.plugin}: could not be loaded: {w.reason}" for w in registry.warnings]
    warnings += [f"{key}: {why}" for key, why in sorted(court.scorer.errors.items())]
    missing = [
        statistic.key
        for _, statistic in court.scorer.statistics
        if statistic.key not in court.usable and not court.scorer.silence(statistic)
    ]
    classifier = int(court.scorer.log.has_vectors.sum())
    if classifier and not any(base.size(b, PREDICT) for b in BUCKETS):
        warnings.append(
            f"{classifier:,} calls sent rows to a classifier; the calibration holds no such"
            " traffic, so for them only patterns that need none are reported, no rank and no"
            " promise: calibrate on clean months with irkit baseline"
        )
    elif missing:
        warnings.append("not calibrated, not used: " + ", ".join(missing))
    if moved["notable"]:
        warnings.append(
            "ordinary traffic of this case differs from the calibration"
            f" (distance {moved['distance']:.2f}); calibrate on clean months: irkit baseline"
        )
    signatures: dict[str, list[dict[str, Any]]] = {}
    for detector, signature in registry.signatures():
        hits, size = base.signatures.get(signature.key, (0, 0))
        signatures.setdefault(signature.technique.value, []).append(
            {"detector": detector.spec.name, "hits": hits, "n": size, "title": signature.title}
        )
    content = {
        "alpha": alpha,
        "fdr": case.settings.fdr,
        "detectors": {d.spec.id: d.spec.version for d in registry.detectors.values()},
        "baseline": base.described.get("sha256", ""),
        "buckets": BUCKETS,
    }
    return {
        "baseline": {**base.described, "statistics": base.keys},
        "detectors": {
            d.spec.id: {"name": d.spec.name, "title": d.spec.title, "version": d.spec.version}
            for d in registry.detectors.values()
        },
        "family": {
            "units": found.family,
            "fdr": case.settings.fdr,
            "method": "Benjamini-Hochberg over all actors; lattice levels weighted by the root of"
            " their size, windows below 25 queries by theirs",
            "selected": int(found.selected),
            "selected_by_e_values": found.by_e_values,
            "tiers": found.tiers,
            "by_kind": {one.kind.value: int(one.tested.sum()) for one in judged},
        },
        "params_hash": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        "promise": {
            "alpha": alpha,
            "confidence": 1 - worst.delta,
            "text": text,
            "minimum": least_size(alpha, worst.delta),
            "threshold": worst.threshold if court.valid else 0.0,
            "valid": court.valid,
            "buckets": {
                str(bucket): {"n": one.size, "k": one.k, "text": one.text(generic=base.generic)}
                for bucket, one in by_bucket.items()
            },
        },
        "shift": moved,
        "signatures": signatures,
        "techniques": {
            t.value: {s.key: s.weights[t] for _, s in court.scorer.statistics if t in s.weights}
            for t in Technique
        },
        "warnings": warnings,
    }


def _incident(findings: pl.DataFrame) -> dict[str, str | None]:
    """Date the incident over its flagged actors: the earliest that any of them allows.

    ``start`` is the earliest lower end of an onset's interval or complete certain pattern, because
    a notification must not begin too late; the rest says what it was chosen from.
    """
    import polars as pl

    flagged = findings.filter(pl.col("tier").is_in(["A", "B"]))
    least = {
        name: flagged[column].min()
        for name, column in (
            *(("onset", "onset"), ("onset_low", "onset_low"), ("first_anchor", "pattern_at")),
            *(("first_seen", "first_seen"), ("last_seen", "last_seen")),
        )
    }
    least["last_seen"] = flagged["last_seen"].max()
    known = [at for at in (least.pop("onset_low"), least["first_anchor"]) if at is not None]
    least["start"] = min(known, default=None)
    return {
        name: f"{at.isoformat(timespec='milliseconds')}Z" if isinstance(at, datetime) else None
        for name, at in sorted(least.items())
    }


def _shift(judged: list[Judged]) -> dict[str, Any]:
    """Compare the case's credentials (else addresses, else sessions) with the calibration."""
    for kind in (UnitKind.CREDENTIAL, UnitKind.SOURCE_IP, UnitKind.SESSION):
        for one in judged:
            if one.kind is kind and one.tested.sum() >= 20:
                index = np.flatnonzero(one.tested)
                draw = mix(index.astype(np.uint64)) / np.float64(2**64)
                moved = shift(one.first[0][index], one.first[1][index], draw)
                return _moved(kind, moved)
    nothing = shift(np.zeros(0), np.zeros(0), np.zeros(0))
    return _moved(None, nothing)


def _moved(kind: UnitKind | None, moved: Shift) -> dict[str, Any]:
    return {
        "kind": kind.value if kind else None,
        "units": moved.units,
        "distance": round(moved.distance, 4),
        "notable": moved.notable,
        "raised": round(moved.raised, 4),
        "invalid": moved.invalid,
    }


def _calibration(facts: dict[str, Any]) -> Any:
    import polars as pl

    return pl.DataFrame(
        {
            "key": sorted(facts),
            "value": [json.dumps(facts[key], sort_keys=True) for key in sorted(facts)],
        }
    )
